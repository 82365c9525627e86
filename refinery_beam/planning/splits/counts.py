"""How many records each split gets, by class, and what is to be said about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from refinery_beam.errors import DataError, display
from refinery_beam.planning.nodes import Plan, SplitPlan
from refinery_beam.planning.splits.order import TEXT, kind_of
from refinery_beam.planning.splits.quotas import weights
from refinery_beam.planning.splits.strata import by_hash, by_name
from refinery_beam.records import Ref

Classes = Mapping[str, Mapping[str, int]]
"""Records by split and label. '' is the label of records without one."""

NAMED = 10
"""Classes that a warning names; of more it says the number."""


def decided_by_index(plan: Plan) -> bool:
    """Whether the refs of the index tell the split of every record: no filter, check or peek into files comes before the splits."""
    split = plan.split
    if split.mode == "ratios" and split.method != "hash":
        return plan.split_from_index
    checked = any(c.section == "InputContracts" for c in plan.contracts)
    return not (plan.pre_filters or checked or split.tag is not None or split.near_distance is not None)


def count_classes(refs: Iterable[Ref], plan: Plan) -> dict[str, dict[str, int]]:
    """Records by split and label, of refs as `make_refs` makes them; `decided_by_index` holds. Records without a split are left out."""
    assign = None if plan.split_from_index else by_hash if plan.split.mode == "ratios" else by_name
    found: dict[str, Counter[str]] = {split: Counter() for split in plan.split.splits}
    for ref in refs:
        split = ref.split if assign is None else assign(ref, plan).split
        if split in found:
            found[split][ref.label or ""] += 1
    return {split: dict(sorted(counter.items())) for split, counter in found.items()}


def empty_splits(split: SplitPlan, counts: Mapping[str, int]) -> list[DataError]:
    """An error for every split without a record, unless the rule allows it or gives it a ratio of 0."""
    asked_for = {name for name, ratio in split.ratios if ratio == 0}
    return [
        DataError(f"no record came to the split {name!r}", code="empty-split", value=name)
        for name, count in counts.items()
        if not count and name not in asked_for and not split.allow_empty
    ]


def count_warnings(plan: Plan, classes: Classes) -> list[tuple[str, str]]:
    """Warnings about splits without a record (code ``empty-split``) and about classes that are not in every split of a rule that is
    stratified by the label (code ``sparse-class``): the first ten by name, and how many there are.
    """
    found = [("empty-split", f"split {split!r} has no record") for split, labels in classes.items() if not sum(labels.values())]
    splits = [name for name, ratio in plan.split.ratios if ratio > 0 and any(classes.get(name, {}).values())]
    if plan.split.stratify_by != plan.label_field:
        return found
    missing = {
        label: [split for split in splits if not classes[split].get(label)]
        for label in sorted({label for split in splits for label in classes[split]})
    }
    sparse = {label: gone for label, gone in missing.items() if gone}
    if sparse:
        some = "; ".join(
            f"'{display(label)}' ({_records(sum(classes[split].get(label, 0) for split in splits))}, none in {', '.join(gone)})"
            for label, gone in list(sparse.items())[:NAMED]
        )
        more = f"; and {len(sparse) - NAMED:,} more" if len(sparse) > NAMED else ""
        text = f"{len(sparse):,} of {len(missing):,} classes are not in every split: {some}{more}"
        if plan.split.method != "hash":
            text += f"; a class of {_enough(plan.split):,} would be"
        found.append(("sparse-class", text))
    return found


def order_warnings(plan: Plan, entries: Iterable[Any]) -> list[tuple[str, str]]:
    """A warning (code ``ordered-as-text``) where records are ordered by text of a table: it may be meant as something else. `entries` have
    a label and fields. All values are of one kind, so the first one tells.
    """
    name = plan.split.order_by
    if name is None or name in ("path", "record_id", "partition"):
        return []
    values = (entry.label if name == plan.label_field else (entry.fields or {}).get(name) for entry in entries)
    value = next((value for value in values if value is not None), None)
    if not isinstance(value, str) or kind_of(value) != TEXT:
        return []
    text = (
        f"{name!r} is ordered as text, by code points ('{display(value)}'); only numbers and dates of ISO 8601 are ordered as what they are"
    )
    return [("ordered-as-text", text)]


def _enough(split: SplitPlan) -> int:
    """The records (or groups) of a class whose smallest share is one."""
    return math.ceil(1 / min(share for share in weights([ratio for _, ratio in split.ratios]) if share))


def _records(count: int) -> str:
    return f"{count:,} record" if count == 1 else f"{count:,} records"
