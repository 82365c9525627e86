"""A live line on stderr: the pass, the records done and in all, the rate, and the time left.

Counts come from the heartbeat files of workers (see `pipeline.heartbeat`), so the line is the same on every engine whose workers share
the work folder; only some engines pass on Beam's own counters while a job runs. Without a shared folder, counts come from the engine.
A bundle that is processed twice counts twice, so the counts are for the live line only, which never shows more than the total and never
runs backwards; the final numbers are counted from rows.

On a terminal one line is redrawn; on one that cannot go back in a line (``TERM=dumb``), and with ``--verbose`` elsewhere, a plain line is
printed every ten seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from refinery_beam import locations
from refinery_beam.visible import visible

WORDS = {"digest": "reading", "peek": "looking into files for", "fit": "fitting", "write": "writing"}
"""The verb of a pass, by the first word of its name."""

NOUN = "records"
"""The noun for counted things if the caller names none."""

WINDOW_SECONDS = 10.0
"""The rate covers these last seconds: the first records of a pass wait for workers to start."""

SURE_SECONDS = 2.0
"""A rate over less is not shown, nor the time left by it."""

STILL_SECONDS = 2.0
"""A pass whose count stays the same for so long gives way to one that moves."""

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
    """Finds the running pass and its rate from counts and the times of reading them. `total` is the default for passes without a total.

    What it shows of a pass never falls: a file that cannot be read for a moment, a bundle that is tried again and a worker that starts anew
    make sums smaller or larger than what is done. Nor does it leave a pass that is under way for one that was left before.
    """

    def __init__(self, total: int, *, noun: str = NOUN) -> None:
        self._total = total
        self._noun = noun
        self._shown: dict[str, Count] = {}
        self._said: dict[str, int] = {}
        self._shares: dict[str, int] = {}
        self._history: dict[str, deque[tuple[float, int]]] = {}
        self._name = ""

    def line(self, counts: Mapping[str, Count], now: float) -> str:
        """The line for the pass that is under way; '' before any pass has begun."""
        moved = []
        for name, count in counts.items():
            before = self._shown.get(name, Count())
            self._shown[name] = Count(max(before.done, count.done), max(before.of, count.of))
            if count.done > before.done:
                moved.append(name)
                self._note(name, now)
        self._go_on(moved, now)
        if not self._name:
            return ""
        count = self._count(self._name)
        self._said[self._name] = count.done
        share = 100 * count.done // count.of if count.of else 0
        if share < self._shares.get(self._name, 0):
            # More records have come than were known of: without a total until the share is again what it was.
            return render(self._name, Count(count.done), self._rate(now), noun=self._noun)
        self._shares[self._name] = share
        return render(self._name, count, self._rate(now), noun=self._noun)

    def _note(self, name: str, now: float) -> None:
        history = self._history.setdefault(name, deque())
        history.append((now, self._count(name).done))
        while now - history[0][0] > WINDOW_SECONDS and len(history) > 2:
            history.popleft()

    def _count(self, name: str) -> Count:
        """What is shown of a pass: never more than its total, and never less than was said before its total was known."""
        count, said = self._shown.get(name, Count()), self._said.get(name, 0)
        of = max(count.of or self._total, said)
        return Count(min(count.done, of) if of else count.done, of)

    def _go_on(self, moved: Sequence[str], now: float) -> None:
        """Go to another pass that moves once this one is through, or stands still: passes of one stage move by turns."""
        others = [name for name in moved if name != self._name]
        if not others or (self._name in moved and not self._through(self._name)):
            return
        if self._name and not self._through(self._name) and now - self._history[self._name][-1][0] < STILL_SECONDS:
            return
        self._name = next((name for name in others if not self._through(name)), others[0])

    def _through(self, name: str) -> bool:
        count = self._count(name)
        return bool(count.of) and count.done >= count.of

    def _rate(self, now: float) -> float:
        """Records a second, once it is known: the first records of a pass wait for workers to start, and say nothing of the rest. So it
        takes `SURE_SECONDS`, and a second half that goes about as fast as the whole; after the window it is what it is.
        """
        history = self._history[self._name]
        (begun, first), (_, last) = history[0], history[-1]
        span = now - begun
        if span < SURE_SECONDS or last <= first:
            return 0.0
        rate = (last - first) / span
        if span < WINDOW_SECONDS:
            at, half = next((moment for moment in reversed(history) if moment[0] <= begun + span / 2), history[0])
            late = (last - half) / (now - at) if now > at else 0.0
            if not rate / 2 <= late <= rate * 2:
                return 0.0
        return rate


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
        self._terminal = out.isatty() and os.environ.get("TERM", "") != "dumb"
        self._passes = Passes(total, noun=noun)
        self._last_plain = time.monotonic()
        self._width = 0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self.clear()
            self._out.write(visible(text) + "\n")
            self._out.flush()

    def show(self, counts: Mapping[str, Count]) -> None:
        with self._lock:
            self._show(counts)

    def _show(self, counts: Mapping[str, Count]) -> None:
        now = time.monotonic()
        text = self._passes.line(counts, now) or f"starting the engine for {self._total:,} {self._noun}"
        if self._terminal:
            text = visible(text)[: max(20, _columns(self._out) - 1)]
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif now - self._last_plain >= PLAIN_SECONDS:
            self._last_plain = now
            self._out.write(visible(text) + "\n")
        self._out.flush()

    def clear(self) -> None:
        if self._terminal and self._width:
            self._out.write("\r" + " " * self._width + "\r")
            self._out.flush()
            self._width = 0


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _redraw(read: Callable[[], Mapping[str, Count]], line: _Line, stop: threading.Event, pause: float) -> None:
    while not stop.wait(pause):
        try:
            line.show(read())
        except (OSError, ValueError):
            return
