"""A run in a child process, and a parent that lives to tell how it ended.

Where workers are threads of the run, it decodes images itself: a codec that crashes takes it along, and nobody is left to say on which
record. So the command line forks before Beam is imported; the parent does nothing but wait, and reads the marks if the child dies. It costs
some milliseconds, and no memory that the child would not have too. Linux only: elsewhere a child cannot be told to end with its parent, and
would go on after a ``kill -9`` of the run. There, and for callers of the library, the next run finds the marks.
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

from refinery_beam.crashes.parent_death import die_with_parent
from refinery_beam.crashes.retry_alone import name_of_end
from refinery_beam.errors import EngineError

T = TypeVar("T")


class ChildDied(Exception):
    """The child ended without a result; `how` is a signal's name or ``exit code N``."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


def can_watch() -> bool:
    """Whether `in_a_child` works here: on Linux, on the main thread of a process that has no other."""
    return sys.platform == "linux" and threading.active_count() == 1 and threading.current_thread() is threading.main_thread()


def in_a_child(body: Callable[[], T]) -> T:
    """What `body` returns or raises, in a child process. Raises ChildDied.

    Ctrl-C and SIGSTOP at the terminal reach the child through the parent, once. The child is killed if the parent dies.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(body, writer, parent)
    os.close(writer)
    with _signals_passed_on(pid), os.fdopen(reader, "rb") as answers:
        answer = answers.read()
        _, status = os.waitpid(pid, 0)
    if not answer or status:
        raise ChildDied(name_of_end(os.waitstatus_to_exitcode(status)))
    worked, value = pickle.loads(answer)  # noqa: S301 - from this very process's child
    if worked:
        return value  # type: ignore[no-any-return]
    raise value


def _child(body: Callable[[], Any], writer: int, parent: int) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C goes to the parent alone, which passes it on
        die_with_parent()
        if os.getppid() == parent:
            try:
                answer = (True, body())
            except BaseException as error:
                answer = (False, error)
            with os.fdopen(writer, "wb") as file:
                file.write(_pickled(answer))
            status = 0
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _pickled(answer: tuple[bool, Any]) -> bytes:
    try:
        data = pickle.dumps(answer)
        pickle.loads(data)  # noqa: S301 - an exception may write what it cannot read
        return data
    except Exception:
        # Errors of libraries fail at it in ways of their own. What they say is told then; what they are is lost.
        kind = type(answer[1])
        return pickle.dumps((False, EngineError(f"{kind.__name__}: {answer[1]}", code="engine-failed", value=kind.__name__)))


@contextmanager
def _signals_passed_on(pid: int) -> Iterator[None]:
    """Inside, Ctrl-C interrupts the child, and Ctrl-Z stops it together with this process, until both go on."""

    def interrupt(_: int, __: Any) -> None:
        os.kill(pid, signal.SIGINT)

    def stop(_: int, __: Any) -> None:
        os.kill(pid, signal.SIGSTOP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, stop)
        os.kill(pid, signal.SIGCONT)

    before = {number: signal.signal(number, handler) for number, handler in ((signal.SIGINT, interrupt), (signal.SIGTSTP, stop))}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
