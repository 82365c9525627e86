"""A child that must not outlive its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from refinery_beam.crashes.parent_death import killed_with_parent
from refinery_beam.processes import child_environment, is_alive

PARENT = """\
import subprocess, sys, time
from refinery_beam.crashes.parent_death import killed_with_parent
child = subprocess.Popen(killed_with_parent(["sleep", "60"]), start_new_session=True)
while open(f"/proc/{child.pid}/comm").read() != "sleep\\n":
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_it_ends_with_its_parent_however_that_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=child_environment())
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert os.getsid(child) == child, "Ctrl-C at the terminal does not reach it"
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 60
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child)


def test_it_becomes_the_command() -> None:
    command = killed_with_parent(["sh", "-c", "echo $0 $1; exit 3", "a", "b"])
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "a b\n", "")


def test_a_command_that_is_not_there() -> None:
    done = subprocess.run(killed_with_parent(["no-such-program"]), capture_output=True, text=True, env=child_environment(), check=False)
    assert (done.returncode, done.stderr) == (1, "no-such-program: No such file or directory\n")
