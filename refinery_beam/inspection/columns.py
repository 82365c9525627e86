"""What is known of the stored rows of an instance, as aligned columns: their fields without content, and the facts about their files.

Facts have a row for every stored row, in the order of splits, shards and rows, so both are read side by side, a bounded number of rows at a
time. Numbers stay as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.inspection.where import Column, Kind
from refinery_beam.reading.faults import damaged, unreadable

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = "facts/records.parquet"
SPLIT = "split"
BATCH_ROWS = 16_384
"""Rows that are in memory at a time."""


class Known(NamedTuple):
    """The columns of an instance by name, and which of them are facts; the others are fields of the rows."""

    columns: Mapping[str, Column]
    facts: frozenset[str]


def known_columns(manifest: Manifest) -> Known:
    """The columns that conditions may name. Fields win over facts of the same name."""
    columns: dict[str, Column] = {SPLIT: Column("text")}
    schema = _schema(manifest, next((f.path for split in manifest.splits for f in manifest.shards(split)), None))
    for field in schema or ():
        kind = _kind(field.type)
        if field.name != manifest.image_field and kind is not None:
            columns[field.name] = Column(kind, exact=not _floats(field.type))
    facts = set()
    for field in _schema(manifest, FACTS if manifest.file(FACTS) else None) or ():
        kind = _kind(field.type)
        if field.name not in columns and kind is not None:
            columns[field.name] = Column(kind, scale_of(field.name), not _floats(field.type))
            facts.add(field.name)
    return Known(columns, frozenset(facts))


def scale_of(name: str) -> int:
    """The scale of a fact that is a fraction, stored as a whole number."""
    return 1


def shown_value(name: str, value: Any) -> Any:
    """A value as people read it."""
    return value


def each_table(
    manifest: Manifest, names: Sequence[str], *, known: Known, splits: Sequence[str] | None = None
) -> Iterator[tuple[str, int, Any]]:
    """(split, position of its first row in the split, table) for all rows of the splits, with these columns. StoreError ``damaged``."""
    wanted = manifest.splits if splits is None else splits
    facts = [name for name in names if name in known.facts]
    fields = [name for name in names if name not in known.facts and name != SPLIT]
    with ExitStack() as stack:
        rows = _Rows(opened(stack, manifest, FACTS), facts, locations.join(manifest.location, FACTS)) if facts else None
        for split in manifest.splits:
            if split not in wanted:
                if rows is not None:
                    rows.skip(manifest.counts[split])
                continue
            position = 0
            for shard in manifest.shards(split):
                for table in _of_shard(manifest, shard.path, fields, shard.records or 0):
                    for name, column in (rows.take(table.num_rows) if rows is not None else {}).items():
                        table = table.append_column(name, column)
                    if SPLIT in names:
                        table = table.append_column(SPLIT, _constant(split, table.num_rows))
                    yield split, position, table
                    position += table.num_rows


def _of_shard(manifest: Manifest, path: str, fields: Sequence[str], records: int) -> Iterator[pa.Table]:
    """The fields of one shard, a bounded number of rows at a time. Always the record id: it says how many rows there are."""
    import pyarrow as pa

    with ExitStack() as stack:
        file = opened(stack, manifest, path)
        if file.metadata.num_rows != records:
            raise damaged(locations.join(manifest.location, path), f"it holds {file.metadata.num_rows} rows, the manifest says {records}")
        for batch in batches(file, [*dict.fromkeys(["record_id", *fields])], locations.join(manifest.location, path)):
            yield pa.Table.from_batches([batch])


class _Rows:
    """Columns of one Parquet file as a stream of rows."""

    def __init__(self, file: Any, names: Sequence[str], location: str) -> None:
        self._batches = batches(file, list(names), location)
        self._names, self._location = list(names), location
        self._left: Any = None

    def take(self, count: int) -> dict[str, Any]:
        """The columns of the next `count` rows."""
        import pyarrow as pa

        parts = list(self._next(count))
        table = pa.Table.from_batches(parts) if parts else None
        return {name: table.column(name) for name in self._names} if table is not None else {}

    def skip(self, count: int) -> None:
        """Leave out the next rows."""
        for _ in self._next(count):
            pass

    def _next(self, count: int) -> Iterator[Any]:
        while count > 0:
            if self._left is None or not self._left.num_rows:
                self._left = next(self._batches, None)
                if self._left is None:
                    raise damaged(self._location, "it has fewer rows than are stored")
            part = self._left.slice(0, count)
            self._left = self._left.slice(part.num_rows)
            count -= part.num_rows
            yield part


def batches(file: Any, names: list[str], location: str, rows: int | None = None) -> Iterator[Any]:
    """Columns of an open Parquet file, a bounded number of rows at a time. StoreError ``damaged``."""
    import pyarrow as pa

    try:
        yield from file.iter_batches(batch_size=rows or BATCH_ROWS, columns=names, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(location, error) from error


def opened(stack: ExitStack, manifest: Manifest, path: str) -> Any:
    """An open Parquet file of an instance, closed with the stack."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    location = locations.join(manifest.location, path)
    try:
        return stack.enter_context(pq.ParquetFile(stack.enter_context(locations.opened(location))))
    except (OSError, pa.ArrowException) as error:
        raise unreadable(location, error) from error


def _schema(manifest: Manifest, path: str | None) -> Any:
    if path is None:
        return None
    with ExitStack() as stack:
        return opened(stack, manifest, path).schema_arrow


def _kind(type: Any) -> Kind | None:
    import pyarrow as pa

    if pa.types.is_dictionary(type):
        type = type.value_type
    if pa.types.is_boolean(type):
        return "truth"
    if pa.types.is_integer(type) or pa.types.is_floating(type):
        return "number"
    return "text" if pa.types.is_string(type) or pa.types.is_large_string(type) else None


def _floats(type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(type))


def _constant(text: str, rows: int) -> Any:
    import pyarrow as pa

    return pa.chunked_array([pa.array([text] * rows, pa.string())])
