"""A live line on stderr: the pass, the records done and in all, the rate, and the time left.

Counts come from the heartbeat files of workers (see `pipeline.heartbeat`), so the line is the same on every engine whose workers share
the work folder; only some engines pass on Beam's own counters while a job runs. Without a shared folder, counts come from the engine.
A bundle that is processed twice counts twice, so the counts are for the live line only: the final numbers are counted from rows.

On a terminal one line is redrawn. Elsewhere nothing is printed, or with ``--verbose`` a plain line every ten seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from refinery_beam import locations

WORDS = {"digest": "reading", "peek": "looking into files for", "fit": "fitting", "write": "writing"}
"""The verb of a pass, by the first word of its name."""

NOUN = "records"
"""The noun for counted things if the caller names none."""

WINDOW_SECONDS = 10.0
"""The rate covers these last seconds: the first records of a pass wait for workers to start."""

PLAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Count:
    """One pass: records finished, and records that go through it (0 where not known yet)."""

    done: int = 0
    of: int = 0


def read_counts(work: str) -> dict[str, Count]:
    """The passes of a job by name, summed over heartbeats."""
    return sum_counts(_heartbeats(locations.join(work, "progress")))


def sum_counts(counts: Iterable[tuple[str, int]]) -> dict[str, Count]:
    """The passes by name; ``of.`` before a name is the number of records that will go through it.

    >>> sum_counts([("write", 2), ("of.write", 9), ("write", 3)])
    {'write': Count(done=5, of=9)}
    """
    done: dict[str, int] = {}
    of: dict[str, int] = {}
    for name, count in counts:
        into, key = (of, name[3:]) if name.startswith("of.") else (done, name)
        into[key] = into.get(key, 0) + count
    return {key: Count(done.get(key, 0), of.get(key, 0)) for key in sorted(done.keys() | of.keys())}


def _heartbeats(folder: str) -> Iterator[tuple[str, int]]:
    try:
        names = locations.names(folder)
    except OSError:
        return
    for name in names:
        try:
            yield name.rsplit("-", 2)[0], int(locations.read(locations.join(folder, name)) or 0)
        except (OSError, ValueError):
            continue  # a worker is still writing the file


def render(name: str, count: Count, rate: float = 0.0, *, noun: str = NOUN) -> str:
    """The line of a pass; `rate` is records a second, 0 while it is unknown; `noun` names the counted things.

    >>> render("write", Count(1234, 4000), 617.0, noun="images")
    'writing: 1,234 of 4,000 images (30%), 617 images/s, 0:05 left'
    >>> render("fit.train-1", Count(5, 0))
    'fitting train-1: 5 records'
    """
    kind, _, what = name.partition(".")
    done = min(count.done, count.of) if count.of else count.done
    text = " ".join(word for word in (WORDS.get(kind, kind), what) if word) + f": {done:,}"
    text += f" of {count.of:,} {noun} ({100 * done // count.of}%)" if count.of else f" {noun}"
    if rate > 0:
        text += f", {rate:,.0f} {noun}/s" if rate >= 10 else f", {rate:.1f} {noun}/s"
        if count.of:
            left = -int(-(count.of - done) // rate)
            text += f", {left // 60}:{left % 60:02d} left"
    return text


class Passes:
    """Finds the running pass and its rate from counts and the times of reading them. `total` is the default for passes without a total."""

    def __init__(self, total: int, *, noun: str = NOUN) -> None:
        self._total = total
        self._noun = noun
        self._last: Mapping[str, Count] = {}
        self._history: dict[str, deque[tuple[float, int]]] = {}
        self._name = ""

    def line(self, counts: Mapping[str, Count], now: float) -> str:
        """The line for the pass whose count changed last; '' before any pass has begun."""
        for name, count in counts.items():
            if count.done != self._last.get(name, Count()).done:
                self._name = name
                history = self._history.setdefault(name, deque())
                history.append((now, count.done))
                while now - history[0][0] > WINDOW_SECONDS and len(history) > 2:
                    history.popleft()
        self._last = dict(counts)
        if not self._name:
            return ""
        count = counts[self._name]
        return render(self._name, Count(count.done, count.of or self._total), self._rate(now), noun=self._noun)

    def _rate(self, now: float) -> float:
        (begun, first), (_, last) = self._history[self._name][0], self._history[self._name][-1]
        return (last - first) / (now - begun) if now > begun else 0.0


@contextmanager
def live(
    work: str,
    total: int,
    *,
    noun: str = NOUN,
    stream: TextIO | None = None,
    enabled: bool = True,
    plain: bool = False,
    counts: Mapping[str, int] | None = None,
) -> Iterator[Callable[[str], None]]:
    """Show progress while the body runs; gives a function that prints another line. Never writes to stdout, never fails the run.

    `plain`: show counts without a terminal too. The caller keeps `counts` up to date, under the names of heartbeats; without `counts` the
    heartbeat files are read.
    """
    out = stream or sys.stderr
    line = _Line(out, total, noun)
    if not enabled:
        yield lambda text: None
        return
    if total <= 0 or not (plain or out.isatty()):
        yield line.say
        return
    stop = threading.Event()
    read = (lambda: sum_counts(dict(counts).items())) if counts is not None else (lambda: read_counts(work))
    # On a store every read is a listing, and heartbeats come as rarely.
    pause = 10.0 if counts is None and locations.is_url(work) else 0.2
    thread = threading.Thread(target=_redraw, args=(read, line, stop, pause), name="refinery-progress", daemon=True)
    thread.start()
    try:
        yield line.say
    finally:
        stop.set()
        thread.join(timeout=2)
        line.clear()


class _Line:
    def __init__(self, out: TextIO, total: int, noun: str) -> None:
        self._out, self._total, self._noun = out, total, noun
        self._terminal = out.isatty()
        self._passes = Passes(total, noun=noun)
        self._last_plain = time.monotonic()
        self._width = 0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self.clear()
            self._out.write(text + "\n")
            self._out.flush()

    def show(self, counts: Mapping[str, Count]) -> None:
        with self._lock:
            self._show(counts)

    def _show(self, counts: Mapping[str, Count]) -> None:
        now = time.monotonic()
        text = self._passes.line(counts, now) or f"starting the engine for {self._total:,} {self._noun}"
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
            self._width = 0


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return 80


def _redraw(read: Callable[[], Mapping[str, Count]], line: _Line, stop: threading.Event, pause: float) -> None:
    while not stop.wait(pause):
        try:
            line.show(read())
        except (OSError, ValueError):
            return
