"""A live line on stderr: what is being done, how many of how many, how fast, how long still.

Counts come from the heartbeat files workers leave (see `pipeline.context.Heartbeat`), so the line is the same in threads and in processes;
where these cannot be read, from what the engine tells. On a terminal one line is redrawn; elsewhere a plain line appears every ten seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from refinery_beam import places

WORDS = {"select": "looking at", "fit": "fitting", "write": "writing"}


def read_counts(work: str) -> dict[str, int]:
    """Finished records by phase, summed over heartbeats."""
    folder = places.join(work, "progress")
    counts: dict[str, int] = {}
    try:
        names = places.names(folder)
    except OSError:
        return counts
    for name in names:
        phase = name.split("-", 1)[0]
        try:
            counts[phase] = counts.get(phase, 0) + int(places.read(places.join(folder, name)) or 0)
        except (OSError, ValueError):
            continue  # being written this very moment
    return counts


def render(phase: str, done: int, total: int, seconds: float) -> str:
    """The line.

    >>> render("write", 1234, 4000, 2.0)
    'writing 1,234 of 4,000 images (30%), 617 images/s, 0:05 left'
    """
    rate = done / seconds if seconds > 0 else 0.0
    done = min(done, total) if total else done
    text = f"{WORDS.get(phase, phase)} {done:,} of {total:,} images"
    if total:
        text += f" ({100 * done // total}%)"
    if rate > 0:
        left = max(0.0, (total - done) / rate)
        text += f", {rate:,.0f} images/s, {int(left) // 60}:{int(left + 0.999) % 60:02d} left"
    return text


@contextmanager
def live(
    work: str,
    total: int,
    *,
    written: int | None = None,
    stream: TextIO | None = None,
    enabled: bool = True,
    counts: Mapping[str, int] | None = None,
) -> Iterator[Callable[[str], None]]:
    """Show progress while the body runs; gives a function that says a line of its own. Never writes to stdout, never fails the run.

    `total` is the number of source records, `written` how many rows are about to be written of them. `counts` are finished records by phase
    that somebody else keeps up to date; without them heartbeats are read.
    """
    out = stream or sys.stderr
    if not enabled or total <= 0:
        yield lambda text: None
        return
    stop = threading.Event()
    line = _Line(out, total, total if written is None else written)
    read = (lambda: dict(counts)) if counts is not None else (lambda: read_counts(work))
    # On a store every look is a listing, and heartbeats come as rarely.
    seconds = 10.0 if counts is None and places.is_url(work) else 0.2
    thread = threading.Thread(target=_watch, args=(read, line, stop, seconds), name="refinery-progress", daemon=True)
    thread.start()
    try:
        yield line.say
    finally:
        stop.set()
        thread.join(timeout=2)
        line.clear()


class _Line:
    def __init__(self, out: TextIO, total: int, written: int) -> None:
        self._out, self._total, self._written = out, total, written
        self._terminal = out.isatty()
        self._started: dict[str, float] = {}
        self._last_plain = time.monotonic()
        self._width = 0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self.clear()
            self._out.write(text + "\n")
            self._out.flush()

    def show(self, counts: Mapping[str, int]) -> None:
        phase = "write" if "write" in counts else next(iter(sorted(counts)), None)
        if phase is None:
            return
        with self._lock:
            self._show(phase, counts[phase])

    def _show(self, phase: str, done: int) -> None:
        now = time.monotonic()
        begun = self._started.setdefault(phase, now)
        text = render(phase, done, self._written if phase == "write" else self._total, now - begun)
        if self._terminal:
            width = max(20, _columns() - 1)
            text = text[:width]
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif now - self._last_plain >= 10:
            self._last_plain = now
            self._out.write(text + "\n")
        self._out.flush()

    def clear(self) -> None:
        if self._terminal and self._width:
            self._out.write("\r" + " " * self._width + "\r")
            self._out.flush()
            self._width = 0


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 80


def _watch(read: Callable[[], Mapping[str, int]], line: _Line, stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
        try:
            line.show(read())
        except (OSError, ValueError):
            return
