"""About what a run costs, as values and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from refinery_beam.amounts import size_in_words

WORTH = 0.8
"""What is cheaper is said where it takes at most this share."""


@dataclass(frozen=True, kw_only=True)
class Cheaper:
    """A change of the recipe that makes a run cheaper, measured on the probed files: the new value of a field, about the seconds of the run
    then, and the bytes of the dataset. It is another recipe, with another key.
    """

    field: str
    value: Any
    seconds: float | None
    disk: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """About what a run would cost. ``files`` were probed for it; ``rows`` will be stored, as far as no filter takes records out.
    ``passes`` decode files, the one that writes among them. ``seconds`` is the time of the run with so many ``workers`` of the ``mode``
    (threads, processes, or the name of another engine). ``seconds`` and ``workers`` are None on an engine that is not local, where
    ``processor_seconds`` are divided among its workers. ``memory`` is that of all processes, or there of one worker. ``disk`` has the bytes
    of the dataset by part: content, fields, facts, sinks, others; ``free`` is what the disk of the cache has left, None on a store.
    """

    files: int
    rows: int
    passes: int
    seconds: float | None
    processor_seconds: float
    workers: int | None
    mode: str
    memory: int
    disk: Mapping[str, int]
    free: int | None
    filtered: bool = False
    cheaper: tuple[Cheaper, ...] = ()

    @property
    def disk_bytes(self) -> int:
        """The bytes of the whole dataset."""
        return sum(self.disk.values())

    @property
    def is_short(self) -> bool:
        """Whether the dataset does not fit on the disk."""
        return self.free is not None and self.disk_bytes > self.free

    def to_dict(self) -> dict[str, Any]:
        """The object that `plan --json` prints under ``cost``."""
        rounded = {"seconds": _tenths(self.seconds), "processor_seconds": _tenths(self.processor_seconds)}
        changes = [{**asdict(one), "seconds": _tenths(one.seconds)} for one in self.cheaper]
        return {**asdict(self), **rounded, "disk": dict(self.disk), "disk_bytes": self.disk_bytes, "cheaper": changes}

    def lines(self) -> list[str]:
        """The cost in words."""
        time, owner = f"about {duration(self.processor_seconds)} of one processor", " of a worker"
        if self.seconds is not None:
            time, owner = f"about {duration(self.seconds)} with {self.workers} {self.mode}", ""
        room = "" if self.free is None else f" ({size_in_words(self.free)} are free)"
        basis = f"{self.files} probed file{'s' * (self.files != 1)}: {self.rows:,} rows, {self.passes} pass{'es' * (self.passes != 1)}"
        return [
            f"Cost: {time}, {size_in_words(self.memory)} of memory{owner}, {size_in_words(self.disk_bytes)} on disk{room}",
            f"  from {basis}" + (", records that filters take out included" if self.filtered else ""),
            *(f"  {_said(one)}" for one in self.cheaper),
        ]

    def short(self, root: str) -> str:
        """That the disk of a cache root is short, and what helps."""
        changes = "".join(f", or write {_said(one)}" for one in self.cheaper if one.disk < WORTH * self.disk_bytes)
        return (
            f"the dataset takes about {size_in_words(self.disk_bytes)}, and the disk of {root} has "
            f"{size_in_words(self.free or 0)} left: free some"
            f" (refinery-beam clean), or name a --cache-root on another disk{changes}"
        )


def duration(seconds: float) -> str:
    """Seconds in words, rounded to two digits.

    >>> duration(0.4), duration(8), duration(83.2), duration(1234), duration(40000)
    ('1 second', '8 seconds', '83 seconds', '21 minutes', '11 hours')
    """
    for unit, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= 90 * unit / 60:
            count = seconds / unit
            return f"{count:.1f} {word}" if count < 10 else f"{float(f'{count:.2g}'):,.0f} {word}"
    count = max(1, round(seconds))
    return f"{count} second{'s' * (count != 1)}"


def _said(one: Cheaper) -> str:
    value = str(one.value).lower() if isinstance(one.value, bool) else one.value
    time = "" if one.seconds is None else f"about {duration(one.seconds)}, "
    return f"{one.field}: {value} ({time}{size_in_words(one.disk)} on disk; another recipe, with another key)"


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
