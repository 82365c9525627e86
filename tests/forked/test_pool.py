"""Forked processes answer, raise what was raised in them, and are missed when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

PROGRAM = """\
import os, signal, threading, time
from refinery_beam.crashes.forked_run import ChildDied
from refinery_beam.errors import EngineError
from refinery_beam.forked.pool import ForkedPool, forked_pool, forking

def fails(kind): raise kind("no")
def dies(number): os.kill(os.getpid(), number)
class Odd(Exception):
    def __init__(self, a, b): super().__init__(a)

told = []
with forking(2, told.append):
    pool = forked_pool()
    pids = list(pool.lines.map(lambda _: pool.call(os.getpid), range(40)))
    assert len(set(pids)) <= 2 and os.getpid() not in pids, pids
    assert pool.lines.submit(pool.call, divmod, 7, 2).result() == (3, 1)
    for kind in (ValueError, KeyError):
        try: pool.lines.submit(pool.call, fails, kind).result()
        except kind as error: assert error.args == ("no",)
        else: raise AssertionError
    try: pool.lines.submit(pool.call, fails, lambda text: Odd(text, 1)).result()
    except EngineError as error: assert "Odd: no" in error.message or "pickle" in error.message, error
    except Exception as error: assert "pickle" in str(error), error
    assert (pool.pays, pool.decide(True), pool.decide(False), pool.pays) == (None, True, False, True)
    pool.tell("words")
assert told == ["words"] and forked_pool() is None

ends = []
with forking(2, told.append):
    pool = forked_pool()
    pool.died = ends.append
    for number in (signal.SIGSEGV, signal.SIGKILL):
        try: pool.lines.submit(pool.call, dies, number).result()
        except ChildDied as error: pass
        else: raise AssertionError
assert len(ends) == 1, ends

with forking(1, told.append):
    assert forked_pool() is None
threading.Thread(target=time.sleep, args=(1,)).start()
with forking(2, told.append):
    assert forked_pool() is None, "this process has another thread"
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("none is left")
"""


FORGETTING = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
"""Whoever starts a program may have it ignore SIGCHLD; the system then keeps no return codes."""


@pytest.mark.parametrize("before", ["", FORGETTING])
def test_it_answers_raises_and_ends(before: str) -> None:
    done = subprocess.run([sys.executable, "-c", before + PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "none is left\n"), done.stderr


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    program = """\
import os, sys, time
from refinery_beam.forked.pool import ForkedPool
pool = ForkedPool(2, print)
print(*[pid for pid, _ in pool._forks], flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pid in pids:
        _wait_until_gone(pid)


def _wait_until_gone(pid: int) -> None:
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        os.sched_yield()
        signal.sigtimedwait([], 0.05)
    raise AssertionError(f"process {pid} runs on")


def test_a_forked_run_needs_no_return_code() -> None:
    program = (
        FORGETTING
        + """\
import os, signal
from refinery_beam.crashes.forked_run import ChildDied, run_forked
assert run_forked(lambda: 42) == 42
try: run_forked(lambda: os.kill(os.getpid(), signal.SIGKILL))
except ChildDied as error: print(error.how)
"""
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "an end that was not kept\n", done.stderr
