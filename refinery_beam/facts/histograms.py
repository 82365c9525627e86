"""How often each byte value occurs in each channel, of all records of a split and of each class: exact counts, joined in any grouping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.identity import rank

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Counts = npt.NDArray[Any]

CLASSES = 256
"""Classes of a split with histograms of their own: those with the least seeded rank. Every class counts in those of its split."""


class Line(NamedTuple):
    """The counts of one channel: of the class of a label, or of the whole split where ``whole``. ``records`` have the channel."""

    whole: bool
    label: str | None
    channel: str
    records: int
    counts: Counts


class Histograms:
    """The histograms of some records of one split."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._classes: dict[str | None, int] = {}
        self._lines: dict[tuple[bool, str | None, str], tuple[int, Counts]] = {}

    def add(self, labels: Sequence[str | None], counted: Mapping[str, Counts], records: Mapping[str, Sequence[int]]) -> None:
        """The counts of some records: by channel an array (labels, 256), and how many records of each label have the channel."""
        for channel, counts in counted.items():
            many = records[channel]
            self.join(Line(True, None, channel, sum(many), counts.sum(axis=0)))
            for label, number, row in zip(labels, many, counts, strict=True):
                if number:
                    self.join(Line(False, label, channel, number, row))
        self.trim()

    def join(self, line: Line) -> None:
        """One line of other histograms of the same seed and split."""
        whole, label, channel, records, counts = line
        if not whole and label not in self._classes:
            self._classes[label] = rank("histogram", self._seed, "class", (label or "").encode())
        known = self._lines.get((whole, label, channel))
        self._lines[whole, label, channel] = (records, counts) if known is None else (known[0] + records, known[1] + counts)

    def trim(self) -> None:
        """Drop the classes beyond the bound. A class that was dropped stays out: those that have less rank stay."""
        if len(self._classes) <= CLASSES:
            return
        ranked = sorted(self._classes, key=lambda label: (self._classes[label], label or ""))
        gone = frozenset(ranked[CLASSES:])
        self._classes = {label: self._classes[label] for label in ranked[:CLASSES]}
        self._lines = {key: line for key, line in self._lines.items() if key[0] or key[1] not in gone}

    def __iter__(self) -> Iterator[Line]:
        """The lines: the whole split first, then class by class."""
        for key in sorted(self._lines, key=lambda k: (not k[0], k[1] is not None, k[1] or "", k[2])):
            yield Line(*key, *self._lines[key])


def lines_schema(*, split: bool) -> pa.Schema:
    """The columns of a table of lines; `split` first where there are several."""
    import pyarrow as pa

    own = [
        pa.field("whole", pa.bool_()),
        pa.field("label", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("records", pa.int64()),
        pa.field("counts", pa.list_(pa.int64())),
    ]
    return pa.schema([pa.field("split", pa.string()), *own] if split else own)
