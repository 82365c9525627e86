"""The row groups of one split: files mapped, and each group decoded at most once while somebody wants it.

Files stay open while a reader lives, a bounded number for each thread, and are never carried into another process: a copy made by pickling
or by a fork opens its own. A footer takes about a kilobyte for each column of each row group, so of files that are not open only the
numbers of rows are kept.

Shards of an instance on a store are fetched whole into a local cache (`shard_cache`) by passes and streams; random access reads single row
groups from the store until it meets a shard for the third time.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache.content import content_field
from refinery_beam.cache.manifest import FileEntry
from refinery_beam.reading.faults import damaged, unreadable
from refinery_beam.reading.recorded import Recorded
from refinery_beam.reading.shard_cache import ShardCache

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

OPEN_FILES = 64
"""Shards that a thread holds open, and footers that are kept."""

TOUCHES = 3
"""From this row group on that is read from it at random, a shard on a store is fetched whole."""

REQUESTS = 16
"""Footers that are read at once from a store."""


class Group(NamedTuple):
    """One decoded row group: the cells of the content as its encoding gives them, and the other columns as Python values."""

    columns: dict[str, Sequence[Any]]
    records: int
    nbytes: int
    shard: int


class SplitGroups:
    """The row groups of a split, by (shard, number). Safe under threads; `cache_bytes` bounds what `get` keeps, which is always one at
    least.
    """

    def __init__(self, recorded: Recorded, split: str, fields: Sequence[str], *, cache_bytes: int, shard_cache: ShardCache | None) -> None:
        self._recorded = recorded
        self._shard_cache = (shard_cache or ShardCache()) if locations.is_url(recorded.manifest.location) else None
        self._fields = tuple(fields)
        self._content = recorded.manifest.image_field if recorded.manifest.image_field in fields else None
        self._shards: tuple[FileEntry, ...] = recorded.manifest.shards(split)
        self._ends = list(accumulate(shard.records or 0 for shard in self._shards))
        self.cache_bytes = cache_bytes
        self._starts: dict[int, array[int]] = {}
        self._fresh()

    def know(self, other: SplitGroups) -> None:
        """Take over what a reader of the same split knows of its row groups, so that no footer is read again."""
        self._starts = other._starts

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _OWN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._fresh()

    def _fresh(self) -> None:
        """Nothing opened, nothing cached: in a new process, and in a forked one, where a lock may belong to a thread that is not there."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[int, int], Group] = OrderedDict()
        self._held = 0
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()
        self._files = threading.local()
        self._touched: Counter[int] = Counter()

    @property
    def remote(self) -> bool:
        """Whether shards lie on a store."""
        return self._shard_cache is not None

    @property
    def rows(self) -> int:
        """How many rows the split has."""
        return self._ends[-1] if self._ends else 0

    @property
    def shards(self) -> int:
        """How many shards the split has."""
        return len(self._shards)

    def groups_of(self, shard: int) -> int:
        """How many row groups a shard has."""
        return len(self._starts_of(shard)) - 1

    def sizes(self) -> list[tuple[int, int, int]]:
        """(shard, number, rows) of every row group of the split, in the order of the files. Reads every footer."""
        if self.remote and len(self._starts) < len(self._shards):
            with ThreadPoolExecutor(REQUESTS, thread_name_prefix="refinery-footers") as pool:
                for _ in pool.map(self._starts_of, range(len(self._shards))):
                    pass
        found = []
        for shard in range(len(self._shards)):
            starts = self._starts_of(shard)
            found += [(shard, number, starts[number + 1] - starts[number]) for number in range(len(starts) - 1)]
        return found

    def locate(self, position: int) -> tuple[int, int, int]:
        """(shard, number of the row group, row in it) of a row of the split."""
        shard = bisect_right(self._ends, position)
        row = position - (self._ends[shard - 1] if shard else 0)
        starts = self._starts_of(shard)
        number = bisect_right(starts, row) - 1
        return shard, number, row - starts[number]

    def location(self, shard: int) -> str:
        """Where a shard lies."""
        return locations.join(self._recorded.manifest.location, self._shards[shard].path)

    def get(self, shard: int, number: int) -> Group:
        """A row group, from the cache if it is there."""
        self._here()
        key = (shard, number)
        with self._lock:
            group = self._cache.get(key)
            if group is not None:
                self._cache.move_to_end(key)
                return group
            self._touched[shard] += 1
            whole = self._touched[shard] >= TOUCHES
        # Outside of the lock: two threads may decode the same group, none waits for another's disk.
        group = self.read(shard, number, whole=whole)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = group
                self._held += group.nbytes
            while self._held > self.cache_bytes and len(self._cache) > 1:
                self._held -= self._cache.popitem(last=False)[1].nbytes
        return group

    def fetch(self, shard: int) -> None:
        """Have a shard of a store in the local cache of shards."""
        if self._shard_cache is not None:
            self._shard_cache.fetch(self.location(shard), self._shards[shard])

    def read(self, shard: int, number: int, *, whole: bool = True) -> Group:
        """A row group, decoded anew. Of a shard that lies on a store the `whole` is fetched first, else what is missing is read from there.
        StoreError ``damaged``.
        """
        import pyarrow as pa

        self._here()
        location = self.location(shard)
        try:
            table = self._table(shard, number, whole=whole)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(location, error) from error
        columns: dict[str, Any] = {}
        for name in self._fields:
            if name not in table.column_names:
                raise damaged(location, f"it has no column {name!r}")
            columns[name] = table.column(name).to_pylist() if name != self._content else self._cells(table, name, location)
        return Group(columns, table.num_rows, table.nbytes, shard)

    def _table(self, shard: int, number: int, *, whole: bool) -> pa.Table:
        import pyarrow.parquet as pq

        # One thread: callers bring their own, and Arrow's pool does not survive every fork.
        wanted: dict[str, Any] = {"columns": list(self._fields), "use_threads": False}
        if self._shard_cache is None or whole or self._shard_cache.held(self._shards[shard]):
            return self._file(shard).read_row_group(number, **wanted)
        with locations.opened(self.location(shard)) as source, pq.ParquetFile(source, metadata=self._footer(shard)) as file:
            return file.read_row_group(number, **wanted)

    def _cells(self, table: pa.Table, name: str, location: str) -> Sequence[Any]:
        encoding = self._recorded.encoding
        try:
            column = table.column(name)
            # Joining chunks copies, even a single one.
            array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            cells: Sequence[Any] = encoding.cells(array, content_field(table.schema, name, encoding.name))
        except ValueError as error:
            raise damaged(location, f"column {name!r} is not what was stored: {error}") from error
        return cells

    def _here(self) -> None:
        if self._pid != os.getpid():
            self._fresh()

    def _starts_of(self, shard: int) -> array[int]:
        """The number of the first row of every row group of a shard, and one past the last."""
        self._here()
        known = self._starts.get(shard)
        if known is None:
            footer = self._footer(shard)
            rows = (footer.row_group(number).num_rows for number in range(footer.num_row_groups))
            known = self._starts.setdefault(shard, array("q", accumulate(rows, initial=0)))
        return known

    def _footer(self, shard: int) -> pq.FileMetaData:
        with self._lock:
            kept = self._footers.get(shard)
            if kept is not None:
                self._footers.move_to_end(shard)
                return kept
        import pyarrow as pa
        import pyarrow.parquet as pq

        location = self.location(shard)
        local = self._shard_cache.held(self._shards[shard]) if self._shard_cache is not None else None
        try:
            with locations.opened(local or location) as source:
                metadata = pq.read_metadata(source)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(location, error) from error
        if metadata.num_rows != self._shards[shard].records:
            raise damaged(location, f"it holds {metadata.num_rows} rows, the manifest says {self._shards[shard].records}")
        with self._lock:
            self._footers[shard] = metadata
            if len(self._footers) > OPEN_FILES:
                self._footers.popitem(last=False)
        return metadata

    def _file(self, shard: int) -> pq.ParquetFile:
        """A local shard, open for this thread: a Parquet reader is not safe under two. It is mapped, so pages come from the system's cache
        without a copy.
        """
        held: OrderedDict[int, pq.ParquetFile] = self._files.__dict__.setdefault("held", OrderedDict())
        file = held.get(shard)
        if file is None:
            file = held[shard] = self._mapped(shard)
            if len(held) > OPEN_FILES:
                held.popitem(last=False)[1].close(force=True)
        held.move_to_end(shard)
        return file

    def _mapped(self, shard: int) -> pq.ParquetFile:
        import pyarrow.parquet as pq

        location, footer = self.location(shard), self._footer(shard)
        if self._shard_cache is None:
            return pq.ParquetFile(location, metadata=footer, memory_map=True)
        while True:
            local = self._shard_cache.fetch(location, self._shards[shard])
            # Another process may have removed it meanwhile.
            with suppress(FileNotFoundError):
                return pq.ParquetFile(local, metadata=footer, memory_map=True)


_OWN = frozenset({"_touched", "_pid", "_lock", "_cache", "_held", "_footers", "_files"})
