"""Findings about single records: a kind's rules, and outliers among the others."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refinery_beam.facts.gather import Part
from refinery_beam.plugins.fact_columns import arrays, shown
from refinery_beam.plugins.measures import Outlier, Rule

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

CASES = 100
"""Records that a finding names."""

_CAP = 100_000
"""Greater values of a fact count as this one when its median is sought."""


@dataclass
class Flag:
    """One finding: how many records have the facts (``measured``) and how many show it, by split; ``cases`` are the first ones, as (order,
    position, value).
    """

    rule: Rule | Outlier
    measured: int = 0
    records: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    cases: list[tuple[int, int, int]] = field(default_factory=list)
    median: int | None = None

    @property
    def of_interest(self) -> bool:
        """Whether the finding says anything: some records show it, and no more than it is of interest for."""
        minority = self.rule.minority if isinstance(self.rule, Rule) else 100
        return self.records > 0 and self.records * 100 <= minority * self.measured

    def flagged(self, part: Part) -> tuple[Array, Array, Array]:
        """Of a part's records: which show it, which have its facts, and the value that says how much."""
        import numpy as np

        rule = self.rule
        names = {c.fact for c in rule.conditions} | {rule.order[0]} if isinstance(rule, Rule) else {rule.fact}
        numbers = arrays(part.table, sorted(names))
        none = np.zeros(len(part.table), bool)
        if len(numbers) < len(names):
            return none, none, none
        there = np.logical_and.reduce([known for _, known in numbers.values()])
        if isinstance(rule, Rule):
            hit = there.copy()
            for fact, sign, limit in rule.conditions:
                values = numbers[fact][0]
                hit &= values < limit if sign == "below" else values > limit
            return hit, there, numbers[rule.order[0]][0]
        values = numbers[rule.fact][0]
        if self.median is None:
            return none, there, values
        hit = (values > rule.times * self.median) & (values > rule.least)
        if rule.both:
            hit |= values * rule.times < self.median
        return hit & there, there, values

    def count(self, part: Part, labels: Array) -> None:
        """Count the records of a part."""
        hit, there, values = self.flagged(part)
        self.measured += int(there.sum())
        number = int(hit.sum())
        if not number:
            return
        self.records += number
        self.splits[part.split] += number
        self.labels.update(labels[hit].tolist())
        positions = hit.nonzero()[0]
        for position in positions.tolist():
            value = int(values[position])
            entry = (self._order(value), -(part.start + position), value)
            # A heap whose root is the last of the first.
            if len(self.cases) < CASES:
                heapq.heappush(self.cases, entry)
            elif entry > self.cases[0]:
                heapq.heapreplace(self.cases, entry)

    def first(self) -> list[tuple[int, int]]:
        """(position, value) of the records that are named, the most striking first."""
        return [(-position, value) for _, position, value in sorted(self.cases, reverse=True)]

    def _order(self, value: int) -> int:
        if isinstance(self.rule, Rule):
            return value if self.rule.order[1] == "greatest" else -value
        median = self.median or 1
        return max(value * 1000 // median, median * 1000 // max(1, value))


class Medians:
    """Exact medians of the facts that outliers are about."""

    def __init__(self, outliers: Sequence[Outlier]) -> None:
        self._counts: dict[str, Counter[int]] = {outlier.fact: Counter() for outlier in outliers}

    def add(self, part: Part) -> None:
        """The records of a part."""
        import numpy as np

        for name, (values, there) in arrays(part.table, list(self._counts)).items():
            found, counts = np.unique(np.minimum(values[there], _CAP), return_counts=True)
            for value, count in zip(found.tolist(), counts.tolist(), strict=True):
                self._counts[name][value] += count

    def of(self, name: str) -> int | None:
        """The median (of an even number the lower middle one); None without a value."""
        half = (sum(self._counts[name].values()) + 1) // 2
        for value in sorted(self._counts[name]):
            half -= self._counts[name][value]
            if half <= 0:
                return value
        return None


def rule_text(rule: Rule | Outlier, scales: dict[str, int]) -> str:
    """A rule as a condition on facts."""
    if isinstance(rule, Rule):
        signs = {"below": "<", "above": ">"}
        return " and ".join(f"{c.fact} {signs[c.sign]} {shown(c.limit, scales.get(c.fact, 1))}" for c in rule.conditions)
    text = f"{rule.fact} > {rule.times} * median"
    if rule.both:
        text += f" or {rule.fact} * {rule.times} < median"
    return text + (f" and {rule.fact} > {shown(rule.least, scales.get(rule.fact, 1))}" if rule.least else "")
