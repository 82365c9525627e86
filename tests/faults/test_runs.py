"""Faults of whole runs: two at once, killed in the middle, interrupted. Workers that die: `test_deaths`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.deadly import IN_THE_BACKGROUND

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output:
  record_schema: {{image: {{dtype: uint8, shape: [48, 48, 3]}}, label: {{dtype: str}}}}
  shard_records: 5
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.8, test: 0.2}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 48, method: lanczos}}, splits: [train, test]}}
"""


@pytest.fixture
def recipe(class_folders: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(path=class_folders))
    return path


def start(recipe: Path, *more: str, env: dict[str, str] | None = None, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [
        *before,
        sys.executable,
        "-m",
        "refinery_beam",
        "run",
        str(recipe),
        "--cache-root",
        str(recipe.parent / "cache"),
        "--json",
        *more,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, object]]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out)


def instances(recipe: Path) -> list[Path]:
    return sorted((recipe.parent / "cache" / "instances").glob("*/*/*"))


@pytest.mark.slow
def test_two_runs_at_once(recipe: Path) -> None:
    runs = [start(recipe), start(recipe)]
    results = [finish(r) for r in runs]
    assert [code for code, _ in results] == [0, 0]
    assert {body["status"] for _, body in results} <= {"built", "hit"}
    assert results[0][1]["files_digest"] == results[1][1]["files_digest"]
    assert len(instances(recipe)) == 1
    assert not list((recipe.parent / "cache" / "staging").glob("*-*-*-*"))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["truncated", "removed"])
def test_two_runs_in_a_passing_fault(class_folders: Path, tmp_path: Path, fault: str) -> None:
    """Whatever each of them reads, what is promoted follows from the bytes in the key, and no run calls another one's bytes wrong."""
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=photos).replace("}]}\n", "}], on_error: quarantine, max_bad_fraction: 0.9}\n", 1))
    victims = sorted(photos.rglob("*.png"))[:12]
    whole = {path: path.read_bytes() for path in victims}
    environment = slow(recipe)
    runs = [start(recipe, env=environment), start(recipe, env=environment)]
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "cache" / "staging").glob("*-*-*-*/rows/index/parts.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    for path, data in whole.items():
        path.unlink() if fault == "removed" else path.write_bytes(data[:-40])
    time.sleep(1)
    for path, data in whole.items():
        path.write_bytes(data)
    for code, body in (finish(run) for run in runs):
        if code == 0:
            assert (sum(body["counts"].values()), body["ledger"]) == (36, {})  # type: ignore[attr-defined]
        else:
            found = {(error["code"], code) for error in body["errors"]}  # type: ignore[attr-defined]
            assert found <= {("changed-during-run", 1), ("source-unreadable", 3)}
    code, last = finish(start(recipe))
    assert (code, sum(last["counts"].values()), last["ledger"]) == (0, 36, {})  # type: ignore[attr-defined]


def slow(recipe: Path, seconds: float = 0.25) -> dict[str, str]:
    """An environment in which every decode takes a while, so that there is a middle to stop in."""
    hook = recipe.parent / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import time\n"
        "import PIL.Image as I\n"
        "plain = I.open\n"
        "def waiting(*a, **k):\n"
        f"    time.sleep({seconds})\n"
        "    return plain(*a, **k)\n"
        "I.open = waiting\n"
    )
    return {"PYTHONPATH": f"{hook}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def wait_for_shard(recipe: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if list((recipe.parent / "cache" / "staging").glob("*/instance/dataset/*/part-*")):
            return
        time.sleep(0.02)
    raise AssertionError("no shard was ever written")


@pytest.mark.slow
def test_kill_in_the_middle(recipe: Path) -> None:
    process = start(recipe, env=slow(recipe))
    wait_for_shard(recipe)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert instances(recipe) == []
    code, body = finish(start(recipe))
    assert (code, body["status"]) == (0, "built")
    clean = recipe.parent / "clean"
    clean.mkdir()
    (clean / "recipe.yaml").write_text(recipe.read_text())
    _, other = finish(start(clean / "recipe.yaml"))
    assert other["files_digest"] == body["files_digest"]
    assert not list((recipe.parent / "cache" / "staging").glob("*-*-*-*"))


def test_interrupt(recipe: Path) -> None:
    process = start(recipe, env=slow(recipe))
    wait_for_shard(recipe)
    process.send_signal(signal.SIGINT)
    code, body = finish(process)
    assert code == 130
    assert [e["code"] for e in body["errors"]] == ["interrupted"]  # type: ignore[attr-defined]
    assert instances(recipe) == []
    assert not list((recipe.parent / "cache" / "staging").glob("*-*-*-*"))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["processes", "threads"])
def test_a_run_in_the_background_of_a_script_is_not_interrupted(recipe: Path, mode: str) -> None:
    """There SIGINT is ignored: a Ctrl-C at the terminal is meant for what runs in the foreground."""
    process = start(recipe, "--mode", mode, "--workers", "2", env=slow(recipe, 0.05), before=IN_THE_BACKGROUND)
    wait_for_shard(recipe)
    os.killpg(process.pid, signal.SIGINT)
    code, body = finish(process)
    assert (code, body["status"]) == (0, "built")
