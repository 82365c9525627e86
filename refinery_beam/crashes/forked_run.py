"""Runs a function in a child process, so that the parent survives and can say how the child ended.

Where workers are threads of the run, the run decodes files itself: a codec that crashes kills the run, and nobody could say on which
record. So the command line forks before Beam is imported. The parent only waits, and reads the markers if the child dies. This costs some
milliseconds, and no memory that the child would not need anyway. Linux only: on other systems a child does not end with its
parent, and would go on after a ``kill -9`` of the run. There, and for callers of the library, the next run reads the markers.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from refinery_beam.crashes.endings import NOT_KEPT, name_of_end, wait_for_end
from refinery_beam.crashes.parent_death import die_with_parent
from refinery_beam.errors import EngineError
from refinery_beam.processes import collect_rarely

T = TypeVar("T")


class ChildDied(Exception):
    """The child ended without a result; `how` is a signal's name or ``exit code N``."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


def can_fork() -> bool:
    """Whether `run_forked` works here: on Linux, on the main thread of a process that has no other thread."""
    return sys.platform == "linux" and threading.active_count() == 1 and threading.current_thread() is threading.main_thread()


def run_forked(body: Callable[[], T], *, meanwhile: Callable[[], object] = lambda: None) -> T:
    """Call `body` in a child process; give what it returns, or raise what it raises. Raises ChildDied if the child ends without either.

    The parent passes Ctrl-C and Ctrl-Z of the terminal on to the child, once each. The child is killed if the parent dies. Before the
    parent waits it calls `meanwhile`, which may fail: it only gets ready what the parent needs later.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # a caller of the library may have closed them
            stream.flush()
    parent = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_the_child(body, writer, parent)
    os.close(writer)
    with _signals_passed_on(pid), os.fdopen(reader, "rb") as answers:
        with suppress(Exception):
            meanwhile()
        answer = answers.read()
        how = wait_for_end(pid)
    if not answer or how not in ("", NOT_KEPT):
        raise ChildDied(how or name_of_end(0))
    worked, value = pickle.loads(answer)  # noqa: S301 - from this very process's child
    if worked:
        return value  # type: ignore[no-any-return]
    raise value


def _be_the_child(body: Callable[[], Any], writer: int, parent: int) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on
        # To the terminal this is now a process in the background, which `stty tostop` would stop at its first word, for ever.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        die_with_parent()
        collect_rarely()
        if os.getppid() == parent:
            try:
                answer = (True, body())
            except BaseException as error:
                answer = (False, error)
            with os.fdopen(writer, "wb") as file:
                file.write(pickled(answer))
            status = 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)


def pickled(answer: tuple[bool, Any]) -> bytes:
    """(True, a result) or (False, an exception), as bytes that another process can unpickle."""
    try:
        data = pickle.dumps(answer, protocol=5)
        if not answer[0]:
            pickle.loads(data)  # noqa: S301 - an exception may be pickled and yet not be unpickled
        return data
    except Exception:
        # Some exceptions of libraries cannot be pickled. Their text is passed on, their type is lost.
        kind = type(answer[1])
        return pickle.dumps((False, EngineError(f"{kind.__name__}: {answer[1]}", code="engine-failed", value=kind.__name__)))


@contextmanager
def _signals_passed_on(pid: int) -> Iterator[None]:
    """While the body runs, Ctrl-C interrupts the child, and Ctrl-Z stops the child and this process until both are continued.

    A signal that this process was started to ignore (``nohup``, ``&`` in a script) stays ignored: it was meant for others.
    """

    def interrupt(_: int, __: Any) -> None:
        os.kill(pid, signal.SIGINT)

    def stop(_: int, __: Any) -> None:
        os.kill(pid, signal.SIGSTOP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, stop)
        os.kill(pid, signal.SIGCONT)

    handlers = ((signal.SIGINT, interrupt), (signal.SIGTSTP, stop))
    before = {number: signal.signal(number, handler) for number, handler in handlers if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
