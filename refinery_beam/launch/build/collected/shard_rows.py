"""The rows that shard writers left, one a shard."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import EngineError
from refinery_beam.job.row_files import read_shard_rows
from refinery_beam.records import ShardRow


def read_shards(folder: str) -> list[ShardRow]:
    """The rows of a folder, one a shard, in no promised order of splits. Raises EngineError ``nondeterminism``."""
    return one_row_a_shard(read_shard_rows(folder))


def sorted_shards(rows: Sequence[ShardRow], splits: Sequence[str]) -> tuple[ShardRow, ...]:
    """The rows by split, in the order of `splits`, and by number."""
    order = {split: i for i, split in enumerate(splits)}
    return tuple(sorted(rows, key=lambda row: (order[row.split], row.shard)))


def one_row_a_shard(rows: Sequence[ShardRow]) -> list[ShardRow]:
    """The rows, at most one a (split, shard). Two attempts at one shard must have written the same bytes: anything else is
    found non-determinism.
    """
    found: dict[tuple[str, int], ShardRow] = {}
    for row in rows:
        other = found.setdefault((row.split, row.shard), row)
        if other != row:
            raise EngineError(
                f"two attempts at shard {row.shard} of {row.split} gave different bytes",
                code="nondeterminism",
                at=row.file,
                value=f"{other.sha256} and {row.sha256}",
                rule="the same records give the same shard",
                remedy="an op or a plugin is not a pure function of its record; report it with the recipe",
            )
    return list(found.values())
