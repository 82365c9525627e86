"""Raises an error when a worker process dies, with the records that it was working on.

FnApiRunner does not report it: the thread that waits for the worker process raises, and the main thread waits for an answer for ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from refinery_beam.crashes.markers import Marker, read_markers
from refinery_beam.errors import EngineError


class JobDied(EngineError):
    """A job ended too early, without an error of its own. ``markers`` are the records that dead processes were working on."""

    def __init__(self, message: str, *, markers: Sequence[Marker] = (), **more: Any) -> None:
        super().__init__(message, **more)
        self.markers = tuple(markers)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, arguments = super().__reduce__()
        return (rebuild, arguments, {"markers": self.markers})


def worker_died(how: str, markers: Sequence[Marker]) -> JobDied:
    """The error for a dead worker process, or for a run in threads that a codec crashed; ``how`` is a signal's name."""
    return JobDied(f"the process at work died ({how})", markers=markers, code="worker-died", value=how)


class Ending:
    """What ended a running job early: a worker that died, or Ctrl-C."""

    def __init__(self, work: str) -> None:
        self._work = work
        self.first: JobDied | None = None
        self.interrupted = False
        self.on_interrupt: Callable[[], None] = lambda: None

    def worker_died(self, how: str) -> None:
        """Take down the first worker that died, with the records it was working on: the markers of workers that still run do not count."""
        if self.first is None:
            self.first = worker_died(how, read_markers(self._work))


@contextmanager
def raises_job_died(work: str) -> Iterator[Ending]:
    """While the body runs, Ctrl-C ends it with KeyboardInterrupt; if a worker has died, a failure of the body is JobDied. `work` has the
    markers.

    A KeyboardInterrupt raised inside a DoFn, which in the threads mode runs on the main thread, comes back wrapped in a RuntimeError of the
    engine. Where this process was started to ignore SIGINT (``nohup``, ``&`` in a script), it goes on ignoring it.
    """
    ending = Ending(work)
    hook_before = threading.excepthook
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else signal.SIG_IGN

    def hook(args: Any) -> None:
        if not _is_about_a_closed_connection(args):
            hook_before(args)

    def handler(number: int, frame: Any) -> None:
        ending.interrupted = True
        ending.on_interrupt()
        signal.default_int_handler(number, frame)

    threading.excepthook = hook
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
    failed = True
    try:
        yield ending
        failed = False
    except BaseException as error:
        if ending.interrupted:
            raise KeyboardInterrupt from error
        if ending.first is not None:
            raise ending.first from error
        raise
    finally:
        if not failed:
            threading.excepthook = hook_before
        # After a failure the hook stays: threads of the dead job still end, and would print tracebacks nobody can use.
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, before)


def _is_about_a_closed_connection(args: Any) -> bool:
    """Whether the engine itself raised a thread's exception, because the other end of a connection is gone. It is no news."""
    name = args.thread.name if args.thread is not None else ""
    kind = args.exc_type.__module__.split(".", 1)[0] if args.exc_type is not None else ""
    return kind == "grpc" or name.startswith(("beam_control_read", "read_grpc_client_inputs"))
