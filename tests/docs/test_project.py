"""The files around the package agree with each other."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import refinery_beam

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = {
    requirement.name: Version(str(requirement.specifier).removeprefix("=="))
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.lstrip().startswith("#")
    for requirement in [Requirement(line)]
}


def test_the_worker_image_has_the_beam_of_the_lock() -> None:
    (image,) = re.findall(r"^FROM +(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert image == f"apache/beam_python3.11_sdk:{LOCK['apache-beam']}"


def test_the_worker_image_keeps_beams_entry_point() -> None:
    assert not re.search(r"^(ENTRYPOINT|CMD)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("text", PROJECT["project"]["dependencies"])
def test_the_lock_answers_every_dependency(text: str) -> None:
    requirement = Requirement(text)
    assert LOCK[requirement.name] in requirement.specifier
    assert any(s.operator == ">=" for s in requirement.specifier), "every dependency names the oldest version that is tested"


def test_the_lock_names_no_place() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text and "index-url" not in text and "find-links" not in text


def test_dependencies_are_the_imports() -> None:
    """Nothing is asked for that the package does not import, and nothing is imported that is not asked for."""
    # The last four come with what they are named for.
    provides = {"apache_beam": "apache-beam", "PIL": "pillow", "yaml": "pyyaml"}
    provides |= {"google": "apache-beam", "grpc": "apache-beam", "pydantic_core": "pydantic", "fsspec": "gcsfs"}
    provides |= {"pillow_heif": "pillow-heif", "markupsafe": "jinja2"}
    imported = {
        provides.get(name, name)
        for file in (ROOT / "refinery_beam").rglob("*.py")
        for name in re.findall(r"^\s*(?:from|import) +(\w+)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        if name not in sys.stdlib_module_names and name != "refinery_beam"
    }
    optional = {Requirement(t).name for texts in PROJECT["project"]["optional-dependencies"].values() for t in texts}
    asked = {Requirement(text).name for text in PROJECT["project"]["dependencies"]}
    assert asked <= imported <= asked | optional


@pytest.mark.parametrize("file", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda file: file.name)
def test_what_benchmarks_import_is_there(file: Path) -> None:
    """They import inside functions, and no other test runs those."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("refinery_beam"):
            module = importlib.import_module(str(node.module))
            absent = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert [name for name in absent if importlib.util.find_spec(f"{node.module}.{name}") is None] == []


def test_the_changelog_knows_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == refinery_beam.__version__


def test_a_source_distribution_builds(tmp_path: Path) -> None:
    """What Beam does to stage the package to its workers."""
    tree, out = tmp_path / "tree", tmp_path / "out"
    shutil.copytree(ROOT / "refinery_beam", tree / "refinery_beam", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "NOTICE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True, timeout=120)
    (archive,) = out.iterdir()
    assert archive.name == f"refinery_beam-{refinery_beam.__version__}.tar.gz"
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"pyproject.toml", "LICENSE", "refinery_beam/py.typed", "refinery_beam/recipe/checks/inputs.py"} <= names
