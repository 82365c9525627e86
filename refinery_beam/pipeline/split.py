"""Assigns every ref to a split. Groups are never divided; records without a split are in the ledger as `unassigned`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.errors import RefineryError
from refinery_beam.job.failures import report_failure
from refinery_beam.pipeline.cut import CutTable
from refinery_beam.planning.nodes import Plan, SplitPlan
from refinery_beam.planning.splits.order import refuse_mixed
from refinery_beam.planning.splits.strata import by_hash, by_name, by_rank, group_position, quota_ends, standing, tag_split
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
            assigned = self._cut(refs)
        parts = assigned | "Partition" >> beam.Partition(_number, len(split.splits) + 1, split.splits)
        for i in range(len(split.splits) + 1):
            # A Partition forgets the element type; refs would then be pickled at the next boundary.
            parts[i].element_type = Ref
        outputs = {name: parts[i] for i, name in enumerate(split.splits)}
        outputs[LEDGER] = parts[len(split.splits)] | "Unassigned" >> beam.Map(unassigned_row, plan).with_output_types(LedgerRow)
        return outputs

    def _cut(self, refs: beam.PCollection[Ref]) -> beam.PCollection[Ref]:
        plan, ordered = self._plan, self._plan.split.method == "ordered"
        if self._grouped:
            groups = refs | "ByGroup" >> beam.Map(_group_of).with_output_types(tuple[bytes, Ref]) | "Groups" >> beam.GroupByKey()
            standing_of = beam.FlatMap(group_standing, plan, self._work)
        else:
            groups, standing_of = refs, beam.FlatMap(single_standing, plan, self._work)
        members = groups | "Standing" >> standing_of.with_output_types(tuple[tuple[str, bytes, bool], Ref])
        kinds = None
        if ordered:
            kinds = beam.pvalue.AsDict(
                members
                | "Kinds" >> beam.FlatMap(_kind_of).with_output_types(tuple[bytes, str])
                | "OneOfEach" >> beam.CombinePerKey(Least()).with_output_types(tuple[bytes, str])
            )
        cuts = members | "Cut" >> CutTable(
            partial(positions_of, split=plan.split), SplitCuts(plan.split, self._work), kinds, ranked=not ordered
        )
        return members | "Assign" >> beam.Map(_assign, plan, beam.pvalue.AsDict(cuts)).with_output_types(Ref)


class SplitCuts:
    """The running quotas of all cells of a split rule; a picklable function. `kinds` are those of the values of an ordered rule."""

    def __init__(self, split: SplitPlan, work: str) -> None:
        self._split, self._work = split, work

    def __call__(self, counts: Mapping[str, int], kinds: Mapping[bytes, str] | None = None) -> dict[str, list[int]]:
        with reported(self._work):
            refuse_mixed((kinds or {}).items(), field=self._split.order_by or "")
            return quota_ends(counts, self._split)


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(str)
class Least(beam.CombineFn):
    """The smallest text; '' of none."""

    def get_accumulator_coder(self) -> Any:
        return coders.StrUtf8Coder()

    def create_accumulator(self) -> str:
        return ""

    def add_input(self, accumulator: str, element: str) -> str:
        return min(accumulator, element) if accumulator else element

    def merge_accumulators(self, accumulators: Iterable[str]) -> str:
        return min((text for text in accumulators if text), default="")

    def extract_output(self, accumulator: str) -> str:
        return accumulator


@contextmanager
def reported(work: str) -> Iterator[None]:
    """Inside, a DataError is written for the driver below `work` ('' to skip that) before it is raised."""
    try:
        yield
    except RefineryError as error:
        if work:
            report_failure(work, error)
        raise


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
    with reported(work):
        tag_split(ref, tag)
    return ref


def single_standing(ref: Ref, plan: Plan, work: str) -> Iterable[tuple[tuple[str, bytes, bool], Ref]]:
    """`group_standing` of a record that is its own group."""
    return group_standing((ref.group, (ref,)), plan, work)


def group_standing(group: tuple[bytes, Iterable[Ref]], plan: Plan, work: str) -> Iterable[tuple[tuple[str, bytes, bool], Ref]]:
    """((cell, moment, whether it speaks for its group), record) of a group's members."""
    members = sorted(group[1], key=lambda ref: ref.key)
    with reported(work):
        stands = standing(members, plan)
    for ref in members:
        if stands is None:
            yield ("", b"", False), ref
        else:
            yield (stands.cell, stands.moment, ref.record_id == stands.record_id), ref


def positions_of(member: tuple[tuple[str, bytes, bool], Ref], split: SplitPlan) -> Iterable[tuple[str, bytes]]:
    """The (cell, position) of the group of a member that speaks for it."""
    (cell, moment, speaks), ref = member
    if speaks:
        yield cell, moment + group_position(ref, split)


def _kind_of(member: tuple[tuple[str, bytes, bool], Ref]) -> Iterable[tuple[bytes, str]]:
    (_, moment, speaks), ref = member
    if speaks:
        yield moment[:1], ref.record_id


def _assign(member: tuple[tuple[str, bytes, bool], Ref], plan: Plan, cuts: Mapping[str, list[bytes]]) -> Ref:
    (cell, moment, _), ref = member
    return by_rank(ref, cell, moment, plan, cuts)


def _group_of(ref: Ref) -> tuple[bytes, Ref]:
    return ref.group, ref


def _number(ref: Ref, count: int, splits: tuple[str, ...]) -> int:
    return splits.index(ref.split) if ref.split in splits else count - 1
