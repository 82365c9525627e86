"""Seconds by phase, and the memory of a run with all its processes.

The run may go on in a child process (`crashes.forked_run`), so the numbers are in memory that both share. Memory is what Linux calls the
proportional set, added up over the processes below the one that began: of a page that several share each has its part, so it counts once.
Elsewhere it is what the system says of the largest single process.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

PHASES = ("prepare", "lookup", "start", "engine", "collect", "promote", "pictures", "report")
SECONDS_BETWEEN = 1.0
"""How often memory is read."""

_NUMBER = struct.Struct("<d")


class Meter:
    """Adds up seconds by phase, and keeps the most memory that was ever read.

    >>> meter = Meter()
    >>> with meter.phase("prepare"):
    ...     pass
    >>> list(meter.seconds()), meter.seconds()["prepare"] < 60
    (['prepare'], True)
    """

    def __init__(self) -> None:
        # Anonymous and shared: what a forked child writes, its parent reads.
        self._shared = mmap.mmap(-1, (len(PHASES) + 1) * _NUMBER.size)
        self._root = os.getpid()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the time inside for a phase; failures count too."""
        begun = monotonic()
        try:
            yield
        finally:
            self._put(PHASES.index(name), self._get(PHASES.index(name)) + monotonic() - begun)

    @contextmanager
    def memory(self) -> Iterator[None]:
        """Reads the memory of all processes now and then while the block runs."""
        stop = threading.Event()

        def read() -> None:
            while not stop.wait(SECONDS_BETWEEN):
                self._put(len(PHASES), max(self._get(len(PHASES)), tree_memory(self._root)))

        reader = threading.Thread(target=read, name="memory", daemon=True)
        if sys.platform == "linux":
            reader.start()
        try:
            yield
        finally:
            stop.set()
            if reader.ident is not None:
                reader.join()

    def seconds(self) -> dict[str, float]:
        """Seconds by phase, of the phases that there were."""
        return {name: round(self._get(i), 3) for i, name in enumerate(PHASES) if self._get(i)}

    def peak_memory(self) -> int:
        """The most bytes that were read, or that the system says one of the processes had."""
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return max(int(self._get(len(PHASES))), largest * unit)

    def _get(self, number: int) -> float:
        value: float = _NUMBER.unpack_from(self._shared, number * _NUMBER.size)[0]
        return value

    def _put(self, number: int, value: float) -> None:
        _NUMBER.pack_into(self._shared, number * _NUMBER.size, value)


def tree_memory(root: int) -> int:
    """The bytes in memory of a process and of all processes below it, shared pages once, on Linux; 0 where /proc tells nothing.

    >>> tree_memory(os.getpid()) > 0 or sys.platform != "linux"
    True
    """
    parents: dict[int, int] = {}
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return 0
    for name in names:
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # it may have ended
            parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    total = 0
    for pid in parents:
        above: int | None = pid
        while above not in (None, 0, root):
            above = parents.get(above)
        total += _memory(pid) if above == root else 0
    return total


def _memory(pid: int) -> int:
    """The proportional set of a process, or its resident set where the kernel does not tell."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(b"Pss:")) * 1024
    except (OSError, StopIteration):
        pass
    with suppress(OSError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
