"""Sorting more rows than fit in memory: runs on disk, merged as they are read.

The index of a hundred million images is sorted three times on its way (by path, by content, by record key), in a driver whose memory does
not grow with it. A sorter keeps its first rows in memory, which is all that most inputs ever need: then this is `list.sort` and nothing is
written. Beyond the limit, sorted runs go to one nameless temporary file, and reading merges them.

Why not SQLite: its rows would have to be unpacked and packed for every read, small inputs would pay for a database, and there would be two
ways to do each step. What this costs is measured in docs/scale.md.

Runs are written with `marshal`, which knows plain values only and runs no code. Only the process that wrote them reads them: the file
has no name.
"""

from __future__ import annotations

import heapq
import marshal
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import IO, Any, Generic, TypeVar

from refinery_beam.errors import StoreError
from refinery_beam.locations.space import is_full, no_space

IN_MEMORY = 65_536
"""Rows a sorter holds before it writes a run: some 40 MB of index rows."""

_BLOCK = 64
"""Rows read from a run at a time. Merging holds one block of every run."""

T = TypeVar("T", bound=tuple[Any, ...])


class Sorter(Generic[T]):
    """Rows in the order of their keys, however many. Rows with equal keys keep the order they were added in.

    Rows are tuples of plain values (None, bool, int, float, str, bytes, and tuples, lists and dicts of them); `make` gives a row its type
    back. `folder` is where the temporary file lies, '' for the system's folder. A sorter can be read any number of times; after the first
    reading no row can be added.

    >>> words = Sorter(key=lambda row: row[0], make=tuple, limit=2)
    >>> for word in ("pear", "fig", "apple", "date", "fig"): words.add((word, len(words)))
    >>> [word for word, _ in words], len(words), words.spilled
    (['apple', 'date', 'fig', 'fig', 'pear'], 5, True)
    """

    def __init__(self, *, key: Callable[[T], Any], make: Callable[[Any], T], folder: str = "", limit: int | None = None) -> None:
        self._key, self._make, self._folder = key, make, folder
        self._limit = IN_MEMORY if limit is None else limit
        self._rows: list[T] = []
        self._sorted = True
        self._runs: list[array[int]] = []
        self._file: IO[bytes] | None = None
        self._count = 0
        self._end = 0

    def add(self, row: T) -> None:
        """One more row. Raises StoreError ``no-space`` when a run cannot be written."""
        self._rows.append(row)
        self._sorted = False
        self._count += 1
        if len(self._rows) >= self._limit:
            self._spill()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        if not self._sorted:
            self._rows.sort(key=self._key)
            self._sorted = True
        if not self._runs:
            return iter(self._rows)
        # The rows in memory came last, so they stand last: `heapq.merge` is stable.
        return heapq.merge(*(self._read(run) for run in self._runs), iter(self._rows), key=self._key)

    @property
    def spilled(self) -> bool:
        """Whether anything was written to disk."""
        return bool(self._runs)

    def _spill(self) -> None:
        self._rows.sort(key=self._key)
        import tempfile  # imported here: most inputs never spill, and a cache hit should not pay for it

        try:
            if self._file is None:
                if self._folder:
                    os.makedirs(self._folder, exist_ok=True)
                # Kept open while the sorter lives; it has no name, so it is gone with the process however that ends.
                self._file = tempfile.TemporaryFile(dir=self._folder or None, prefix="refinery-sort-")  # noqa: SIM115
            offsets = array("Q", [self._end])
            for start in range(0, len(self._rows), _BLOCK):
                data = marshal.dumps([tuple(row) for row in self._rows[start : start + _BLOCK]])
                self._file.write(data)
                self._end += len(data)
                offsets.append(self._end)
            self._file.flush()
        except OSError as error:
            raise _cannot_sort(self._folder or tempfile.gettempdir(), error) from error
        self._runs.append(offsets)
        self._rows = []
        self._sorted = True

    def _read(self, offsets: array[int]) -> Iterator[T]:
        assert self._file is not None
        number = self._file.fileno()
        for start, end in pairwise(offsets):
            block = os.pread(number, end - start, start)
            yield from map(self._make, marshal.loads(block))  # noqa: S302 - written by this process, to a file without a name


class Again(Generic[T]):
    """A stream that can be read from its beginning any number of times: each reading calls `start` anew."""

    def __init__(self, start: Callable[[], Iterable[T]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[T]:
        return iter(self._start())


def _cannot_sort(folder: str, error: OSError) -> StoreError:
    if is_full(error):
        return no_space(error, folder, "sort below")
    return StoreError(f"cannot sort below {folder}: {error.strerror or error}", code="store-io", at=folder, value=error.errno)
