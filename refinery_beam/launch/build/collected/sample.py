"""The shards of ``SampleData``, and their entry in a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refinery_beam import locations
from refinery_beam.launch.build.collected.shard_rows import read_shards, sorted_shards
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.sample import SamplePlan
from refinery_beam.records import ShardRow


def read_sample(plan: Plan, work: str) -> tuple[ShardRow, ...]:
    """The rows of the sample's shards, by split and number; none where the recipe asks for no sample."""
    if plan.sample is None:
        return ()
    return sorted_shards(read_shards(locations.join(work, "sample")), plan.split.splits)


def sample_entry(step: SamplePlan, rows: Sequence[ShardRow]) -> dict[str, Any]:
    """The key ``sample`` of a manifest."""
    fraction = None if step.fraction is None else float(step.fraction)
    selector = {"kind": step.kind, "n": step.n, "fraction": fraction, "splits": list(step.splits)}
    counts = {split: sum(row.records for row in rows if row.split == split) for split in step.splits}
    shards = [
        {"path": r.file, "split": r.split, "shard": r.shard, "shards": r.shards, "records": r.records, "rows_digest": r.rows_digest}
        for r in rows
    ]
    return {"selector": {**selector, "seed": step.seed}, "counts": counts, "shards": shards}
