"""Balances the counts of a run: every record that goes into a step comes out of it or is in the ledger, step by step and split by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from refinery_beam.errors import EngineError
from refinery_beam.launch.build.collected.step_counts import Tally
from refinery_beam.planning.generated import aggressive
from refinery_beam.planning.nodes import Plan
from refinery_beam.records import LedgerRow


def account(records_in: int, counts: Mapping[str, int], ledger: Sequence[LedgerRow]) -> None:
    """in = out + ledger, and no record twice in the ledger. `records_in` includes generated records and excludes replaced ones."""
    out = sum(counts.values())
    if len({row.record_id for row in ledger}) != len(ledger):
        raise _unaccounted("the run", records_in, out, len(ledger))
    _balance("the run", records_in, out, len(ledger))


def account_steps(plan: Plan, records_in: int, tally: Tally, counts: Mapping[str, int], ledger: Sequence[LedgerRow]) -> None:
    """The same for every step and split: a step's input is the sum of the records that it kept and lost, and the lost ones are in the
    ledger. `counts` are stored rows by split, `ledger` the rows of the records that the job lost, and `records_in` the refs that went into
    it.
    """

    def kept(step: str, split: str = "") -> int:
        return tally.get((split, step, "kept"), 0)

    def lost(step: str, split: str = "") -> int:
        return tally.get((split, step, "lost"), 0)

    here = records_in
    before = ["InputContracts"] if plan.contracts else []
    before += [step.name for step in plan.pre_filters]
    before += ["NearGroups"] if plan.split.near_distance is not None else []
    for step in before:
        _balance(step, here, kept(step), lost(step))
        here = kept(step)
    _balance("Splits", here, sum(kept("Splits", split) for split in plan.split.splits), lost("Splits"))
    in_ledger = Counter(row.split for row in ledger)
    _balance("the ledger before splits", in_ledger[""], sum(lost(step) for step in (*before, "Splits")), 0)
    for split in plan.split.splits:
        here, gone = kept("Splits", split), 0
        for name in (step.name for step in plan.post_filters if split in step.splits):
            _balance(f"{name} in {split}", here, kept(name, split), lost(name, split))
            here, gone = kept(name, split), gone + lost(name, split)
        made = [(g.name, g.splits) for g in plan.generation] + [(a.name, a.splits) for a in aggressive(plan.augmentations)]
        for step in (name for name, splits in made if split in splits):
            here += tally.get((split, step, "generated"), 0) - tally.get((split, step, "replaced"), 0)
        _balance(f"writing {split}", here, counts[split], in_ledger[split] - gone)


def _balance(step: str, records_in: int, out: int, lost: int) -> None:
    if records_in != out + lost:
        raise _unaccounted(step, records_in, out, lost)


def _unaccounted(step: str, records_in: int, out: int, lost: int) -> EngineError:
    return EngineError(
        f"{step}: {records_in} records went in, {out} came out and {lost} are in the ledger",
        code="unaccounted",
        at=step,
        value=records_in - out - lost,
    )
