"""The launcher of Dataflow with stand-ins for docker and the run itself: what it builds, and what it asks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.runners.options import check_locations, read_options

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "launchers/dataflow"
IMAGE = f"europe-west4-docker.pkg.dev/a-project/refinery-beam/worker:{rb.__version__}"


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """An environment whose `docker` and `refinery-beam` write down what they are asked, and say something on stdout."""
    (tmp_path / "bin").mkdir()
    for name in ("docker", "refinery-beam"):
        command = tmp_path / "bin" / name
        command.write_text(
            f"#!{sys.executable}\nimport json, sys\nprint('words of {name}')\n"
            f"open({str(tmp_path / 'asked')!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
        )
        command.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PROJECT": "a-project", "REGION": "europe-west4", "IMAGE": IMAGE}


def asked(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


def test_the_image(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    done = subprocess.run([FOLDER / "image.sh"], env=stand_ins, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == IMAGE + "\n"
    assert asked(tmp_path) == [["build", "--tag", IMAGE, str(ROOT)], ["push", IMAGE]]


def test_a_run(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    given = ["recipe.yaml", "gs://a-bucket/some/cache", "--seed", "3", "--", "--max_num_workers=20", "--region=us-east1"]
    subprocess.run([FOLDER / "run.sh", *given], env=stand_ins, cwd=tmp_path, capture_output=True, text=True, check=True)
    (command,) = asked(tmp_path)
    cut = command.index("--")
    assert command[:cut] == ["run", "recipe.yaml", "--cache-root", "gs://a-bucket/some/cache", "--runner", "dataflow", "--seed", "3"]
    options = read_options("dataflow", command[cut + 1 :])
    check_locations(options, cache_root="gs://a-bucket/some/cache", sources=["gs://a-bucket/photos"])
    assert options.value("temp_location") == "gs://a-bucket/dataflow-tmp" and options.value("sdk_container_image") == IMAGE
    assert (options.value("region"), options.value("max_num_workers")) == ("us-east1", "20")


def test_a_local_cache_is_refused_by_the_run(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    """Its exit code is the launcher's."""
    command = tmp_path / "bin" / "refinery-beam"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m refinery_beam "$@"\n')
    (tmp_path / "recipe.yaml").write_text("schema_version: 3\n")
    stand_ins |= {"PYTHONPATH": str(ROOT), "TEMP": "gs://a-bucket/tmp"}
    done = subprocess.run(
        [FOLDER / "run.sh", "recipe.yaml", "cache"], env=stand_ins, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "the engine is on Dataflow" in done.stderr


def test_what_is_missing_is_said(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    del stand_ins["PROJECT"]
    for script in ("image.sh", "run.sh"):
        done = subprocess.run([FOLDER / script, "r", "gs://b/c"], env=stand_ins, capture_output=True, text=True, check=False)
        assert done.returncode != 0 and "PROJECT" in done.stderr


def test_every_launcher_is_listed() -> None:
    page = (ROOT / "launchers/README.md").read_text()
    listed = re.findall(r"^\| \[([^]]+)\]\(([^)]+)/\)", page, flags=re.MULTILINE)
    folders = [path.parent.relative_to(ROOT / "launchers").as_posix() for path in (ROOT / "launchers").rglob("README.md")]
    assert sorted(name for name, _ in listed) == sorted(folder for folder in folders if folder != ".")
    assert all(name == location for name, location in listed)
