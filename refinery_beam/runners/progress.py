"""A live line on stderr: what is being done, how many of how many, how fast, how long still.

Counts come from the heartbeat files workers leave (see `pipeline.context.Heartbeat`), so the line is the same on every engine whose workers
share the work folder: Beam's own counters arrive while a job runs on some engines only. They are a comfort: a bundle that is processed
twice counts twice. What is reported in the end is counted from rows.

On a terminal one line is redrawn; elsewhere nothing is said, or a plain line every ten seconds if one asks for words (``--verbose``).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from refinery_beam import places

WORDS = {"digest": "reading", "look": "looking into files for", "fit": "fitting", "write": "writing"}
"""What a pass does, by the first word of its name."""

WINDOW_SECONDS = 10.0
"""The rate is that of the last seconds: the first images of a pass wait for workers to start."""

PLAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Count:
    """One pass: records finished, and records that go through it (0 where not known yet)."""

    done: int = 0
    of: int = 0


def read_counts(work: str) -> dict[str, Count]:
    """The passes of a job by name, summed over heartbeats."""
    folder = places.join(work, "progress")
    done: dict[str, int] = {}
    of: dict[str, int] = {}
    try:
        names = places.names(folder)
    except OSError:
        return {}
    for name in names:
        into, key = (of, name[3:]) if name.startswith("of.") else (done, name)
        key = key.rsplit("-", 2)[0]
        try:
            into[key] = into.get(key, 0) + int(places.read(places.join(folder, name)) or 0)
        except (OSError, ValueError):
            continue  # being written this very moment
    return {key: Count(done.get(key, 0), of.get(key, 0)) for key in sorted(done.keys() | of.keys())}


def render(name: str, count: Count, rate: float = 0.0) -> str:
    """The line of a pass; `rate` is images a second, 0 while that cannot be told.

    >>> render("write", Count(1234, 4000), 617.0)
    'writing: 1,234 of 4,000 images (30%), 617 images/s, 0:05 left'
    >>> render("fit.train-1", Count(5, 0))
    'fitting train-1: 5 images'
    """
    kind, _, what = name.partition(".")
    done = min(count.done, count.of) if count.of else count.done
    text = " ".join(word for word in (WORDS.get(kind, kind), what) if word) + f": {done:,}"
    text += f" of {count.of:,} images ({100 * done // count.of}%)" if count.of else " images"
    if rate > 0:
        text += f", {rate:,.0f} images/s" if rate >= 10 else f", {rate:.1f} images/s"
        if count.of:
            left = -int(-(count.of - done) // rate)
            text += f", {left // 60}:{left % 60:02d} left"
    return text


class Passes:
    """Which pass is at work, and how fast. Fed with counts and the time they were read at. `total` is for passes that do not say theirs."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._last: Mapping[str, Count] = {}
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._name = ""

    def line(self, counts: Mapping[str, Count], now: float) -> str:
        """What to show: the pass that moved last, or '' before any has begun."""
        for name, count in counts.items():
            if count.done != self._last.get(name, Count()).done:
                self._name = name
                seen = self._seen.setdefault(name, deque())
                seen.append((now, count.done))
                while now - seen[0][0] > WINDOW_SECONDS and len(seen) > 2:
                    seen.popleft()
        self._last = dict(counts)
        if not self._name:
            return ""
        count = counts[self._name]
        return render(self._name, Count(count.done, count.of or self._total), self._rate(now))

    def _rate(self, now: float) -> float:
        (begun, first), (_, last) = self._seen[self._name][0], self._seen[self._name][-1]
        return (last - first) / (now - begun) if now > begun else 0.0


@contextmanager
def live(work: str, total: int, *, stream: TextIO | None = None, enabled: bool = True, plain: bool = False) -> Iterator[None]:
    """Show progress while the body runs. Never writes to stdout, never fails the run. `plain`: say something without a terminal too."""
    out = stream or sys.stderr
    if not enabled or total <= 0 or not (plain or out.isatty()):
        yield
        return
    stop = threading.Event()
    line = _Line(out, total)
    thread = threading.Thread(target=_watch, args=(work, line, stop), name="refinery-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=2)
        line.clear()


class _Line:
    def __init__(self, out: TextIO, total: int) -> None:
        self._out, self._total = out, total
        self._terminal = out.isatty()
        self._passes = Passes(total)
        self._last_plain = time.monotonic()
        self._width = 0

    def show(self, counts: Mapping[str, Count]) -> None:
        now = time.monotonic()
        text = self._passes.line(counts, now) or f"starting the engine for {self._total:,} images"
        if self._terminal:
            text = text[: max(20, _columns(self._out) - 1)]
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif now - self._last_plain >= PLAIN_SECONDS:
            self._last_plain = now
            self._out.write(text + "\n")
        self._out.flush()

    def clear(self) -> None:
        if self._terminal and self._width:
            self._out.write("\r" + " " * self._width + "\r")
            self._out.flush()


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return 80


def _watch(work: str, line: _Line, stop: threading.Event) -> None:
    # On a store every look is a listing, and heartbeats come as rarely.
    while not stop.wait(10.0 if places.is_url(work) else 0.2):
        try:
            line.show(read_counts(work))
        except (OSError, ValueError):
            return
