"""The files below facts/: the facts of records, how often their values occur, thumbnails, and histograms.

The driver makes them from the parts that the write pass left, one for each shard; see `record.facts`. Memory does not grow with the number
of records.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from refinery_beam.facts.album import Album, LostAlbum, Picture
from refinery_beam.facts.histograms import Histograms, Line, lines_schema
from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.launch.build.tables import GROUP_ROWS, read_parts, table_writer
from refinery_beam.plugins.base import Kind
from refinery_beam.record.facts import HISTOGRAMS as HISTOGRAM_PART
from refinery_beam.record.facts import PICTURES, fact_types, facts_schema, filtered_pictures

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS = "facts/records.parquet"
COUNTS = "facts/counts.json"
THUMBNAILS = "facts/thumbnails.parquet"
HISTOGRAMS = "facts/histograms.parquet"

COUNTED = 100
"""Values of a text that are counted by name in counts.json; the most frequent ones. The others are counted together."""


def write_facts(instance: str, collected: Collected, parts: str, kind: Kind, *, seed: int) -> None:
    """Write everything below facts/ but the findings."""
    _write_records(instance, collected, parts, kind)
    if kind.measures is not None:
        _write_thumbnails(instance, collected, parts, seed=seed)
        _write_histograms(instance, collected, parts, seed=seed)


def _write_records(instance: str, collected: Collected, parts: str, kind: Kind) -> None:
    """Write facts/records.parquet, a row for every row of the dataset in the order of splits, shards and rows; and facts/counts.json: how
    often each value of a text or of an orientation occurs in each split (the most frequent ones, and how many records have others), and the
    least and greatest of the other numbers.
    """
    import pyarrow as pa

    types = fact_types(kind)
    schema = pa.schema([pa.field("split", pa.string()), *facts_schema(kind)])
    texts = [name for name, dtype in types.items() if dtype in ("str", "int8")]
    signature = kind.measures.signature if kind.measures is not None else ""
    numbers = ["bytes", *(name for name in types if name not in texts and name != signature)]
    counts: dict[str, dict[str, Any]] = {
        split: {"records": n, "values": {name: Counter() for name in texts}, "ranges": dict.fromkeys(numbers)}
        for split, n in collected.counts.items()
    }
    waiting: list[pa.Table] = []
    rows = 0
    with table_writer(instance, RECORDS, schema, texts=("split", "label", *texts)) as writer:
        for split, table in read_parts(collected, parts):
            _count(counts[split], table)
            waiting.append(table.select(schema.names[1:]).add_column(0, schema.field(0), pa.array([split] * len(table), pa.string())))
            rows += len(table)
            if rows >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting), row_group_size=rows)
                waiting, rows = [], 0
        writer.write_table(pa.concat_tables([schema.empty_table(), *waiting]), row_group_size=GROUP_ROWS)
    for found in counts.values():
        found["others"] = {name: others for name, counter in found["values"].items() if (others := _cut(counter))}
        found["values"] = {name: dict(sorted(counter.items())) for name, counter in found["values"].items()}
    with open(os.path.join(instance, *COUNTS.split("/")), "x", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(counts, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


def _cut(counter: Counter[str]) -> int:
    """Keep the most frequent values; gives how many records have another."""
    rare = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[COUNTED:]
    for value, _ in rare:
        del counter[value]
    return sum(count for _, count in rare)


def _count(found: dict[str, Any], table: pa.Table) -> None:
    import pyarrow.compute as pc

    for name, counter in found["values"].items():
        for pair in pc.value_counts(table.column(name)).to_pylist():
            counter["" if pair["values"] is None else str(pair["values"])] += pair["counts"]
    for name, known in found["ranges"].items():
        least, most = pc.min_max(table.column(name)).as_py().values()
        if least is not None:
            found["ranges"][name] = [least, most] if known is None else [min(least, known[0]), max(most, known[1])]


def _write_thumbnails(instance: str, collected: Collected, parts: str, *, seed: int) -> None:
    """Write facts/thumbnails.parquet: the albums of splits, label by label, then the pictures of the ledger."""
    import pyarrow as pa

    albums = {split: Album(seed=seed) for split in collected.counts}
    lost = LostAlbum()
    splits: dict[bytes, str] = {}
    for split, table in read_parts(collected, parts, what=PICTURES):
        for rank, key, record_id, label, reason, *picture in zip(*(c.to_pylist() for c in table.columns), strict=True):
            (lost if reason else albums[split]).join(Picture(int.from_bytes(rank, "big"), key, record_id, label, tuple(picture), reason))
            if reason:
                splits[key] = split
        albums[split].trim()
    for table in filtered_pictures(parts):
        for _, key, record_id, label, reason, *picture in zip(*(c.to_pylist() for c in table.columns), strict=True):
            lost.join(Picture(0, key, record_id, label, tuple(picture), reason))
            splits[key] = ""
    rows = [(split, False, *row) for split, album in albums.items() for row in _numbered(album)]
    rows += [(splits[p.key], True, p.record_id, p.label, p.reason, n, *p.content) for n, p in enumerate(lost, 1)]
    schema = pa.schema(
        [
            pa.field("split", pa.string()),
            pa.field("ledger", pa.bool_()),
            pa.field("record_id", pa.string()),
            pa.field("label", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("position", pa.int32()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("jpeg", pa.binary()),
        ]
    )
    with table_writer(instance, THUMBNAILS, schema, texts=("split", "label", "reason")) as writer:
        for start in range(0, max(1, len(rows)), 1024):
            columns = [list(column) for column in zip(*rows[start : start + 1024], strict=True)] or [[] for _ in schema]
            writer.write_table(pa.table(columns, schema=schema))


def _numbered(album: Album) -> list[tuple[Any, ...]]:
    """The rows of an album: the record, no reason, its position in its class, the picture."""
    numbers: Counter[str | None] = Counter()
    rows = []
    for picture in album:
        numbers[picture.label] += 1
        rows.append((picture.record_id, picture.label, None, numbers[picture.label], *picture.content))
    return rows


def _write_histograms(instance: str, collected: Collected, parts: str, *, seed: int) -> None:
    """Write facts/histograms.parquet: for each split its own lines, then those of its classes."""
    import numpy as np
    import pyarrow as pa

    found = {split: Histograms(seed=seed) for split in collected.counts}
    for split, table in read_parts(collected, parts, what=HISTOGRAM_PART):
        for whole, label, channel, records, counts in zip(*(c.to_pylist() for c in table.columns), strict=True):
            found[split].join(Line(whole, label, channel, records, np.array(counts, np.int64)))
        found[split].trim()
    schema = lines_schema(split=True)
    with table_writer(instance, HISTOGRAMS, schema, texts=("split", "label", "channel")) as writer:
        for split, histograms in found.items():
            rows = [(split, *line) for line in histograms]
            columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in schema]
            writer.write_table(pa.table(columns, schema=schema))
