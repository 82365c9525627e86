"""Processes forked from this one before the engine starts its threads. They prepare records, for which threads of one process would wait
for the interpreter's lock: most of the time where images are small.

Forking costs some milliseconds and shares what is imported already, where a new process would import Beam again. Linux only, and only while
this process has no other thread. Each process has a line, a thread of this process that waits for its answers.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, NoReturn, TypeVar

from refinery_beam.crashes.endings import name_of_end, wait_for_end
from refinery_beam.crashes.forked_run import ChildDied, can_fork, pickled
from refinery_beam.crashes.parent_death import die_with_parent

T = TypeVar("T")


class ForkedPool:
    """Some forked processes. ``died`` is called once with how the first of them ended too early."""

    def __init__(self, processes: int, tell: Callable[[str], None] = lambda words: None) -> None:
        self.processes = processes
        self.tell = tell
        self.pays: bool | None = None
        self.died: Callable[[str], None] = lambda how: None
        self._own = threading.local()
        self._lock = threading.Lock()
        self._over = False
        self._ends: dict[int, str] = {}
        self._forks: list[tuple[int, Connection]] = []
        for _ in range(processes):
            self._forks.append(self._fork())
        self._free = list(self._forks)
        self.lines = ThreadPoolExecutor(processes, thread_name_prefix="refinery-line")

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in the process of this line; gives what it returns, or raises what it raises. Raises ChildDied if it dies."""
        pid, connection = self._fork_of_line()
        try:
            connection.send_bytes(pickle.dumps((function, arguments), protocol=5))
            worked, value = pickle.loads(connection.recv_bytes())  # noqa: S301 - from a process forked from this one
        except (EOFError, OSError):
            raise self._ended(pid) from None
        if worked:
            return value  # type: ignore[no-any-return]
        raise value

    def decide(self, pays: bool) -> bool:
        """Set whether work is given to the processes, `pays`, unless another thread was first. Gives whether this one was."""
        with self._lock:
            first = self.pays is None
            self.pays = pays if first else self.pays
        return first

    def close(self) -> None:
        """End the processes, at once; a second call does nothing. What waits for an answer fails."""
        with self._lock:
            self._over = True
            for pid, _ in self._forks:
                if pid not in self._ends:
                    with suppress(ProcessLookupError):  # gone, and its end was not kept
                        os.kill(pid, signal.SIGKILL)
        self.lines.shutdown(wait=True, cancel_futures=True)
        for pid, connection in self._forks:
            self._end_of(pid)
            connection.close()

    def _fork_of_line(self) -> tuple[int, Connection]:
        """The process of the line that this thread is."""
        fork: tuple[int, Connection] | None = getattr(self._own, "fork", None)
        if fork is None:
            with self._lock:
                fork = self._own.fork = self._free.pop()
        return fork

    def _ended(self, pid: int) -> ChildDied:
        how = self._end_of(pid) or name_of_end(0)
        with self._lock:
            first, self._over = not self._over, True
        if first:
            self.died(how)
        return ChildDied(how)

    def _end_of(self, pid: int) -> str:
        """Wait until a process has ended; gives how."""
        with self._lock:
            if pid not in self._ends:
                self._ends[pid] = wait_for_end(pid)
            return self._ends[pid]

    def _fork(self) -> tuple[int, Connection]:
        ours, theirs = Pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            for _, other in self._forks:
                other.close()
            _serve(theirs, parent)
        theirs.close()
        return pid, ours


def _serve(connection: Connection, parent: int) -> NoReturn:
    """Answer until the other end is gone."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        die_with_parent()
        while os.getppid() == parent:
            function, arguments = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the parent
            try:
                answer = (True, function(*arguments))
            except Exception as error:
                answer = (False, error)
            connection.send_bytes(pickled(answer))
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)


class ForkedExecutor:
    """As much of an executor as those who hash files need, over a pool that it ends."""

    def __init__(self, pool: ForkedPool) -> None:
        self._pool = pool

    def submit(self, function: Callable[..., T], /, *arguments: Any) -> Future[T]:
        """Call a function in one of the processes."""
        return self._pool.lines.submit(self._pool.call, function, *arguments)

    def shutdown(self, *, cancel_futures: bool = False) -> None:
        """End the processes; what waits is given up in any case."""
        self._pool.close()


def forked_executor(processes: int) -> ForkedExecutor | None:
    """An executor of so many processes; None for less than two, or where this process cannot fork."""
    return ForkedExecutor(ForkedPool(processes)) if processes > 1 and can_fork() else None


_pool: ForkedPool | None = None


def forked_pool() -> ForkedPool | None:
    """The pool of this process, if it has one now."""
    return _pool


@contextmanager
def forking(processes: int, tell: Callable[[str], None]) -> Iterator[None]:
    """While the body runs, this process has a pool of so many processes, unless that is less than two or it cannot fork."""
    global _pool
    if processes < 2 or not can_fork():
        yield
        return
    pool = _pool = ForkedPool(processes, tell)
    try:
        yield
    finally:
        _pool = None
        pool.close()
