"""A command, measured to its end with all its processes: seconds, processor time, peak memory, and what it leaves on the disk."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
EVERY = 0.1
"""Seconds between two samples of the memory."""


class Turn(NamedTuple):
    """One run of a command, and the last line of what it said. `failed` is the last line of its error."""

    seconds: float
    cpu: float
    peak_mb: float
    failed: str = ""
    last: str = ""


def family(root: int) -> list[int]:
    """A process and all its descendants, as far as /proc tells."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # gone meanwhile
    return found


def memory_mb(pids: list[int]) -> float:
    """Their memory together; what several of them share counts once (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def measured(command: list[str | Path], *, limit: float = 3600, env: dict[str, str] | None = None) -> Turn:
    """Run a command. Processes that it leaves behind are children of this one and counted too; they have five seconds to end."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    before, begun, peak, done = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0, threading.Event()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env)

        def sample() -> None:
            nonlocal peak
            while True:
                peak = max(peak, memory_mb(family(process.pid)))
                if done.wait(EVERY):
                    return

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            code: int | str = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = f"took longer than {limit:.0f} seconds"
        finally:
            seconds = time.perf_counter() - begun
            done.set()
            sampler.join()
            if process.poll() is None:
                end(family(process.pid))
                process.wait()
        reap_others()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    failed = "" if not code else code if isinstance(code, str) else last_error(lines) or f"exit code {code}"
    return Turn(seconds, cpu, peak, failed, lines[-1] if lines else "")


def last_error(lines: list[str]) -> str:
    """The last line of an error: one that says so, or any that has words."""
    worded = [line.strip() for line in lines if re.search(r"\w", line)]
    return next((line for line in reversed(worded) if re.search(r"error\S*: ", line, re.IGNORECASE)), "".join(worded[-1:]))


def reap_others(patience: float = 5.0) -> None:
    """Wait for orphans, and end those that stay."""
    until = time.monotonic() + patience
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.05)
            if time.monotonic() > until:
                end(family(os.getpid())[1:])


def end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def disk_mb(path: Path) -> float:
    return sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file()) / 1e6


def machine() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, {memory:.0f} GiB, {platform.system()} {platform.release()}"
    )


def versions(*names: str, python: str | Path = sys.executable) -> str:
    """A Python and packages of its environment, those that are there."""
    ask = "import platform, importlib.metadata as m; print('Python', platform.python_version())\n"
    ask += "for d in sorted(m.distributions(), key=lambda d: d.name): print(d.name, d.version)"
    lines = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.splitlines()
    known = {name.lower(): (name, number) for name, _, number in (line.partition(" ") for line in lines)}
    return ", ".join(" ".join(known[name.lower()]) for name in ("Python", *names) if name.lower() in known)
