"""Everything that findings need of every record, gathered table by table: a few numbers a record, and counts.

Records are those that stand for their file: each file counts once, however many rows were made of it. `MOST` records are compared with one
another, some 100 bytes each while they are; of more, those with the least digests. Everything else is counted over all records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Array = npt.NDArray[Any]

MOST = 1 << 24
"""Records that are compared with one another: about 1.6 GB of memory."""

COUNTED = 100_000
"""Pairs of a value and a label that are counted of one property. One with more is left out, and that is said."""


class Part(NamedTuple):
    """The records of one shard that stand for their files: their split, their facts, the position of the first among all records, and the
    digests of their files (binary).
    """

    split: str
    table: pa.Table
    start: int
    digests: pa.ChunkedArray


Parts = Callable[[], Iterator[Part]]
"""Reads all parts, from the first; it is called several times."""


def numbered(parts: Iterable[tuple[str, pa.Table, pa.ChunkedArray]]) -> Iterator[Part]:
    """Parts with the positions of their records."""
    start = 0
    for split, table, digests in parts:
        yield Part(split, table, start, digests)
        start += len(table)


class Labels:
    """Numbers of labels, in the order of their first record; -1 for none."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def of(self, column: pa.ChunkedArray) -> Array:
        """The numbers of a column."""
        import numpy as np
        import pyarrow as pa

        encoded = pa.chunked_array(column.chunks, column.type).cast(pa.string()).combine_chunks().dictionary_encode()
        known = []
        for name in encoded.dictionary.to_pylist():
            if name not in self._numbers:
                self._numbers[name] = len(self.names)
                self.names.append(name)
            known.append(self._numbers[name])
        indices = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        numbers: Array = np.array([*known, -1], np.int32)[indices]
        return numbers


class Property:
    """How often each value of one property occurs with each label in each split; None where there were too many pairs, or no values."""

    def __init__(self, name: str, words: str, *, of_some: bool) -> None:
        self.name, self.words, self._of_some = name, words, of_some
        self.cells: Counter[tuple[str, str, int]] | None = Counter()
        self.overfull = False

    def add(self, part: Part, labels: Array) -> None:
        """The values of the records of a part, with the numbers of their labels. Records without a label do not count, nor where it is
        `of_some` those without a value.
        """
        if self.cells is None:
            return
        values = texts(part.table, self.name)
        if values is None:
            self.cells = None
            return
        for (value, label), count in Counter(zip(values, labels.tolist(), strict=True)).items():
            if label >= 0 and (value or not self._of_some):
                self.cells[part.split, value, label] += count
        if len(self.cells) > COUNTED:
            self.cells, self.overfull = None, True


def texts(table: pa.Table, name: str) -> Sequence[str] | None:
    """A property of the records of a table as text, '' for none; None where the table does not have it."""
    columns = table.schema.names
    if name == "size":
        if not {"width", "height"} <= set(columns):
            return None
        sizes = zip(table.column("width").to_pylist(), table.column("height").to_pylist(), strict=True)
        return ["" if width is None else f"{width} x {height}" for width, height in sizes]
    if name == "day":
        return [(date or "")[:10] for date in table.column("date").to_pylist()] if "date" in columns else None
    if name == "source":
        return [record_id.partition("/")[0] for record_id in table.column("record_id").to_pylist()]
    if name == "folder":
        return [record_id.rpartition("/")[0] for record_id in table.column("record_id").to_pylist()]
    if name not in columns:
        return None
    return ["" if value is None else str(value) for value in table.column(name).to_pylist()]
