"""The commit under fire: real processes, killed between any two steps, and several at once."""

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from refinery_beam.cache import Staging, find, instance_dir, promote, verify
from refinery_beam.errors import RefineryError
from support import handmade

KEY = handmade.KEY
MODULE = sys.modules["refinery_beam.cache.promote"]
# Forked, not spawned: a child is a process of its own either way, and importing Arrow again would cost a second each.
FORK = multiprocessing.get_context("fork")


class Run:
    """A run of the whole commit in a process of its own, which may kill itself at a step or wait for a word before it promotes."""

    def __init__(self, root: Path, *, kill_at: str = "", tweak: str = "", gate: bool = False) -> None:
        self.ours, theirs = FORK.Pipe()
        self.process = FORK.Process(target=_run, args=(theirs, str(root), kill_at, tweak, gate))
        self.process.start()
        theirs.close()

    def wait(self) -> tuple[str, int | None]:
        """What it said last, and its exit code."""
        try:
            said = str(self.ours.recv())
        except EOFError:
            said = ""
        self.process.join()
        return said, self.process.exitcode


def _run(pipe: Connection, root: str, kill_at: str, tweak: str, gate: bool) -> None:
    def step(name: str) -> None:
        if name == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    MODULE._step = step  # type: ignore[attr-defined]
    try:
        with Staging.open(root, KEY) as staging:
            body = handmade.fill(staging, tweak=tweak)
            step("filled")
            if gate:
                pipe.send("ready")
                pipe.recv()
            status = promote(staging, body)[0]
            step("done")
        pipe.send(status)
    except RefineryError as error:
        pipe.send(error.code)
        os._exit(error.exit_code)
    os._exit(0)


def race(root: Path, tweaks: list[str]) -> list[tuple[str, int | None]]:
    """Let several finished builds promote at the same moment; gives what each said and its exit code."""
    runs = [Run(root, tweak=tweak, gate=True) for tweak in tweaks]
    assert [run.ours.recv() for run in runs] == ["ready"] * len(runs)
    for run in runs:
        run.ours.send("go")
    return [run.wait() for run in runs]


def contents(location: str) -> dict[str, bytes]:
    return {str(p.relative_to(location)): p.read_bytes() for p in Path(location).rglob("*") if p.is_file()}


@pytest.mark.parametrize("step", ["filled", "checked", "synced", "manifest", "published", "done"])
def test_kill_9_between_any_two_steps(tmp_path: Path, step: str) -> None:
    clean = contents(handmade.build(str(tmp_path / "clean")).location)
    root = tmp_path / "root"
    assert Run(root, kill_at=step).wait() == ("", -signal.SIGKILL)
    promoted = step in ("published", "done")
    assert (find(str(root), KEY).manifest is not None) == promoted
    assert os.path.lexists(instance_dir(str(root), KEY)) == promoted
    assert find(str(root), KEY).damage is None
    # The next run needs no repair, gives the bytes of a clean one, and leaves no trace of the dead attempt.
    with Staging.open(str(root), KEY) as staging:
        assert promote(staging, handmade.fill(staging), durable=False)[0] == ("hit" if promoted else "built")
    location = instance_dir(str(root), KEY)
    assert contents(location) == clean
    assert verify(location, deep=True).ok
    assert os.listdir(root / "staging") == ["trash"]


@pytest.mark.parametrize("step", ["lost", "aside"])
def test_kill_9_while_healing(tmp_path: Path, step: str) -> None:
    location = Path(handmade.build(str(tmp_path)).location)
    good = contents(str(location))
    (location / "manifest.json").write_text("{")
    assert Run(tmp_path, kill_at=step).wait() == ("", -signal.SIGKILL)
    assert find(str(tmp_path), KEY).manifest is None
    with Staging.open(str(tmp_path), KEY) as staging:
        assert promote(staging, handmade.fill(staging), durable=False)[0] == "built"
    assert contents(str(location)) == good


def test_several_at_once_one_wins(tmp_path: Path) -> None:
    results = race(tmp_path, [""] * 4)
    assert sorted(results) == [("built", 0), ("hit", 0), ("hit", 0), ("hit", 0)]
    assert verify(instance_dir(str(tmp_path), KEY), deep=True).ok


def test_several_heal_at_once(tmp_path: Path) -> None:
    location = Path(handmade.build(str(tmp_path)).location)
    next(location.rglob("*.parquet")).unlink()
    results = race(tmp_path, [""] * 4)
    assert sorted(results) == [("built", 0), ("hit", 0), ("hit", 0), ("hit", 0)]
    assert verify(str(location), deep=True).ok


def test_different_bytes_at_once_are_never_a_silent_winner(tmp_path: Path) -> None:
    results = race(tmp_path, ["", "other"])
    assert sorted(results) == [("built", 0), ("nondeterminism", 4)]
    assert verify(instance_dir(str(tmp_path), KEY), deep=True).ok


def test_a_run_that_starts_beside_a_living_one_leaves_it_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, gate=True)
    assert run.ours.recv() == "ready"
    handmade.build(str(tmp_path))
    run.ours.send("go")
    assert run.wait() == ("hit", 0)
