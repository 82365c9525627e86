"""Refs from the driver to the pipeline: Parquet parts in a folder, and a small file that lists them.

The job graph holds the folder's name and nothing else, so it is the same for ten refs and for a hundred million. Workers read the
list of parts, deal out its row groups, and read those.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from refinery_beam import locations
from refinery_beam.records import Ref

GROUP_REFS = 512
"""Refs in a row group, the unit a worker reads, while there are few: then their work is divided evenly."""

MAX_GROUP_REFS = 16_384
"""Refs in a row group when there are many: some 16 MB in a worker's memory."""

GROUPS = 4096
"""How many row groups an index should have, within these bounds."""

PART_GROUPS = 64
"""Row groups in a part. The footer, which every read of a group parses, stays small."""

PARTS = "parts.json"


def write_index(folder: str, refs: Iterable[Ref], *, count: int) -> None:
    """Write about `count` refs as parts, and last the list of parts. Keeps one row group in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, raw = pa.string(), pa.binary()
    kinds = {"record_id": text, "key": raw, "source": pa.int32(), "path": text, "size": pa.int64(), "digest": raw}
    kinds |= {"label": text, "partition": text, "group": raw, "split": text, "fields": text, "lineage": text, "tags": text, "kind": text}
    schema = pa.schema([(name, kinds[name]) for name in Ref._fields])
    group_refs = min(MAX_GROUP_REFS, max(GROUP_REFS, -(-count // GROUPS)))
    stream = iter(refs)
    batch = list(islice(stream, group_refs))
    parts: list[tuple[str, int]] = []
    while batch:
        name, groups = f"part-{len(parts):05d}.parquet", 0
        with locations.written(locations.join(folder, name)) as local, pq.ParquetWriter(local, schema, compression="zstd") as writer:
            while batch and groups < PART_GROUPS:
                writer.write_table(_table(batch, schema))
                groups, batch = groups + 1, list(islice(stream, group_refs))
        parts.append((name, groups))
    locations.write(locations.join(folder, PARTS), json.dumps(parts).encode())


def read_groups(numbered: tuple[int, Iterable[str]], folder: str) -> Iterator[Ref]:
    """The refs of the row groups that a (number, names) pair names."""
    for group_name in numbered[1]:
        name, _, group = group_name.rpartition(":")
        yield from read_group(locations.join(folder, name), int(group))


def read_group(path: str, group: int) -> Iterator[Ref]:
    """The refs of one row group of a part."""
    import pyarrow.parquet as pq

    with locations.opened(path) as opened, pq.ParquetFile(opened) as file:
        table = file.read_row_group(group, columns=list(Ref._fields))
    yield from map(Ref._make, zip(*(table.column(name).to_pylist() for name in Ref._fields), strict=True))


def list_groups(folder: str) -> Iterator[tuple[int, str]]:
    """(number of a row group in the whole index, its part and its number there) of every row group, for `read_groups`."""
    parts: list[tuple[str, int]] = json.loads(locations.read(locations.join(folder, PARTS)))
    number = 0
    for name, groups in parts:
        for group in range(groups):
            yield number, f"{name}:{group}"
            number += 1


def _table(refs: Sequence[Ref], schema: Any) -> Any:
    import pyarrow as pa

    return pa.table([list(column) for column in zip(*refs, strict=True)], schema=schema)
