"""The facts of a shard's records, as a file of the job: where the record's file went, and what the file's header states.

The driver joins these files to input.parquet and facts/records.parquet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refinery_beam import locations
from refinery_beam.identity import record_key
from refinery_beam.plugins.base import FieldType
from refinery_beam.record.columns import arrow_type
from refinery_beam.record.lineage import file_record_id
from refinery_beam.record.row import Row

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "file"
"""The column that holds the record key of the file a record was made of."""


class FactsPart:
    """Gathers the facts of the rows of one shard, in their order. `types` are those of the kind; {} where none are wanted."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self._rows: list[tuple[Any, ...]] = []

    def add(self, row: Row) -> None:
        """Take the facts of a row that was appended to the shard."""
        ref, facts = row.ref, row.facts
        key = record_key(file_record_id(ref)) if ref.lineage else ref.key
        self._rows.append((key, ref.record_id, ref.size, *(facts.get(name) for name in self._types)))

    def write(self, location: str, *, temporary: str) -> None:
        """Write everything as a Parquet file, through a `temporary` one on a local disk."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = part_schema(self._types)
        columns = [list(column) for column in zip(*self._rows, strict=True)] if self._rows else [[] for _ in schema]
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="lz4", use_dictionary=False, write_statistics=False)
        locations.put_file(temporary, location)


def part_schema(types: Mapping[str, str]) -> pa.Schema:
    """The columns of a part: the key of the file, and those of `facts_schema`."""
    import pyarrow as pa

    return pa.schema([pa.field(FILE, pa.binary(32)), *facts_schema(types)])


def facts_schema(types: Mapping[str, str]) -> pa.Schema:
    """The columns of the facts of records: record_id, the bytes of the file, and what a kind's headers state."""
    import pyarrow as pa

    stated = [pa.field(name, arrow_type(FieldType(dtype))) for name, dtype in types.items()]
    return pa.schema([pa.field("record_id", pa.string()), pa.field("bytes", pa.int64()), *stated])


def part_location(folder: str, split: str, shard: int, shards: int) -> str:
    """The part of a shard. Two attempts at one shard write the same part."""
    return locations.join(folder, f"{_stem(split, shard, shards)}.parquet")


def part_names(folder: str, split: str, shard: int, shards: int) -> list[str]:
    """The names of every file that a shard has in a folder of facts. A run that goes on takes them over together with the shard."""
    stem = f"{_stem(split, shard, shards)}."
    return [name for name in locations.names(folder) if name.startswith(stem)]


def _stem(split: str, shard: int, shards: int) -> str:
    return f"{split}-{shard:05d}-of-{shards:05d}"
