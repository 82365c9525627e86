"""Assigns every ref to a split. Groups are never divided; records without a split are in the ledger as `unassigned`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from refinery_beam.errors import DataError
from refinery_beam.job.failures import report_failure
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.splits.quotas import part_by_hash, weights
from refinery_beam.planning.splits.strata import QuotaCuts, by_rank, group_position, outside, stratify, tag_split
from refinery_beam.records import UNASSIGNED, LedgerRow, Ref, field_value

LEDGER = ""
"""The key of the ledger rows among the outputs of `AssignSplits`; no split has this name."""


class AssignSplits(beam.PTransform):
    """Refs -> {split: its refs}, by a `beam.Partition`, and under `LEDGER` the ledger rows of refs without a split.

    `divided` refs have their split already. Else `grouped` says that some group may have more than one record; without it each
    record is its own group and no grouping shuffle is paid.
    """

    def __init__(self, plan: Plan, *, grouped: bool, divided: bool = False, work: str = "") -> None:
        super().__init__()
        self._plan = plan
        self._grouped = grouped
        self._divided = divided
        self._work = work

    def expand(self, refs: beam.PCollection[Ref]) -> dict[str, beam.PCollection[Any]]:
        plan, split = self._plan, self._plan.split
        if split.tag is not None:
            refs = refs | "OneTag" >> beam.Map(one_tag, split.tag, self._work).with_output_types(Ref)
        if self._divided:
            assigned = refs
        elif split.mode != "ratios":
            assigned = refs | "Named" >> beam.Map(by_name, plan).with_output_types(Ref)
        elif split.method == "hash":
            assigned = refs | "Hashed" >> beam.Map(by_hash, plan).with_output_types(Ref)
        else:
            assigned = self._exact(refs)
        parts = assigned | "Partition" >> beam.Partition(_number, len(split.splits) + 1, split.splits)
        for i in range(len(split.splits) + 1):
            # A Partition forgets the element type; refs would then be pickled at the next boundary.
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
                | "Strata" >> beam.FlatMap(_stratify_group, plan).with_output_types(tuple[tuple[str, bool], Ref])
            )
        else:
            members = refs | "Strata" >> beam.FlatMap(_stratify_one, plan).with_output_types(tuple[tuple[str, bool], Ref])
        cuts = (
            members
            | "Positions" >> beam.FlatMap(_position_of, plan).with_output_types(tuple[str, bytes])
            | "Cut" >> CutByRank(QuotaCuts(plan.split))
        )
        return members | "Assign" >> beam.Map(_assign, plan, beam.pvalue.AsDict(cuts)).with_output_types(Ref)


def by_name(ref: Ref, plan: Plan) -> Ref:
    """The split that the source, or the mapping of a field's value, names; '' if there is none."""
    split = plan.split
    if split.mode == "partition":
        return ref._replace(split=ref.partition)
    value = field_value(ref, split.key_field or "", plan.label_field)
    return ref._replace(split=split.mapping.get(str(value), "") if value is not None else "")


def by_hash(ref: Ref, plan: Plan) -> Ref:
    """The split by the group's seeded hash alone: adding records never moves an old one."""
    split = plan.split
    if (kept := outside(ref, split)) is not None:
        return kept
    names = [name for name, _ in split.ratios]
    part = part_by_hash(group_position(ref, split), weights([r for _, r in split.ratios]))
    return ref._replace(split=names[part] if part < len(names) else "")


def unassigned_row(ref: Ref, plan: Plan) -> LedgerRow:
    """The ledger row of a record without a split; under key_assignment it states the value that is mapped to no split."""
    detail = "no split takes this record"
    if plan.split.mode == "key":
        name = plan.split.key_field or ""
        value = field_value(ref, name, plan.label_field)
        detail = f"it has no {name}" if value is None else f"{name} {str(value)!r} is mapped to no split"
    return LedgerRow(ref.record_id, "", "Splits", "", UNASSIGNED, detail)


def one_tag(ref: Ref, tag: str, work: str) -> Ref:
    """The ref, if its tags name at most one split. Otherwise raises DataError, after writing it for the driver below `work` ('' to skip
    that).
    """
    try:
        tag_split(ref, tag)
    except DataError as error:
        if work:
            report_failure(work, error)
        raise
    return ref


def _stratify_one(ref: Ref, plan: Plan) -> Iterable[tuple[tuple[str, bool], Ref]]:
    """((stratum, is_representative), record) for a record that is its own group."""
    return _stratify_group((ref.group, (ref,)), plan)


def _stratify_group(group: tuple[bytes, Iterable[Ref]], plan: Plan) -> Iterable[tuple[tuple[str, bool], Ref]]:
    for stratum, is_representative, ref in stratify(sorted(group[1], key=lambda r: r.key), plan):
        yield (stratum, is_representative), ref


def _position_of(member: tuple[tuple[str, bool], Ref], plan: Plan) -> Iterable[tuple[str, bytes]]:
    (stratum, is_representative), ref = member
    if is_representative:
        yield stratum, group_position(ref, plan.split)


def _assign(member: tuple[tuple[str, bool], Ref], plan: Plan, cuts: Mapping[str, list[bytes]]) -> Ref:
    (stratum, _), ref = member
    return by_rank(ref, stratum, plan, cuts)


def _group_of(ref: Ref) -> tuple[bytes, Ref]:
    return ref.group, ref


def _number(ref: Ref, count: int, splits: tuple[str, ...]) -> int:
    return splits.index(ref.split) if ref.split in splits else count - 1
