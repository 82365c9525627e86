"""The tables beside the shards: what went in (input.parquet), and the facts of what came out (facts/).

The driver makes them from the index and from the parts that the write pass left, one for each shard; see `record.facts`. Memory does not
grow with the number of records.
"""

from __future__ import annotations

import heapq
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from refinery_beam import locations
from refinery_beam.identity import record_key
from refinery_beam.index.build import Entry, Index
from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.record.facts import FILE, facts_schema, part_location
from refinery_beam.sorting import Sorter

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

INPUT = "input.parquet"
RECORDS = "facts/records.parquet"
COUNTS = "facts/counts.json"

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
    with _writer(instance, INPUT, schema, texts=("label", "split")) as writer:
        while batch := list(islice(rows, GROUP_ROWS)):
            writer.write_table(pa.table([list(column) for column in zip(*batch, strict=True)], schema=schema))
        if not len(index.entries) + len(index.refused):
            writer.write_table(schema.empty_table())


def write_facts(instance: str, collected: Collected, parts: str, types: Mapping[str, str]) -> None:
    """Write facts/records.parquet, a row for every row of the dataset in the order of splits, shards and rows; and facts/counts.json: how
    often each value of a text or of an orientation occurs in each split, and the least and greatest of the other numbers.
    """
    import pyarrow as pa

    schema = pa.schema([pa.field("split", pa.string()), *facts_schema(types)])
    texts = [name for name, dtype in types.items() if dtype in ("str", "int8")]
    numbers = ["bytes", *(name for name in types if name not in texts)]
    counts: dict[str, dict[str, Any]] = {
        split: {"records": n, "values": {name: Counter() for name in texts}, "ranges": dict.fromkeys(numbers)}
        for split, n in collected.counts.items()
    }
    waiting: list[pa.Table] = []
    rows = 0
    with _writer(instance, RECORDS, schema, texts=("split", *texts)) as writer:
        for split, table in _tables(collected, parts):
            _count(counts[split], table)
            waiting.append(table.select(schema.names[1:]).add_column(0, schema.field(0), pa.array([split] * len(table), pa.string())))
            rows += len(table)
            if rows >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting), row_group_size=rows)
                waiting, rows = [], 0
        writer.write_table(pa.concat_tables([schema.empty_table(), *waiting]), row_group_size=GROUP_ROWS)
    for found in counts.values():
        found["values"] = {name: dict(sorted(counter.items())) for name, counter in found["values"].items()}
    with open(os.path.join(instance, *COUNTS.split("/")), "x", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(counts, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


def _tables(collected: Collected, parts: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """The part of each shard, or some of its `columns`, with its split, in the order of the shards."""
    import pyarrow.parquet as pq

    for shard in collected.shards:
        with locations.opened(part_location(parts, shard.split, shard.shard, shard.shards)) as source, pq.ParquetFile(source) as file:
            yield shard.split, file.read(columns=columns)


def _dealt(index: Index, collected: Collected, parts: str) -> Sorter[Dealt]:
    """The splits of files, by record key: from the stored records, and from the ledger."""
    found: Sorter[Dealt] = Sorter(key=lambda row: row[0], make=lambda row: (row[0], row[1]), folder=index.scratch)
    for split, table in _tables(collected, parts, [FILE]):
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


def _count(found: dict[str, Any], table: pa.Table) -> None:
    import pyarrow.compute as pc

    for name, counter in found["values"].items():
        for pair in pc.value_counts(table.column(name)).to_pylist():
            counter["" if pair["values"] is None else str(pair["values"])] += pair["counts"]
    for name, known in found["ranges"].items():
        least, most = pc.min_max(table.column(name)).as_py().values()
        if least is not None:
            found["ranges"][name] = [least, most] if known is None else [min(least, known[0]), max(most, known[1])]


def _writer(instance: str, relative: str, schema: pa.Schema, *, texts: Iterable[str]) -> pq.ParquetWriter:
    import pyarrow.parquet as pq

    location = os.path.join(instance, *relative.split("/"))
    os.makedirs(os.path.dirname(location), exist_ok=True)
    return pq.ParquetWriter(location, schema, compression="zstd", compression_level=1, use_dictionary=list(texts))
