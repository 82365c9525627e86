"""What a finished job left in its work folder, brought together and accounted for: every record came out, or is in the ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import DataError, raise_all
from refinery_beam.job.row_files import read_ledger
from refinery_beam.launch.build.collected.accounting import account, account_steps
from refinery_beam.launch.build.collected.contracts import contract_warnings, judge
from refinery_beam.launch.build.collected.losses import FILTERS, emptied_classes, unknown_labels, unmapped_values
from refinery_beam.launch.build.collected.remarks import remarks
from refinery_beam.launch.build.collected.sample import read_sample
from refinery_beam.launch.build.collected.shard_rows import read_shards, sorted_shards
from refinery_beam.launch.build.collected.sinks import SinkFiles, read_sinks
from refinery_beam.launch.build.collected.step_counts import NO_STEP_COUNTS, StepCounts, generation_warnings, read_step_counts
from refinery_beam.launch.prepare import Prepared
from refinery_beam.planning.budget import check_budget
from refinery_beam.planning.splits.counts import count_warnings, empty_splits, order_warnings
from refinery_beam.record.contracts import Outcome
from refinery_beam.record.shard import write_shard
from refinery_beam.record.worker import Worker, derive_fields, statistics_name
from refinery_beam.records import LedgerRow, ShardRow


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The facts of one finished job. `fitted` is statistics by step name, `classes` records by split and label; `outcomes` are those of
    assertions, `sample` the rows of the sample's shards, and `sinks` the files of each sink.
    """

    shards: tuple[ShardRow, ...]
    ledger: tuple[LedgerRow, ...]
    fitted: Mapping[str, Mapping[str, Any]]
    records_in: int
    counts: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    warnings: tuple[tuple[str, str], ...]
    step_counts: StepCounts = NO_STEP_COUNTS
    outcomes: tuple[Outcome, ...] = ()
    sample: tuple[ShardRow, ...] = ()
    sinks: SinkFiles = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, int]:
        """Ledger rows by reason."""
        return dict(sorted(Counter(row.reason for row in self.ledger).items()))


def collect(prepared: Prepared, instance: str, work: str) -> Collected:
    """Read the job's rows, add what the index lost, prove the sums, and write the empty shard of every split that got no record.

    Raises DataError when too many records are bad, for a split that no record came to, for every failed assertion of severity error
    (``contract``) and for records that a sink writes to one file, and EngineError when a record is unaccounted for.
    """
    plan, index = prepared.plan, prepared.index
    shards = read_shards(locations.join(work, "shards"))
    index_bad = frozenset(index.bad)
    ledger = sorted({*index_bad, *read_ledger(locations.join(work, "ledger"))})
    have = {row.split for row in shards}
    shards += [_empty_shard(prepared, split, instance, work) for split in plan.split.splits if split not in have]
    counts = {split: sum(r.records for r in shards if r.split == split) for split in plan.split.splits}
    records_in = index.records_in
    step_counts = read_step_counts(plan, work)
    account(step_counts.total(records_in), counts, ledger)
    account_steps(plan, len(index.entries), step_counts.tally, counts, [row for row in ledger if row not in index_bad])
    check_budget(plan, step_counts.total(records_in), ledger, at=prepared.recipe.at(("Input", "max_bad_fraction")))
    unknown = unknown_labels(plan, prepared.plugin, (entry.label for entry in index.entries))
    at = prepared.recipe.at(("Input", "sources"))
    refuse_empty(records_in, ledger, out=sum(counts.values()), at=at, hints=[text for _, text in unknown])
    raise_all(empty_splits(plan.split, counts))
    fitted = _fitted(prepared, work)
    outcomes = judge(prepared, work, ledger, fitted, shards)
    raise_all(o.error() for o in outcomes if o.gates)
    sinks = read_sinks(plan, work)
    classes = _classes(shards, plan.split.splits)
    return Collected(
        shards=sorted_shards(shards, plan.split.splits),
        ledger=tuple(ledger),
        fitted=fitted,
        records_in=records_in,
        counts=counts,
        classes=classes,
        warnings=(
            *_warnings(prepared, classes),
            *remarks(prepared.plugin.kind, shards),
            *unmapped_values(plan, ledger),
            *unknown,
            *emptied_classes(index.entries, ledger, classes),
            *contract_warnings(outcomes),
        ),
        step_counts=step_counts,
        outcomes=outcomes,
        sample=read_sample(plan, work),
        sinks=sinks,
    )


def refuse_empty(records_in: int, ledger: Sequence[LedgerRow], *, out: int, at: str = "", hints: Sequence[str] = ()) -> None:
    """DataError when no record came out: nobody wants an empty dataset. `hints` say what may be the cause."""
    if out == 0:
        gone = Counter(f"{row.reason} by {row.op!r}" if row.stage == FILTERS else row.reason for row in ledger)
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(gone.items()))
        raise DataError(
            f"none of {records_in} records came out: {reasons}",
            code="no-records",
            at=at,
            value=0,
            remedy="; ".join(hints) or None,
        )


def _fitted(prepared: Prepared, work: str) -> dict[str, Mapping[str, Any]]:
    """Statistics of every fitted step: derived from the merged accumulators, or those the recipe states."""
    plan = prepared.plan
    worker = Worker(plan)
    fitted: dict[str, Mapping[str, Any]] = {s.name: s.pinned for s in plan.fitted_steps() if s.pinned is not None}
    for point in plan.fits:
        fitted.update(worker.derive(point, _accumulator(work, point.name) or b"", fitted))
    merged = {}
    for step in plan.fitted_fields():
        data = _accumulator(work, statistics_name(step))
        if data is not None:
            merged[statistics_name(step)] = data
    return {**fitted, **derive_fields(worker, merged)}


def _accumulator(work: str, name: str) -> bytes | None:
    """The merged accumulator of a fit point, or None where no record reached it."""
    try:
        return locations.read(locations.join(work, "statistics", name))
    except FileNotFoundError:
        return None


def _empty_shard(prepared: Prepared, split: str, instance: str, work: str) -> ShardRow:
    folder = locations.join(instance, "dataset")
    with locations.scratch(locations.join(work, "scratch")) as scratch:
        written = write_shard(
            Worker(prepared.plan),
            [],
            {},
            split=split,
            shard=0,
            shards=1,
            folder=folder,
            scratch=scratch,
            facts=locations.join(work, "facts"),
        )
    return written.row


def _classes(shards: Sequence[ShardRow], splits: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {split: Counter() for split in splits}
    for row in shards:
        found[row.split].update(json.loads(row.labels))
    return {split: dict(sorted(counter.items())) for split, counter in found.items()}


def _warnings(prepared: Prepared, classes: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    plan = prepared.plan
    found = [(error.code, error.message) for c in prepared.checks if c.status == "warn" for error in c.errors]
    found += list(prepared.index.warnings)
    found += generation_warnings(plan)
    found += [*order_warnings(plan, prepared.index.entries), *count_warnings(plan, classes)]
    return found
