"""Warns of losses that may be mistakes: classes that filters emptied or do not find, and values without a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refinery_beam.errors import did_you_mean
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import FilterOp, NamesLabels, Plugin
from refinery_beam.records import UNASSIGNED, LedgerRow

FILTERS = "Filters"
"""The stage of ledger rows that filters leave."""


def emptied_classes(entries: Iterable[Any], ledger: Sequence[LedgerRow], classes: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    """Warnings (code ``class-emptied``) for every class of which filters left no record, before splits or in one split.

    `entries` have a record_id and a label; `classes` are records by split and label in what came out.
    """
    taken = {row.record_id: row for row in ledger if row.stage == FILTERS}
    if not taken:
        return []
    other = {row.record_id: row for row in ledger if row.stage != FILTERS}
    every: Counter[str] = Counter()
    lost: dict[tuple[str, str], Counter[str]] = {}
    left: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.label is None:
            continue
        every[entry.label] += 1
        if (row := taken.get(entry.record_id)) is not None:
            lost.setdefault((row.split, entry.label), Counter())[row.op] += 1
        elif (row := other.get(entry.record_id)) is not None:
            left[row.split, entry.label] += 1
    found = []
    for (split, label), ops in sorted(lost.items()):
        count = sum(ops.values())
        by = ", ".join(sorted(ops))
        if not split and count == every[label]:
            found.append(("class-emptied", f"filters before the splits took every record of {label!r} ({count:,}): {by}"))
        elif split and not classes.get(split, {}).get(label, 0) and not left[split, label]:
            found.append(("class-emptied", f"filters in {split!r} took every record of {label!r} ({count:,}): {by}"))
    return found


def unknown_labels(plan: Plan, plugin: Plugin, labels: Iterable[str | None]) -> list[tuple[str, str]]:
    """A warning (code ``label-unknown``) for every class that a filter names and no record has: a slip of the pen, most likely."""
    known = sorted({label for label in labels if label is not None})
    found = []
    for step in (*plan.pre_filters, *plan.post_filters):
        bound = plugin.bind(step, FilterOp)
        if not isinstance(bound.op, NamesLabels):
            continue
        for name in bound.op.labels_named(bound.params):
            if name not in known:
                found.append(
                    ("label-unknown", f"the filter {step.name!r} names {name!r}, which no record has; {did_you_mean(name, known)}")
                )
    return found


def unmapped_values(plan: Plan, ledger: Sequence[LedgerRow]) -> list[tuple[str, str]]:
    """A warning (code ``key-unmapped``) when ``key_assignment`` left records without a split: on purpose, or by a slip of the pen."""
    if plan.split.mode != "key":
        return []
    details = Counter(row.detail for row in ledger if row.reason == UNASSIGNED)
    if not details:
        return []
    some = "; ".join(f"{detail} ({count:,})" for detail, count in sorted(details.items())[:5])
    more = f"; and {len(details) - 5:,} more values" if len(details) > 5 else ""
    return [("key-unmapped", f"{sum(details.values()):,} records are in no split: {some}{more}")]
