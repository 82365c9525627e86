"""Worker processes end with their driver, and the driver knows when one of them ends, at any moment of their start."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support.deadly import finish, start
from support.processes import left_over, workers

MOMENTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.3, 2.6, 3.0, 3.5, 4.0)
"""Seconds after the first worker has begun: its imports, its first line to the driver, its first records."""

PROCESSES = ("--mode", "processes", "--workers", "4")


@pytest.fixture
def photos(class_folders: Path, tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number in range(6):
        for file in sorted(class_folders.rglob("*.*")):
            location = root / file.parent.name / f"{number}{file.name}"
            location.parent.mkdir(parents=True, exist_ok=True)
            location.write_bytes(file.read_bytes() + bytes([number]))
    return root


def started(photos: Path, moment: float) -> subprocess.Popen[str]:
    """A run, `moment` seconds after its first worker has begun."""
    process = start(photos, *PROCESSES)
    deadline = time.monotonic() + 60
    while not workers(photos.parent):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(moment)
    return process


def nothing_is_left(photos: Path) -> None:
    cache = photos.parent / "cache"
    assert left_over(photos.parent, seconds=5) == []
    assert not list(cache.glob("instances/*/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_is_killed(photos: Path, moment: float) -> None:
    process = started(photos, moment)
    found = workers(photos.parent)
    if not found:  # the run was quicker
        assert finish(process)[0] == 0
        return
    os.kill(found[0], signal.SIGKILL)
    begun = time.monotonic()
    code, body = finish(process)
    assert time.monotonic() - begun < 10
    if code:  # a worker that has done its part may die
        assert (code, [e["code"] for e in body["errors"]]) == (4, ["worker-died"])  # type: ignore[attr-defined]
        nothing_is_left(photos)


class Handle:
    """What the engine has of a worker."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def kill(self) -> None:
        """Nothing: the process is not this one's."""

    def fail(self, words: str) -> None:
        self.words.append(words)


def test_a_worker_that_starts_after_another_died_is_answered_too() -> None:
    """The engine starts one worker after the other. Between two of them the first may die."""
    from refinery_beam.runners.worker_processes import WorkerProcesses

    ended = threading.Event()
    ends: list[str] = []
    pool = WorkerProcesses(lambda how: (ends.append(how), ended.set())[0])
    first, second = Handle(), Handle()
    try:
        pool.start(first, dict(os.environ)).kill()  # type: ignore[arg-type]
        assert ended.wait(30)
        process = pool.start(second, dict(os.environ))  # type: ignore[arg-type]
        assert second.words == ["the job was ended"] and process.wait(30) == -signal.SIGKILL
        while not first.words:
            time.sleep(0.01)
        assert ends == ["SIGKILL"] and first.words == ["a worker process died (SIGKILL)"]
    finally:
        pool.close()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS[::2])
def test_the_run_is_interrupted(photos: Path, moment: float) -> None:
    process = started(photos, moment)
    # As a terminal does it: every process of the foreground is told.
    os.killpg(process.pid, signal.SIGINT)
    begun = time.monotonic()
    code, _ = finish(process)
    assert code in (0, 130) and time.monotonic() - begun < 10
    if code:
        nothing_is_left(photos)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS[::3])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_the_driver_is_killed(photos: Path, moment: float, number: signal.Signals) -> None:
    process = started(photos, moment)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert left_over(photos.parent, seconds=5) == []


@pytest.mark.slow
def test_a_worker_that_does_not_move_is_ended(photos: Path) -> None:
    """A stopped process answers nothing and hears nothing."""
    process = started(photos, 0.3)
    for pid in workers(photos.parent):
        os.kill(pid, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    nothing_is_left(photos)
