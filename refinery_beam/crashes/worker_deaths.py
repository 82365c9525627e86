"""Turns the death of a worker process into an error that lists the records the dead process was working on.

FnApiRunner does not report it: the thread that waits for the worker process raises, and the main thread waits for an answer for ever.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from refinery_beam.crashes.endings import name_of_end
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
    return JobDied(
        f"the process at work died ({how})",
        markers=markers,
        code="worker-died",
        value=how,
        rule="worker processes live until the job is done",
        remedy="memory ran out, most likely, or somebody ended it: try fewer --workers, or run again; nothing was promoted",
    )


@contextmanager
def raises_worker_deaths(work: str) -> Iterator[None]:
    """While the body runs, the death of a worker process ends it with JobDied, and Ctrl-C with KeyboardInterrupt. `work` has the markers.

    Beam does neither. A dead worker leaves the main thread waiting for an answer. A KeyboardInterrupt raised inside a DoFn, which in the
    threads mode runs on the main thread, comes back wrapped in a RuntimeError of the engine. Where this process was started to ignore
    SIGINT (``nohup``, ``&`` in a script), it goes on ignoring it, and so do its workers; a worker's death is told by another signal.
    """
    dead: list[JobDied] = []
    interrupted: list[bool] = []
    hook_before = threading.excepthook
    main = threading.current_thread() is threading.main_thread()
    interruption = signal.SIGINT if not main or signal.getsignal(signal.SIGINT) != signal.SIG_IGN else signal.SIGUSR1
    handler_before = signal.getsignal(interruption) if main else None
    over: list[bool] = []

    def hook(args: Any) -> None:
        text = str(args.exc_value)
        if "Worker subprocess exited" in text:
            # The other workers end too, some of them after the run is over. The first death is reported, and the markers are read at once,
            # while the others' processes still live and do not count.
            if not dead and not over:
                dead.append(worker_died(_how(text), read_markers(work)))
                os.kill(os.getpid(), interruption)
        elif not _is_about_a_closed_connection(args):
            hook_before(args)

    def handler(number: int, frame: Any) -> None:
        interrupted.append(True)
        signal.default_int_handler(number, frame)

    threading.excepthook = hook
    if main:
        signal.signal(interruption, handler)
    failed = True
    try:
        yield
        failed = False
    except BaseException as error:
        if dead:
            raise dead[0] from error
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        over.append(True)
        if not failed:
            threading.excepthook = hook_before
        # After a failure the hook stays: threads of the dead job still end, and would print tracebacks nobody can use.
        if main:
            signal.signal(interruption, handler_before)


def _is_about_a_closed_connection(args: Any) -> bool:
    """Whether an exception of a thread is one of the engine's own, about a connection whose other end is gone. It says nothing of use."""
    name = args.thread.name if args.thread is not None else ""
    kind = args.exc_type.__module__.split(".", 1)[0] if args.exc_type is not None else ""
    return kind == "grpc" or name.startswith(("beam_control_read", "read_grpc_client_inputs"))


def _how(text: str) -> str:
    """How a worker process ended, from the engine's message about it."""
    code = re.search(r"return code (-?\d+)", text)
    return name_of_end(int(code[1])) if code else text
