"""The table of what went in: input.parquet.

The driver makes it from the index and from the parts that the write pass left, one for each shard; see `record.facts`. Memory does not grow
with the number of records.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from refinery_beam import locations
from refinery_beam.identity import record_key
from refinery_beam.index.build import Entry, Index
from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.record.facts import FILE, extra_location, part_location
from refinery_beam.sorting import Sorter

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

INPUT = "input.parquet"

GROUP_ROWS = 1 << 16
"""Rows of a row group."""

Dealt = tuple[bytes, str]
"""The record key of a file, and the split that it was dealt to."""


def write_input(instance: str, index: Index, collected: Collected, parts: str) -> None:
    """Write input.parquet: every listed file in the order of record keys, with its size, digest (of the kind that the schema's metadata
    names; null where it could not be read), label, and the split that it was dealt to: null where it was dealt to none, or where nothing
    is left of it but records that were generated and lost.
    """
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("record_id", pa.string()),
            pa.field("bytes", pa.int64()),
            pa.field("digest", pa.binary()),
            pa.field("label", pa.string()),
            pa.field("split", pa.string()),
        ],
        metadata={"refinery:digest": index.kind},
    )
    files = heapq.merge(index.entries, index.refused, key=lambda entry: entry.key)
    rows = ((e.record_id, e.size, e.digest or None, e.label, split) for e, split in _with_splits(files, _dealt(index, collected, parts)))
    with table_writer(instance, INPUT, schema, texts=("label", "split")) as writer:
        while batch := list(islice(rows, GROUP_ROWS)):
            writer.write_table(pa.table([list(column) for column in zip(*batch, strict=True)], schema=schema))
        if not len(index.entries) + len(index.refused):
            writer.write_table(schema.empty_table())


def read_parts(collected: Collected, parts: str, columns: Sequence[str] | None = None, *, what: str = "") -> Iterator[tuple[str, pa.Table]]:
    """The part of each shard, or some of its `columns`, or of `what` else there is of it, with its split, in the order of the shards."""
    import pyarrow.parquet as pq

    for shard in collected.shards:
        location = part_location(parts, shard.split, shard.shard, shard.shards)
        with locations.opened(extra_location(location, what) if what else location) as source, pq.ParquetFile(source) as file:
            yield shard.split, file.read(columns=columns)


def _dealt(index: Index, collected: Collected, parts: str) -> Sorter[Dealt]:
    """The splits of files, by record key: from the stored records, and from the ledger."""
    found: Sorter[Dealt] = Sorter(key=lambda row: row[0], make=lambda row: (row[0], row[1]), folder=index.scratch)
    for split, table in read_parts(collected, parts, [FILE]):
        for key in table.column(FILE).to_pylist():
            found.add((key, split))
    for row in collected.ledger:
        if row.split:
            found.add((record_key(row.record_id), row.split))
    return found


def _with_splits(entries: Iterable[Entry], dealt: Iterable[Dealt]) -> Iterator[tuple[Entry, str | None]]:
    """Entries with their splits; both come in the order of keys. All records of one file are in one split."""
    rest = iter(dealt)
    key, split = next(rest, (b"\xff" * 33, ""))
    for entry in entries:
        while key < entry.key:
            key, split = next(rest, (b"\xff" * 33, ""))
        yield entry, split if key == entry.key else None


def table_writer(instance: str, relative: str, schema: pa.Schema, *, texts: Iterable[str]) -> pq.ParquetWriter:
    """A writer of one of the tables of an instance; columns of `texts` have a dictionary."""
    import pyarrow.parquet as pq

    location = os.path.join(instance, *relative.split("/"))
    os.makedirs(os.path.dirname(location), exist_ok=True)
    return pq.ParquetWriter(location, schema, compression="zstd", compression_level=1, use_dictionary=list(texts))
