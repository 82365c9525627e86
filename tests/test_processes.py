"""Where children find the package, and who counts as alive."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import refinery_beam
from refinery_beam.cache.attempts.locks import identity_of_process, process_is_gone
from refinery_beam.processes import OBJECTS, PACKAGE_ROOT, child_environment, is_alive


@pytest.fixture
def zombie() -> Iterator[int]:
    """A process that has ended, and that nobody has asked how."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def test_children_find_the_package() -> None:
    assert Path(PACKAGE_ROOT) == Path(refinery_beam.__file__).parents[1]
    assert child_environment()["PYTHONPATH"].split(os.pathsep)[0] == PACKAGE_ROOT


def test_this_process_is_alive_and_a_finished_one_is_not() -> None:
    finished = subprocess.Popen([sys.executable, "-c", "pass"])
    finished.wait()
    assert is_alive(os.getpid()) and is_alive(1), "1 belongs to somebody else, as a rule"
    assert not is_alive(finished.pid)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only /proc tells a zombie from a process")
def test_a_zombie_is_dead_to_everybody_who_asks(zombie: int) -> None:
    os.kill(zombie, 0)  # the kernel still knows it
    assert not is_alive(zombie)
    assert process_is_gone({**identity_of_process(), "pid": zombie})


def test_a_killed_process_dies(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert is_alive(process.pid)
    process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(process.pid)
    process.wait()


def test_garbage_is_looked_for_rarely_unless_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line and its child say so; a program that calls the library keeps what it has."""
    script = "import gc; from refinery_beam.processes import collect_rarely; {before}; collect_rarely(); print(*gc.get_threshold())"
    for before, after in (("pass", str(OBJECTS)), ("gc.set_threshold(0)", "0"), ("gc.set_threshold(10**7)", str(10**7))):
        said = subprocess.run([sys.executable, "-c", script.format(before=before)], capture_output=True, text=True, check=True).stdout
        assert said.split()[0] == after
    here = gc.get_threshold()
    import refinery_beam as rb  # noqa: F401 - importing the library changes nothing

    assert gc.get_threshold() == here
