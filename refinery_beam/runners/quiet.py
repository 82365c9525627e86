"""Hides the output of Beam and of worker processes: the user reads of a failure once, from one exception."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def quiet_beam(*, enabled: bool = True) -> Iterator[None]:
    """Inside, Beam writes no log lines.

    Beam warns about libraries that nobody uses, and logs every exception of a worker with two tracebacks before it raises it. The user
    reads the exception, once.
    """
    before = logging.root.manager.disable
    own = logging.getLogger("apache_beam")
    if enabled:
        logging.disable(logging.CRITICAL)
    try:
        yield
        own.setLevel(logging.NOTSET)
    except BaseException:
        # The threads of a failed job go on for a moment, and then log that their files are gone.
        if enabled:
            own.setLevel(logging.CRITICAL + 1)
        raise
    finally:
        logging.disable(before)


@contextmanager
def stderr_set_aside(path: str, *, enabled: bool) -> Iterator[TextIO]:
    """Send the stderr of worker processes to a file; gives a stream that still reaches the user. Does nothing if not `enabled`.

    Worker processes inherit the descriptor and print import warnings and tracebacks of hung-up connections there.
    """
    if not enabled or sys.stderr is None:
        yield sys.stderr or io.StringIO()
        return
    sys.stderr.flush()
    saved, before = os.dup(2), sys.stderr
    with open(path, "ab", buffering=0) as file, os.fdopen(saved, "w", buffering=1, closefd=False) as kept:
        os.dup2(file.fileno(), 2)
        sys.stderr = Unfailing(before)
        try:
            yield kept
        finally:
            sys.stderr.flush()
            sys.stderr = before
            os.dup2(saved, 2)
            os.close(saved)


class Unfailing(io.TextIOBase):
    """A text stream whose losses nobody hears of: what cannot be written, because a disk is full or a reader is gone, is left out.

    Beam's workers print an exception before they report it. If that print fails, the report is never sent, and the engine waits for ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._stream.fileno()


def import_beam(*, talk: bool = False) -> None:
    """Import Beam and the rooms that are built on it; `talk` lets Beam write its own log lines.

    The one door to Beam: call it before the first import of a module that needs it, on the far side of the cache look-up and of the fork.
    Imports after it print nothing.
    """
    with quiet_beam(enabled=not talk):
        import refinery_beam.pipeline.rows.digest_files
        import refinery_beam.pipeline.translate  # noqa: F401


_import: threading.Thread | None = None


def begin_import(*, talk: bool = False) -> None:
    """Begin `import_beam` in a thread, while this one waits for something else."""
    global _import
    if _import is None and "apache_beam" not in sys.modules:
        _import = threading.Thread(target=_try_import, args=(talk,), name="imports Beam")
        _import.start()


def end_import() -> None:
    """Wait for what `begin_import` began: a process that forks must have one thread."""
    global _import
    if _import is not None:
        _import.join()
        _import = None


def _try_import(talk: bool) -> None:
    with suppress(Exception):  # whoever needs Beam imports it again, and hears of the error
        import_beam(talk=talk)
