"""Splits: every reference finds its split, groups are never divided, and the rest is `unassigned`, in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from refinery_beam.errors import DataError
from refinery_beam.identity import canonical_bytes
from refinery_beam.pipeline.context import report_failure
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.pipeline.quotas import cumulative, largest_remainder, part_by_hash, part_of, position, weights
from refinery_beam.plan.nodes import UNASSIGNED, Plan, SplitPlan
from refinery_beam.records import LedgerRow, Ref, read_fields, read_tags

LEDGER = ""
"""The key of the ledger rows among the outputs of `AssignSplits`; no split has this name."""


class AssignSplits(beam.PTransform):
    """References -> {split: its references}, made by a `beam.Partition`, and under `LEDGER` the rows of those that found none.

    `grouped` says that some group has more than one record; without it each record is its own group and no grouping shuffle is paid.
    """

    def __init__(self, plan: Plan, *, grouped: bool, work: str = "") -> None:
        super().__init__()
        self._plan = plan
        self._grouped = grouped
        self._work = work

    def expand(self, refs: beam.PCollection[Ref]) -> dict[str, beam.PCollection[Any]]:
        plan, split = self._plan, self._plan.split
        if split.tag is not None:
            refs = refs | "OneTag" >> beam.Map(one_tag, split.tag, self._work).with_output_types(Ref)
        if split.mode != "ratios":
            assigned = refs | "Named" >> beam.Map(by_name, plan).with_output_types(Ref)
        elif split.method == "hash":
            assigned = refs | "Hashed" >> beam.Map(by_hash, plan).with_output_types(Ref)
        else:
            assigned = self._exact(refs)
        parts = assigned | "Partition" >> beam.Partition(_number, len(split.splits) + 1, split.splits)
        for i in range(len(split.splits) + 1):
            # A Partition forgets the element type; references would then be pickled at the next boundary.
            parts[i].element_type = Ref
        outputs = {name: parts[i] for i, name in enumerate(split.splits)}
        outputs[LEDGER] = parts[len(split.splits)] | "Unassigned" >> beam.Map(unassigned_row, plan).with_output_types(LedgerRow)
        return outputs

    def _exact(self, refs: beam.PCollection[Ref]) -> beam.PCollection[Ref]:
        plan = self._plan
        if self._grouped:
            members = (
                refs
                | "ByGroup" >> beam.Map(_group_of).with_output_types(tuple[bytes, Ref])
                | "Groups" >> beam.GroupByKey()
                | "Strata" >> beam.FlatMap(stratify_group, plan).with_output_types(tuple[tuple[str, bool], Ref])
            )
        else:
            members = refs | "Strata" >> beam.Map(stratify_one, plan).with_output_types(tuple[tuple[str, bool], Ref])
        cuts = (
            members
            | "Positions" >> beam.FlatMap(_position_of, plan).with_output_types(tuple[str, bytes])
            | "Cut" >> CutByRank(QuotaCuts(plan.split))
        )
        return members | "Assign" >> beam.Map(by_rank, plan, beam.pvalue.AsDict(cuts)).with_output_types(Ref)


class QuotaCuts:
    """Running quotas of the ratios for a count of groups; a picklable function."""

    def __init__(self, split: SplitPlan) -> None:
        self._ratios = [ratio for _, ratio in split.ratios]

    def __call__(self, stratum: str, count: int) -> list[int]:
        return cumulative(largest_remainder(count, weights(self._ratios)))


def field_value(ref: Ref, name: str, label_field: str) -> Any:
    """What a reference knows under a field name: its label, its partition, its path, or a metadata field; None when it knows nothing."""
    if name == label_field:
        return ref.label
    if name in ("partition", "path", "record_id"):
        return getattr(ref, name)
    return read_fields(ref).get(name)


def by_name(ref: Ref, plan: Plan) -> Ref:
    """The split that the source, or the mapping of a field's value, names. '' when none does."""
    split = plan.split
    if split.mode == "partition":
        return ref._replace(split=ref.partition)
    value = field_value(ref, split.key_field or "", plan.label_field)
    return ref._replace(split=split.mapping.get(str(value), "") if value is not None else "")


