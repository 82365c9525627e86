"""The way of the records through the steps of a recipe: how many are left after each, by split once there are splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from refinery_beam.reporting.facts import ReportFacts
from refinery_beam.reporting.page.model import LedgerPage


class Passed(NamedTuple):
    """A step: how many records are left behind it, by split ('' before there are any); how many it lost and generated; why it lost them, as
    (reason, records).
    """

    title: str
    op: str
    left: Mapping[str, int]
    lost: int = 0
    generated: int = 0
    why: Sequence[tuple[str, int]] = ()

    @property
    def total(self) -> int:
        """Records of all splits."""
        return sum(self.left.values())


def funnel(facts: ReportFacts, ledger: LedgerPage) -> list[Passed]:
    """The steps in the order in which records pass them. The first is the listing, the last what is stored."""
    tally = {(split, step, kind): records for split, step, kind, records in facts.steps}
    found = [Passed("Files listed", "", {"": facts.records_in})]
    if not tally:
        return [*found, _stored(facts, found[-1].total, [cause[3:] for cause in ledger.causes])]
    causes = list(ledger.causes)

    def why(*names: str, before: bool) -> list[tuple[str, int]]:
        """The reasons of stages or ops of these names, or with none named those of all that are left; each is given once."""
        mine = [cause for cause in causes if cause[0] is before and (not names or cause[1] in names or cause[2] in names)]
        causes[:] = [cause for cause in causes if cause not in mine]
        return _added([cause[3:] for cause in mine])

    steps = [
        (title, op, tally.get(("", step, "kept"), 0), tally.get(("", step, "lost"), 0), step) for title, op, step in _before(facts, tally)
    ]
    left = {split: tally.get((split, "Splits", "kept"), 0) for split in facts.counts}
    unassigned = tally.get(("", "Splits", "lost"), 0)
    reasons = [why(step, before=True) for *_, step in steps]
    no_split = why("Splits", before=True) if unassigned else []
    first = steps[0][2] + steps[0][3] if steps else sum(left.values()) + unassigned
    if first != facts.records_in:
        found.append(Passed("Readable and labelled", "", {"": first}, lost=facts.records_in - first, why=why(before=True)))
    found += [
        Passed(title, op, {"": kept}, lost=lost, why=reason) for (title, op, kept, lost, _), reason in zip(steps, reasons, strict=True)
    ]
    found.append(Passed("Splits", "", dict(left), lost=unassigned, why=no_split))
    for section, name, op, _, splits in facts.operations:
        if section == "Transformations" or not any(
            (s, name, kind) in tally for s in splits for kind in ("kept", "lost", "generated", "replaced")
        ):
            continue
        lost = generated = 0
        for split in (split for split in splits if split in left):
            gone, made, replaced = (tally.get((split, name, kind), 0) for kind in ("lost", "generated", "replaced"))
            left[split] += made - gone - replaced
            lost, generated = lost + gone + replaced, generated + made
        found.append(
            Passed(name, op, dict(left), lost=lost, generated=generated, why=why(name, before=False) if section == "Filters" else ())
        )
    return [*found, _stored(facts, found[-1].total, [cause[3:] for cause in causes])]


def _before(facts: ReportFacts, tally: Mapping[tuple[str, str, str], int]) -> list[tuple[str, str, str]]:
    """(title, op, step) of the steps that every record passes before there are splits."""
    steps = [("Contracts of the input", "", "InputContracts")]
    steps += [(name, op, name) for section, name, op, _, _ in facts.operations if section == "Filters"]
    steps += [("Likeness", "", "NearGroups")]
    return [step for step in steps if ("", step[2], "kept") in tally or ("", step[2], "lost") in tally]


def _stored(facts: ReportFacts, before: int, causes: Sequence[tuple[str, int]]) -> Passed:
    lost = max(0, before - sum(facts.counts.values()))
    return Passed("Stored", "", dict(facts.counts), lost=lost, why=_added(causes) if lost else ())


def _added(causes: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for reason, records in causes:
        counts[reason] += records
    return sorted(counts.items())
