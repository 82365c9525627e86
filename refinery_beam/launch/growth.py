"""How many records the steps of a job made and replaced, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from refinery_beam import places
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.variants import aggressive

if TYPE_CHECKING:
    from refinery_beam.records import GrowthRow


class Growth(NamedTuple):
    """Records made and replaced, by step; and what passed every step."""

    generated: Mapping[str, int]
    replaced: Mapping[str, int]
    flow: Mapping[tuple[str, str, str], int] = MappingProxyType({})
    """Records by (split, step, kind): what each step kept, lost, generated and replaced."""

    def total(self, records_in: int) -> int:
        """How many records must come out or be in the ledger."""
        return records_in + sum(self.generated.values()) - sum(self.replaced.values())


NO_GROWTH = Growth({}, {})


def read_growth(plan: Plan, work: str) -> Growth:
    """The tallies that a job left, summed over splits; every step of the plan is named, with 0 if it made nothing."""
    from refinery_beam.job.row_files import read_rows
    from refinery_beam.records import GrowthRow

    steps = [(g.name, g.replace) for g in plan.generation] + [(a.name, True) for a in aggressive(plan.augmentations)]
    generated = {name: 0 for name, _ in steps}
    replaced = {name: 0 for name, replaces in steps if replaces}
    flow: dict[tuple[str, str, str], int] = {}
    rows: list[GrowthRow] = sorted(set(read_rows(places.join(work, "growth"), GrowthRow)))
    for row in rows:
        flow[row.split, row.step, row.kind] = row.records
        if row.kind in ("generated", "replaced"):
            into = generated if row.kind == "generated" else replaced
            into[row.step] += row.records
    return Growth(generated, replaced, flow)


def growth_warnings(plan: Plan) -> list[tuple[str, str]]:
    """Warnings about generation outside of train: what is measured there is no longer what was found in the world."""
    return [
        ("generation-split", f"{step.name!r} makes records in {split!r}: what is measured on it is not measured on found data alone")
        for step in plan.generation
        for split in step.splits
        if split != "train"
    ]
