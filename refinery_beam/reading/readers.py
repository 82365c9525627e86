"""One split of an instance as a sequence of rows.

Rows come in the order of the files: shard by shard, and in a shard by record key. ``reader[i]`` and iteration agree on it. Random access
decodes one row group and keeps the last few. No file stays open between two reads, so a reader can be pickled, forked and shared by
threads.
"""

from __future__ import annotations

import copy
import operator
import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.content import content_field
from refinery_beam.cache.manifest import FileEntry
from refinery_beam.errors import UsageError, did_you_mean
from refinery_beam.plugins.base import ArrayType, BadRecord, Cell
from refinery_beam.reading.faults import damaged, unreadable
from refinery_beam.reading.recorded import Chain, Recorded, declared_type, owned
from refinery_beam.record.steps import LazyStep

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Row: TypeAlias = dict[str, Any]

CACHE_BYTES = 64 << 20


class _Group(NamedTuple):
    """One decoded row group: columns of Python values, and the cells of the content as its encoding gives them."""

    columns: dict[str, Sequence[Any]]
    records: int
    nbytes: int


class _Shard(NamedTuple):
    """The footer of a shard: parsed, with the number of the first row of every row group (and one past the last)."""

    footer: pq.FileMetaData
    starts: tuple[int, ...]


