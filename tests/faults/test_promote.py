"""The commit under fire: real processes, killed between any two steps, and several at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import handmade
import pytest

from refinery_beam.cache import Staging, find, instance_dir, promote, verify

KEY = handmade.KEY
ROOT = str(Path(__file__).resolve().parents[2])

RUN = """
import os, signal, sys
import handmade
import refinery_beam.cache as cache
from refinery_beam.errors import RefineryError
root, kill_at, tweak, gate = sys.argv[1:5]
module = sys.modules["refinery_beam.cache.promote"]
def step(name):
    if name == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
module._step = step
try:
    with cache.Staging.open(root, handmade.KEY) as staging:
        body = handmade.fill(staging, tweak=tweak)
        if kill_at == "filled":
            os.kill(os.getpid(), signal.SIGKILL)
        if gate:
            print("ready", flush=True)
            sys.stdin.readline()
        print(cache.promote(staging, body)[0], flush=True)
        if kill_at == "done":
            os.kill(os.getpid(), signal.SIGKILL)
except RefineryError as error:
    print(error.code, flush=True)
    sys.exit(error.exit_code)
"""


def start(root: Path, *, kill_at: str = "", tweak: str = "", gate: str = "") -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, str(Path(handmade.__file__).parent)])}
    command = [sys.executable, "-c", RUN, str(root), kill_at, tweak, gate]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def race(root: Path, tweaks: list[str]) -> list[tuple[str, int]]:
    """Let several finished builds promote at the same moment; gives what each printed and its exit code."""
    children = [start(root, tweak=tweak, gate="gate") for tweak in tweaks]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [(child.communicate()[0].strip(), child.returncode) for child in children]


def contents(place: str) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in Path(place).rglob("*") if p.is_file()}


@pytest.mark.parametrize("step", ["filled", "checked", "synced", "manifest", "published", "done"])
def test_kill_9_between_any_two_steps(tmp_path: Path, step: str) -> None:
    clean = contents(handmade.build(str(tmp_path / "clean")).place)
    root = tmp_path / "root"
    child = start(root, kill_at=step)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    promoted = step in ("published", "done")
    assert (find(str(root), KEY).manifest is not None) == promoted
    assert os.path.lexists(instance_dir(str(root), KEY)) == promoted
    assert find(str(root), KEY).damage is None
    # The next run needs no repair, gives the bytes of a clean one, and leaves no trace of the dead attempt.
    with Staging.open(str(root), KEY) as staging:
        assert promote(staging, handmade.fill(staging), durable=False)[0] == ("hit" if promoted else "built")
    place = instance_dir(str(root), KEY)
    assert contents(place) == clean
    assert verify(place, deep=True).ok
    assert os.listdir(root / "staging") == ["trash"]


@pytest.mark.parametrize("step", ["lost", "aside"])
def test_kill_9_while_healing(tmp_path: Path, step: str) -> None:
    place = Path(handmade.build(str(tmp_path)).place)
    good = contents(str(place))
    (place / "manifest.json").write_text("{")
    child = start(tmp_path, kill_at=step)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert find(str(tmp_path), KEY).manifest is None
    with Staging.open(str(tmp_path), KEY) as staging:
        assert promote(staging, handmade.fill(staging), durable=False)[0] == "built"
    assert contents(str(place)) == good


def test_several_at_once_one_wins(tmp_path: Path) -> None:
    results = race(tmp_path, [""] * 3)
    assert sorted(results) == [("built", 0), ("hit", 0), ("hit", 0)]
    assert verify(instance_dir(str(tmp_path), KEY), deep=True).ok


def test_several_heal_at_once(tmp_path: Path) -> None:
    place = Path(handmade.build(str(tmp_path)).place)
    next(place.rglob("*.parquet")).unlink()
    results = race(tmp_path, [""] * 3)
    assert sorted(results) == [("built", 0), ("hit", 0), ("hit", 0)]
    assert verify(str(place), deep=True).ok


def test_different_bytes_at_once_are_never_a_silent_winner(tmp_path: Path) -> None:
    results = race(tmp_path, ["", "other"])
    assert sorted(results) == [("built", 0), ("nondeterminism", 4)]
    assert verify(instance_dir(str(tmp_path), KEY), deep=True).ok


def test_a_run_that_starts_beside_a_living_one_leaves_it_alone(tmp_path: Path) -> None:
    child = start(tmp_path, gate="gate")
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    handmade.build(str(tmp_path))
    assert child.communicate("go\n")[0].strip() == "hit"
    assert child.returncode == 0
