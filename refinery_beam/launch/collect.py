"""What a finished job left in its work folder, brought together and accounted for: every record came out, or is in the ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refinery_beam import places
from refinery_beam.errors import DataError, EngineError, display
from refinery_beam.launch.accounting import account, account_steps
from refinery_beam.launch.beside import BesideFacts, collect_beside
from refinery_beam.launch.growth import NO_GROWTH, Growth, growth_warnings, read_growth
from refinery_beam.launch.losses import FILTERS, emptied_classes, unknown_labels, unmapped_values
from refinery_beam.launch.prepare import Prepared
from refinery_beam.planning.nodes import Plan
from refinery_beam.records import ASKED_FOR, LedgerRow, ShardRow


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The facts of one finished job. `fitted` is statistics by step name, `classes` records by split and label."""

    shards: tuple[ShardRow, ...]
    ledger: tuple[LedgerRow, ...]
    fitted: Mapping[str, Mapping[str, Any]]
    records_in: int
    counts: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    warnings: tuple[tuple[str, str], ...]
    growth: Growth = NO_GROWTH
    beside: BesideFacts = field(default_factory=BesideFacts)

    @property
    def reasons(self) -> dict[str, int]:
        """Ledger rows by reason."""
        return dict(sorted(Counter(row.reason for row in self.ledger).items()))


def collect(prepared: Prepared, instance: str, work: str) -> Collected:
    """Read the job's rows, add what the index lost, prove the sums, and write the empty shard of every split that got no record.

    Raises DataError when too many records are bad and EngineError when a record is unaccounted for.
    """
    from refinery_beam.job.row_files import read_ledger, read_shard_rows

    plan, index = prepared.plan, prepared.index
    shards = one_row_a_shard(read_shard_rows(places.join(work, "shards")))
    index_bad = frozenset(index.bad)
    ledger = sorted({*index_bad, *read_ledger(places.join(work, "ledger"))})
    have = {row.split for row in shards}
    shards += [_empty_shard(prepared, split, instance, work) for split in plan.split.splits if split not in have]
    order = {split: i for i, split in enumerate(plan.split.splits)}
    shards.sort(key=lambda row: (order[row.split], row.shard))
    counts = {split: sum(r.records for r in shards if r.split == split) for split in plan.split.splits}
    records_in = index.records_in
    growth = read_growth(plan, work)
    account(growth.total(records_in), counts, ledger)
    account_steps(plan, len(index.entries), growth.flow, counts, [row for row in ledger if row not in index_bad])
    check_budget(plan, growth.total(records_in), ledger, place=prepared.recipe.place(("Input", "max_bad_fraction")))
    unknown = unknown_labels(plan, prepared.plugin, (entry.label for entry in index.entries))
    place = prepared.recipe.place(("Input", "sources"))
    refuse_empty(records_in, ledger, out=sum(counts.values()), place=place, hints=[text for _, text in unknown])
    fitted = _fitted(prepared, work)
    beside = collect_beside(prepared, work, ledger, fitted)
    classes = _classes(shards, plan.split.splits)
    return Collected(
        shards=tuple(shards),
        ledger=tuple(ledger),
        fitted=fitted,
        records_in=records_in,
        counts=counts,
        classes=classes,
        warnings=(
            *_warnings(prepared, counts, classes),
            *unmapped_values(plan, ledger),
            *unknown,
            *emptied_classes(index.entries, ledger, classes),
            *beside.warnings,
        ),
        beside=beside,
        growth=growth,
    )


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
                place=row.file,
                value=f"{other.sha256} and {row.sha256}",
                rule="the same records give the same shard",
                remedy="an op or a plugin is not a pure function of its record; report it with the recipe",
            )
    return list(found.values())


def refuse_empty(records_in: int, ledger: Sequence[LedgerRow], *, out: int, place: str = "", hints: Sequence[str] = ()) -> None:
    """DataError when nothing at all came out: an empty dataset is never what somebody wanted. `hints` say what may be the cause."""
    if out == 0:
        gone = Counter(f"{row.reason} by {row.op!r}" if row.stage == FILTERS else row.reason for row in ledger)
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(gone.items()))
        raise DataError(
            f"none of {records_in} records came out: {reasons}",
            code="no-records",
            place=place,
            value=0,
            rule="an instance has at least one record",
            remedy="; ".join(hints) or "check the filters, the split ratios and the input",
        )


def check_budget(plan: Plan, records_in: int, ledger: Sequence[LedgerRow], *, place: str = "Input.max_bad_fraction") -> None:
    """Bad records within Input.max_bad_fraction, or DataError with the first of them."""
    bad = [row for row in ledger if row.reason not in ASKED_FOR]
    if len(bad) > plan.max_bad_fraction * records_in:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(Counter(row.reason for row in bad).items()))
        some = "; ".join(f"{display(row.record_id)}: {row.reason}: {row.detail}" for row in bad[:5])
        more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
        raise DataError(
            f"{len(bad):,} of {records_in:,} records are bad ({reasons}): {some}{more}",
            code="too-many-bad-records",
            place=place,
            value=len(bad) / records_in,
            rule=f"at most {plan.max_bad_fraction:g} of the records may be bad (Input.max_bad_fraction)",
            remedy="mend or remove the files, or raise Input.max_bad_fraction",
        )


def _fitted(prepared: Prepared, work: str) -> dict[str, Mapping[str, Any]]:
    """Statistics of every fitted step: derived from the merged accumulators, or those the recipe states."""
    from refinery_beam.record.worker import Worker, derive_fields, statistics_name

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
        return places.read(places.join(work, "statistics", name))
    except FileNotFoundError:
        return None


def _empty_shard(prepared: Prepared, split: str, instance: str, work: str) -> ShardRow:
    from refinery_beam.record.shard import write_shard
    from refinery_beam.record.worker import Worker

    folder = places.join(instance, "dataset")
    with places.scratch(places.join(work, "scratch")) as scratch:
        return write_shard(Worker(prepared.plan), [], {}, split=split, shard=0, shards=1, folder=folder, scratch=scratch).row


def _classes(shards: Sequence[ShardRow], splits: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {split: Counter() for split in splits}
    for row in shards:
        found[row.split].update(json.loads(row.labels))
    return {split: dict(sorted(counter.items())) for split, counter in found.items()}


def _warnings(prepared: Prepared, counts: Mapping[str, int], classes: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    plan = prepared.plan
    found = [(error.code, error.message) for c in prepared.checks if c.status == "warn" for error in c.errors]
    found += list(prepared.index.warnings)
    found += growth_warnings(plan)
    found += [("empty-split", f"split {split!r} has no record") for split, n in counts.items() if n == 0]
    ratio_splits = [name for name, ratio in plan.split.ratios if ratio > 0]
    if plan.split.stratify_by == plan.label_field and ratio_splits:
        every = sorted({label for split in ratio_splits for label in classes.get(split, {})})
        for split in ratio_splits:
            missing = [label for label in every if label not in classes.get(split, {})]
            if missing and counts[split]:
                some = ", ".join(repr(m) for m in missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
                found.append(("sparse-class", f"split {split!r} has no record of {some}: too few records of the class for its ratio"))
    return found
