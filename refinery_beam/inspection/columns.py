"""What is known of the stored rows of an instance, as aligned columns: their fields without content, and the facts about their files.

Facts have a row for every stored row, in the order of splits, shards and rows, so both are read side by side, a bounded number of rows at a
time. Numbers stay as they are stored: whole ones in the units of `plugins.fact_columns`, which also has the facts that follow from others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.inspection.where import Column, Kind
from refinery_beam.plugins.fact_columns import DERIVED, arrays, scales
from refinery_beam.reading.faults import damaged, unreadable

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = "facts/records.parquet"
SPLIT = "split"
BATCH_ROWS = 16_384
"""Rows that are in memory at a time."""


class Known(NamedTuple):
    """The columns of an instance by name; which of them are facts (the others are fields of the rows), and which of these follow from
    stored ones.
    """

    columns: Mapping[str, Column]
    facts: frozenset[str]
    derived: frozenset[str] = frozenset()


def known_columns(manifest: Manifest) -> Known:
    """The columns that conditions may name. Fields win over facts of the same name."""
    columns: dict[str, Column] = {SPLIT: Column("text")}
    schema = _schema(manifest, next((f.path for split in manifest.splits for f in manifest.shards(split)), None))
    for field in schema or ():
        kind = _kind(field.type)
        if field.name != manifest.image_field and kind is not None:
            columns[field.name] = Column(kind, exact=not _floats(field.type))
    facts = facts_schema(manifest)
    units = scales(facts) if facts is not None else {}
    stored, derived = set(), set()
    for fact in facts or ():
        kind = _kind(fact.type)
        if fact.name not in columns and kind is not None:
            columns[fact.name] = Column(kind, units.get(fact.name, 1), not _floats(fact.type))
            stored.add(fact.name)
    for name in DERIVED:
        if name in units and name not in columns:
            columns[name] = Column("number", units[name])
            derived.add(name)
    return Known(columns, frozenset(stored | derived), frozenset(derived))


def facts_schema(manifest: Manifest) -> pa.Schema | None:
    """The schema of the facts; None where an instance keeps none."""
    return _schema(manifest, FACTS if manifest.file(FACTS) else None)


def shown_value(value: Any, scale: int) -> Any:
    """A value as people read it: a fact with a scale as an exact decimal.

    >>> shown_value(1230, 100), shown_value("cat", 1)
    (Decimal('12.30'), 'cat')
    """
    return value if scale == 1 or value is None else Decimal(value).scaleb(1 - len(str(scale)))


def each_table(
    manifest: Manifest, names: Sequence[str], *, known: Known, splits: Sequence[str] | None = None
) -> Iterator[tuple[str, int, Any]]:
    """(split, position of its first row in the split, table) for all rows of the splits, with these columns. StoreError ``damaged``."""
    wanted = manifest.splits if splits is None else splits
    derived = [name for name in names if name in known.derived]
    facts = [name for name in names if name in known.facts and name not in known.derived]
    facts += [need for name in derived for need in DERIVED[name].needs if need not in facts]
    facts = list(dict.fromkeys(facts))
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
                    for name, column in _of_facts(rows, table.num_rows, derived).items():
                        if name in names:
                            table = table.append_column(name, column)
                    if SPLIT in names:
                        table = table.append_column(SPLIT, _constant(split, table.num_rows))
                    yield split, position, table
                    position += table.num_rows


def _of_facts(rows: _Rows | None, count: int, derived: Sequence[str]) -> dict[str, Any]:
    """The facts of the next rows, and those that follow from them."""
    import pyarrow as pa

    if rows is None:
        return {}
    stored = rows.take(count)
    if not derived or not stored:
        return stored
    computed = arrays(pa.table(stored), derived)
    return stored | {name: pa.chunked_array([pa.array(values, mask=~there)]) for name, (values, there) in computed.items()}


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


def row_of(manifest: Manifest, path: str, record_id: str) -> Mapping[str, Any] | None:
    """The row of one record in a table of an instance; None where there is none. StoreError ``damaged``."""
    import pyarrow.compute as pc

    with ExitStack() as stack:
        file = opened(stack, manifest, path)
        for batch in batches(file, list(file.schema_arrow.names), locations.join(manifest.location, path)):
            found = batch.filter(pc.equal(batch.column("record_id"), record_id))
            if found.num_rows:
                row: Mapping[str, Any] = found.to_pylist()[0]
                return row
    return None
