"""The three streams of the program, whatever the caller has done to them: closed, full, or with a reader that went away.

The law, for every verb:

* what the program did decides the exit code. A reader that goes away (``| head -1``) or a closed stdout (``>&-``) wants no more output, and
  changes no exit code; nor does anything about stderr;
* a stdout that is there and cannot be written (``> /dev/full``) loses a result that somebody wants. A verb that would have ended with 0
  ends with 3 then, and says on stderr that its work is done and only its words are lost;
* no stream makes a traceback.

A descriptor that is closed is opened on the null device: else the next file that the program opens would get its number, and what a library
writes to "stderr" would end up in that file.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from refinery_beam.errors import EnvironmentFault


class Guarded(io.TextIOBase):
    """A text stream that never raises for what becomes of its output; `lost` is the reason why some of it was lost though it was wanted."""

    def __init__(self, stream: TextIO | None, descriptor: int) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._over = stream is None
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text if anybody can still get it."""
        if not self._over and self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush if anybody can still get it."""
        if not self._over and self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def close(self) -> None:
        """Does nothing: the stream is the interpreter's."""

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._stream is not None and self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """How text becomes bytes."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of characters that the encoding lacks."""
        return "backslashreplace"

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The bytes below. What is written there is not guarded."""
        return getattr(self._stream, "buffer", None) or io.BytesIO()

    def _fail(self, error: OSError | ValueError) -> None:
        self._over = True
        wanted = isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EBADF)
        self.lost = error if wanted and isinstance(error, OSError) else None
        # The interpreter flushes its own streams when it ends, and would end with code 120.
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)
            os.close(null)


def guard() -> Guarded:
    """Put guarded streams in place of the interpreter's, for the rest of the process; gives that of stdout."""
    for descriptor in range(3):
        _occupy(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown as an escape.
            stream.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for the rest of the process
    out = Guarded(sys.stdout, 1)
    sys.stdout, sys.stderr = out, Guarded(sys.stderr, 2)
    return out


def finish(out: Guarded, code: int) -> int:
    """Flush what is left, and give the exit code: `code`, or 3 where a result was lost that somebody wants."""
    out.flush()
    if out.lost is None or code != 0:
        sys.stderr.flush()
        return code
    reason = (out.lost.strerror or str(out.lost)).lower()
    error = EnvironmentFault(f"the work is done, and its result could not be printed: {reason}", code="output-lost", value=reason)
    sys.stderr.write(f"error: {error.render()}\n")
    sys.stderr.flush()
    return error.exit_code


def _occupy(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