class SplitReader(Sequence[Row]):
    """The rows of one split, as dicts: ``record_id``, then the output schema's fields in the recipe's order.

    Images are NumPy arrays, (h, w, c) or as declared; each row has an array of its own. Stored content goes through the deferred tail of
    the recipe (normalize, ...) unless the reader was opened with ``raw=True``; then it is as stored. Scalars are Python values, lists are
    lists.

    A map-style dataset as PyTorch's DataLoader wants it, with any start method of its workers; torch is not needed here.

    `len`, ``reader[i]`` (negative too; IndexError beyond the end), slices (a list of rows), iteration, `batches`, `columns`. StoreError
    ``damaged`` when a shard cannot be read. ``cache_bytes`` bounds the decoded row groups that random access keeps; it always keeps one.
    """

    def __init__(
        self,
        recorded: Recorded,
        split: str,
        *,
        raw: bool = False,
        columns: Sequence[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
        augment: bool = False,
        epoch_number: int = 0,
    ) -> None:
        self._recorded = recorded
        self.manifest = manifest = recorded.manifest
        self.split = split
        self.raw = raw
        self.cache_bytes = cache_bytes
        self.augment = augment
        self.epoch_number = epoch_number
        self.fields = _select(manifest, columns)
        self._content = manifest.image_field if manifest.image_field in self.fields else None
        self._shards: tuple[FileEntry, ...] = manifest.shards(split)
        self._ends: list[int] = []
        total = 0
        for shard in self._shards:
            total += shard.records or 0
            self._ends.append(total)
        self._fresh()

    # -- the sequence -----------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return self.__getitems__(range(*index.indices(len(self))))
        position = operator.index(index)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"row {index} of split {self.split!r}, which has {len(self)}")
        shard, number, row = self._locate(position)
        return self._row(self._group(shard, number), row, shard)

    def __getitems__(self, indices: Sequence[int]) -> list[Row]:
        """Several rows in the order of the indices; PyTorch calls this with the indices of a batch. Rows of one row group are read
        together.
        """
        order = sorted(range(len(indices)), key=lambda k: indices[k] % max(1, len(self)))
        rows: dict[int, Row] = {}
        for k in order:
            rows[k] = self[indices[k]]
        return [rows[k] for k in range(len(indices))]

    def __iter__(self) -> Iterator[Row]:
        for shard in range(len(self._shards)):
            for number in range(len(self._opened(shard).starts) - 1):
                # One pass needs each group once, so it does not put groups into the cache of random access.
                group = self._group(shard, number, keep=False)
                for row in range(group.records):
                    yield self._row(group, row, shard)

    def batches(self, size: int, *, drop_last: bool = False) -> Iterator[dict[str, Any]]:
        """Consecutive rows as columns: {field: list of `size` values}; images of equal shape are stacked into one array (size, h, w, c).

        The last batch may be shorter; ``drop_last`` skips it then. UsageError when size is below 1.
        """
        if size < 1:
            raise UsageError(f"a batch of {size} rows", code="batch-size", value=size)
        return self._batches(size, drop_last=drop_last)

    def columns(self, *names: str | Sequence[str]) -> SplitReader:
        """A reader of fewer fields (``record_id`` stays), named one by one or as a list; other columns are not read from disk. UsageError
        for an unknown name.
        """
        return self._with(columns=[one for name in names for one in ([name] if isinstance(name, str) else name)])

    def epoch(self, number: int) -> SplitReader:
        """The split as it is in one epoch of training: with the recipe's lazy augmentations, drawn anew for every epoch.

        The random numbers follow from the augmentation's seed and name, the record and the epoch's number, whatever the order of reading.
        Augmentations change the stored pixels, before the deferred tail. A split without lazy augmentations is read unchanged. UsageError
        for a number below 0.
        """
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise UsageError(f"there is no epoch {number!r}", code="epoch-number", value=number)
        return self._with(augment=True, epoch_number=number)

    def _with(self, **changes: Any) -> SplitReader:
        """A copy of the reader with some settings changed, and with a cache of its own."""
        settings: dict[str, Any] = {
            "raw": self.raw,
            "columns": [name for name in self.fields if name != "record_id"],
            "cache_bytes": self.cache_bytes,
            "augment": self.augment,
            "epoch_number": self.epoch_number,
        }
        return SplitReader(self._recorded, self.split, **{**settings, **changes})

    def __repr__(self) -> str:
        return f"<split {self.split!r} of {self.manifest.location}: {len(self)} rows of {', '.join(self.fields)}>"

    # -- pickling and forking -----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("_pid", "_lock", "_cache", "_held", "_footers", "_chain", "_lazy"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[int, int], _Group] = OrderedDict()
        self._held = 0
        self._footers: dict[int, _Shard] = {}
        self._chain: Chain | None = None
        self._lazy: tuple[LazyStep, ...] | None = None

    # -- row groups -------------------------------------------------------------------------------------------------------------

    def _locate(self, position: int) -> tuple[int, int, int]:
        shard = bisect_right(self._ends, position)
        row = position - (self._ends[shard - 1] if shard else 0)
        starts = self._opened(shard).starts
        number = bisect_right(starts, row) - 1
        return shard, number, row - starts[number]

    def _location(self, shard: int) -> str:
        return locations.join(self.manifest.location, self._shards[shard].path)

    def _opened(self, shard: int) -> _Shard:
        known = self._footers.get(shard)
        if known is not None:
            return known
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with locations.opened(self._location(shard)) as source:
                footer = pq.read_metadata(source)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self._location(shard), error) from error
        if footer.num_rows != self._shards[shard].records:
            raise damaged(self._location(shard), f"it holds {footer.num_rows} rows, the manifest says {self._shards[shard].records}")
        starts = [0]
        for number in range(footer.num_row_groups):
            starts.append(starts[-1] + footer.row_group(number).num_rows)
        return self._footers.setdefault(shard, _Shard(footer, tuple(starts)))

    def _group(self, shard: int, number: int, *, keep: bool = True) -> _Group:
        if self._pid != os.getpid():
            # In a forked child a lock may belong to a thread that does not exist here.
            self._fresh()
        key = (shard, number)
        with self._lock:
            group = self._cache.get(key)
            if group is not None:
                self._cache.move_to_end(key)
                return group
        # Outside of the lock: two threads may decode the same group, none waits for another's disk.
        group = self._read(shard, number)
        if keep:
            with self._lock:
                if key not in self._cache:
                    self._cache[key] = group
                    self._held += group.nbytes
                while self._held > self.cache_bytes and len(self._cache) > 1:
                    self._held -= self._cache.popitem(last=False)[1].nbytes
        return group

    def _read(self, shard: int, number: int) -> _Group:
        import pyarrow as pa
        import pyarrow.parquet as pq

        location = self._location(shard)
        try:
            # One thread: callers bring their own, and Arrow's pool does not survive every fork.
            footer = self._opened(shard).footer
            with locations.opened(location) as source, pq.ParquetFile(source, metadata=footer) as file:
                table = file.read_row_group(number, columns=list(self.fields), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(location, error) from error
        columns: dict[str, Any] = {}
        for name in self.fields:
            if name not in table.column_names:
                raise damaged(location, f"it has no column {name!r}")
            column = table.column(name)
            if name != self._content:
                columns[name] = column.to_pylist()
                continue
            try:
                field = content_field(table.schema, name, self._recorded.encoding.name)
                columns[name] = self._recorded.encoding.cells(column.combine_chunks(), field)
            except ValueError as error:
                raise damaged(location, f"column {name!r} is not what was stored: {error}") from error
        return _Group(columns, table.num_rows, table.nbytes)

    # -- rows -------------------------------------------------------------------------------------------------------------------

    def _row(self, group: _Group, row: int, shard: int) -> Row:
        values: Row = {}
        for name, column in group.columns.items():
            value = column[row]
            if name == self._content:
                value = self._served(value, shard, group.columns["record_id"][row])
            elif isinstance(value, list):
                # Cached groups outlive the row, and a caller may change its row.
                value = copy.deepcopy(value)
            values[name] = value
        return values

    def _served(self, cell: Cell, shard: int, record_id: str) -> Any:
        """Apply the augmentations of the reader's epoch and then the deferred tail to stored content."""
        content = self._stored(cell, shard, record_id)
        recorded = self._recorded
        if self.augment:
            if self._lazy is None:
                self._lazy = recorded.lazy(self.split)
            content = recorded.augment(content, self._lazy, record_id=record_id, epoch=self.epoch_number)
        if self.raw:
            return owned(content)
        if self._chain is None:
            self._chain = recorded.deferred(self.split)
        return recorded.kind.plain(recorded.run(content, self._chain, record=record_id)) if self._chain.steps else owned(content)

    def _stored(self, cell: Cell, shard: int, record_id: str) -> Any:
        recorded, encoding = self._recorded, self._recorded.encoding
        try:
            content = encoding.read(cell)
            if encoding.from_source:
                content = recorded.decode(content, self.split, location=self._location(shard))
            return recorded.kind.settle(content, self._type) if self._type is not None else recorded.kind.plain(content)
        except (ValueError, BadRecord) as error:
            raise damaged(self._location(shard), f"{recorded.kind.field} of {record_id}: {error}") from error

    @cached_property
    def _type(self) -> ArrayType | None:
        return declared_type(self.manifest)

    def _batches(self, size: int, *, drop_last: bool) -> Iterator[dict[str, Any]]:
        rows: list[Row] = []
        for row in self:
            rows.append(row)
            if len(rows) == size:
                yield self._stacked(rows)
                rows = []
        if rows and not drop_last:
            yield self._stacked(rows)

    def _stacked(self, rows: list[Row]) -> dict[str, Any]:
        batch: dict[str, Any] = {name: [row[name] for row in rows] for name in self.fields}
        content = batch[self._content] if self._content is not None else []
        if self._content is not None and len({(getattr(c, "shape", None), getattr(c, "dtype", None)) for c in content}) == 1:
            import numpy as np

            batch[self._content] = np.stack(content) if isinstance(content[0], np.ndarray) else content
        return batch


def _select(manifest: Manifest, columns: Sequence[str] | None) -> tuple[str, ...]:
    output = manifest.raw.get("output", {})
    # The schema is a JSON object with sorted keys; `fields` keeps the recipe's order.
    known = list(output.get("fields") or manifest.schema)
    if columns is not None:
        for name in columns:
            if name != "record_id" and name not in known:
                raise UsageError(
                    f"the dataset has no field {name!r}",
                    code="unknown-field",
                    at=manifest.location,
                    value=name,
                    rule="fields are those of Output.record_schema, and record_id",
                    remedy=did_you_mean(name, known),
                )
        known = [name for name in known if name in columns]
    return ("record_id", *(name for name in known if name != "record_id"))
