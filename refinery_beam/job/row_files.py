"""Rows from the pipeline to the driver, as files: shard rows, ledger rows and statistics. (Refs go in by `index_parts`.)

Every engine can read and write files; none hands a PCollection back to the driver in the same way. Result files are named by
their own content, so a repeated bundle writes the same file again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from refinery_beam import locations
from refinery_beam.records import LedgerRow, ShardRow


def write_rows(group: tuple[int, Iterable[Any]], folder: str) -> str:
    """Write the sorted rows of one group as one file; returns its name."""
    lines = sorted(json.dumps(list(row), ensure_ascii=False, separators=(",", ":")) for row in group[1])
    data = ("\n".join(lines) + "\n").encode()
    name = f"{group[0]:05d}-{hashlib.sha256(data).hexdigest()[:16]}.jsonl"
    locations.write(locations.join(folder, name), data)
    return name


def write_partial(pair: tuple[str, bytes], folder: str) -> str:
    """Write the merged accumulator of one fit point; returns its name."""
    name, data = pair
    locations.write(locations.join(folder, name), data)
    return name


def read_rows(folder: str, kind: Any) -> Iterator[Any]:
    """The rows of a folder, sorted by file, each distinct row once."""
    for name in locations.names(folder):
        if name.endswith(".jsonl"):
            for line in locations.read(locations.join(folder, name)).split(b"\n"):
                if line:
                    yield kind(*json.loads(line))


def read_shard_rows(folder: str) -> list[ShardRow]:
    """One row for each shard, in no promised order of splits. Equal rows of a repeated bundle count as one."""
    return sorted(set(read_rows(folder, ShardRow)))


def read_ledger(folder: str) -> list[LedgerRow]:
    """The ledger, sorted by record id and stage."""
    return sorted(set(read_rows(folder, LedgerRow)))