def by_hash(ref: Ref, plan: Plan) -> Ref:
    """The split by the group's seeded hash alone: adding records never moves an old one."""
    split = plan.split
    if (kept := _outside(ref, split)) is not None:
        return kept
    names = [name for name, _ in split.ratios]
    part = part_by_hash(position("split", split.seed, "Splits", ref.group), weights([r for _, r in split.ratios]))
    return ref._replace(split=names[part] if part < len(names) else "")


def by_rank(member: tuple[tuple[str, bool], Ref], plan: Plan, cuts: Mapping[str, list[bytes]]) -> Ref:
    """The split whose quota the group's position falls into."""
    (stratum, _), ref = member
    split = plan.split
    if (kept := _outside(ref, split)) is not None:
        return kept
    names = [name for name, _ in split.ratios]
    part = part_of(position("split", split.seed, "Splits", ref.group), cuts[stratum])
    return ref._replace(split=names[part] if part < len(names) else "")


def stratify_one(ref: Ref, plan: Plan) -> tuple[tuple[str, bool], Ref]:
    """((stratum, is the group's first member), ref) for a record that is its own group."""
    return (stratum_of(ref, plan), True), ref


def stratify_group(group: tuple[bytes, Iterable[Ref]], plan: Plan) -> Iterable[tuple[tuple[str, bool], Ref]]:
    """The members of a group, all in the stratum of the member with the smallest record key, which alone is counted.

    With ``applies_to`` the first member is sought among the records that take part; the others pass through.
    """
    members = sorted(group[1], key=lambda r: r.key)
    taking_part = [r for r in members if _outside(r, plan.split) is None]
    for ref in members:
        if not taking_part:
            yield ("", False), ref
        else:
            yield (stratum_of(taking_part[0], plan), ref is taking_part[0]), ref


def stratum_of(ref: Ref, plan: Plan) -> str:
    """The stratum as canonical text, so that 1 and "1" stay apart; '' when splits are not stratified."""
    if plan.split.stratify_by is None:
        return ""
    return canonical_bytes(field_value(ref, plan.split.stratify_by, plan.label_field)).decode()


def unassigned_row(ref: Ref, plan: Plan) -> LedgerRow:
    """The ledger row of a record that no split takes; under key_assignment it says the value that is mapped to none."""
    detail = "no split takes this record"
    if plan.split.mode == "key":
        name = plan.split.key_field or ""
        value = field_value(ref, name, plan.label_field)
        detail = f"it has no {name}" if value is None else f"{name} {str(value)!r} is mapped to no split"
    return LedgerRow(ref.record_id, "", "Splits", "", UNASSIGNED, detail)


def _outside(ref: Ref, split: SplitPlan) -> Ref | None:
    """The record under the split of its partition or tag if the ratios are not about it, else None."""
    if split.tag is not None:
        return tag_split(ref, split.tag)
    if split.applies_to is not None and ref.partition != split.applies_to:
        return ref._replace(split=ref.partition)
    return None


def one_tag(ref: Ref, tag: str, work: str) -> Ref:
    """The reference, whose tags name one split. Leaves the error of one with two where the driver finds it (`work`, '' for nowhere)."""
    try:
        tag_split(ref, tag)
    except DataError as error:
        if work:
            report_failure(work, error)
        raise
    return ref


def tag_split(ref: Ref, tag: str) -> Ref | None:
    """None for a record with the tag that the ratios divide; else the record in the split named by its single tag, '' if it has none.

    Raises DataError for two: nothing says which of them is the split.
    """
    tags = read_tags(ref)
    if tag in tags:
        return None
    if len(tags) > 1:
        raise DataError(
            f"{ref.record_id} has the tags {', '.join(tags)}, and a record is in one split",
            code="two-tags",
            place=ref.record_id,
            value=", ".join(tags),
            rule=f"with Splits.applies_to {tag!r} every other record is in the split named by its only tag",
            remedy="let each sampling filter exclude_already_labeled the tags of those before it",
        )
    return ref._replace(split=tags[0] if tags else "")


def _position_of(member: tuple[tuple[str, bool], Ref], plan: Plan) -> Iterable[tuple[str, bytes]]:
    (stratum, first), ref = member
    if first and _outside(ref, plan.split) is None:
        yield stratum, position("split", plan.split.seed, "Splits", ref.group)


def _group_of(ref: Ref) -> tuple[bytes, Ref]:
    return ref.group, ref


def _number(ref: Ref, count: int, splits: tuple[str, ...]) -> int:
    return splits.index(ref.split) if ref.split in splits else count - 1
