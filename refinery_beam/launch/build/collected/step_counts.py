"""How many records each step of a job kept, lost, generated and replaced."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.job.row_files import read_rows
from refinery_beam.planning.generated import aggressive
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.splits.quotas import weights
from refinery_beam.records import StepCountRow

Tally = Mapping[tuple[str, str, str], int]
"""Records by (split, step, kind), where kind is kept, lost, generated or replaced. A count of zero may be left out."""


class StepCounts(NamedTuple):
    """Records generated and replaced, by step; and the tally of every step in every split."""

    generated: Mapping[str, int]
    replaced: Mapping[str, int]
    tally: Tally = MappingProxyType({})

    def total(self, records_in: int) -> int:
        """How many records must come out or be in the ledger."""
        return records_in + sum(self.generated.values()) - sum(self.replaced.values())


NO_STEP_COUNTS = StepCounts({}, {})


def read_step_counts(plan: Plan, work: str) -> StepCounts:
    """The counts that a job left; every step that can generate records is named, with 0 if it generated none."""
    steps = [(g.name, g.replace) for g in plan.generation] + [(a.name, True) for a in aggressive(plan.augmentations)]
    generated = {name: 0 for name, _ in steps}
    replaced = {name: 0 for name, replaces in steps if replaces}
    tally: dict[tuple[str, str, str], int] = {}
    rows: list[StepCountRow] = sorted(set(read_rows(locations.join(work, "step_counts"), StepCountRow)))
    for row in rows:
        tally[row.split, row.step, row.kind] = row.records
        if row.kind in ("generated", "replaced"):
            into = generated if row.kind == "generated" else replaced
            into[row.step] += row.records
    return StepCounts(generated, replaced, tally)


def generation_warnings(plan: Plan) -> list[tuple[str, str]]:
    """Warnings about generation outside of train: results there no longer measure natural data."""
    return [
        ("generation-split", f"{step.name!r} makes records in {split!r}: what is measured on it is not measured on found data alone")
        for step in plan.generation
        for split in step.splits
        if split != "train"
    ]


def split_totals(plan: Plan, tally: Tally) -> dict[str, dict[str, float | int]]:
    """For each split of the ratios: its ratio, the records it should have had of those that were divided, and those it got. Empty where no
    ratios divide.

    `got` may only be near `asked`, because groups are never divided. Both are as splits were made: later steps change counts. Where tags
    decide which records are divided, those that no split takes are left out of them.
    """
    split = plan.split
    if split.mode != "ratios":
        return {}
    got = {name: tally.get((name, "Splits", "kept"), 0) for name, _ in split.ratios}
    shares = weights([ratio for _, ratio in split.ratios])
    divided = sum(got.values()) + (tally.get(("", "Splits", "lost"), 0) if split.tag is None else 0)
    asked = {name: (ratio, float(divided * share)) for (name, ratio), share in zip(split.ratios, shares, strict=True)}
    return {name: {"ratio": ratio, "asked": records, "got": got[name]} for name, (ratio, records) in asked.items()}
