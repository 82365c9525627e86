"""The example package, installed as a user would install it (offline, into a folder of its own) and run through the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "plugin_package"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the package is installed in, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("installed")
    # A copy: the build leaves its own folders beside the source.
    copy = shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(folder / "site"), str(copy)]
    have_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    installer = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    if not have_pip:
        installer = [shutil.which("uv") or "uv", "pip", "install", "--python", sys.executable, "--offline"]
    done = subprocess.run([*installer, *options], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def environment(installed: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_the_recipe_runs(installed: Path, class_folders: Path, tmp_path: Path, cli: Callable[..., Any], mode: str) -> None:
    shutil.copy(PACKAGE / "recipe.yaml", tmp_path)
    (tmp_path / "my-images").symlink_to(class_folders)
    code, missing, _ = cli("run", "recipe.yaml")
    assert (code, missing["errors"][0]["code"]) == (1, "unknown-op")
    code, body, errors = cli("run", "recipe.yaml", "--mode", mode, "--workers", 2, env=environment(installed))
    assert code == 0, (body, errors)
    assert body["counts"] == {"train": 27, "test": 9}
    assert cli("run", "recipe.yaml", env=environment(installed))[1]["status"] == "hit"


@pytest.mark.slow
def test_an_edited_source_is_a_miss(installed: Path, class_folders: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    shutil.copy(PACKAGE / "recipe.yaml", tmp_path)
    (tmp_path / "my-images").symlink_to(class_folders)
    site = Path(shutil.copytree(installed, tmp_path / "site"))
    _, first, _ = cli("plan", "recipe.yaml", env=environment(site))
    with open(site / "refinery_beam_unsharp" / "plugin.py", "a") as file:
        file.write("\n# a remark\n")
    _, second, _ = cli("plan", "recipe.yaml", env=environment(site))
    assert first["recipe_hash"] != second["recipe_hash"]
    (tmp_path / "plain.yaml").write_text((tmp_path / "recipe.yaml").read_text().replace("  - { name: sharpen", "  # - { name: sharpen"))
    keys = {cli("plan", "plain.yaml", env=env)[1]["recipe_hash"] for env in ({}, environment(site), environment(installed))}
    assert len(keys) == 1  # an installed plugin that a recipe does not use changes nothing


@pytest.mark.slow
def test_its_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(PACKAGE / "tests")]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **environment(installed)}, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
