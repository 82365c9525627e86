"""Sampling per class: the records of lowest seeded rank of every class stay, or get a tag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.plan.nodes import FilterStep, Plan
from refinery_beam.plan.quotas import part_of, position
from refinery_beam.plugins.base import ClassSampleOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import LedgerRow, Ref, read_tags, with_tag

DROPPED = "dropped"


class Sampled(NamedTuple):
    kept: beam.PCollection[Ref]
    ledger: beam.PCollection[LedgerRow]


class SamplePerClass(beam.PTransform):
    """One per-class filter. The cuts are found by counting, as those of splits are: no class is ever held in memory."""

    def __init__(self, plan: Plan, step: FilterStep) -> None:
        super().__init__()
        self._plan, self._step = plan, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sampled:
        cuts = (
            refs
            | "Candidates" >> beam.FlatMap(candidate, self._step).with_output_types(tuple[str, bytes])
            | "Cut" >> CutByRank(ClassCuts(self._plan, self._step))
        )
        out = refs | "Choose" >> beam.ParDo(Choose(self._step), beam.pvalue.AsDict(cuts)).with_outputs(DROPPED, main="kept")
        # Untyped tagged outputs would be pickled at the next stage boundary.
        out.kept.element_type = Ref
        out[DROPPED].element_type = LedgerRow
        return Sampled(out.kept, out[DROPPED])


class Choose(beam.DoFn):
    """Keeps or tags the chosen. A record without a class is neither chosen nor dropped."""

    def __init__(self, step: FilterStep) -> None:
        self._step = step

    def process(self, ref: Ref, cuts: dict[str, list[bytes]]) -> Iterable[Any]:
        step = self._step
        chosen = any(part_of(place, cuts[label]) == 0 for label, place in candidate(ref, step))
        if chosen and step.tag:
            yield with_tag(ref, step.tag)
        elif chosen or step.tag or ref.label is None:
            yield ref
        else:
            row = LedgerRow(ref.record_id, ref.split, "Filters", step.name, "filtered", step.op)
            yield beam.pvalue.TaggedOutput(DROPPED, row)


class ClassCuts:
    """The quota of a class for its count of candidates; a picklable function."""

    def __init__(self, plan: Plan, step: FilterStep) -> None:
        self._plan, self._step = plan, step

    def __call__(self, label: str, count: int) -> list[int]:
        op = plugin_of_plan(self._plan).ops[self._step.op]
        assert isinstance(op, ClassSampleOp)
        return [op.class_quota(label, count, op.spec.params.model_validate(dict(self._step.params)))]


def candidate(ref: Ref, step: FilterStep) -> Iterable[tuple[str, bytes]]:
    """The (class, position) of a reference that may be chosen; nothing for one without a class or with an excluded tag."""
    if ref.label is None or set(read_tags(ref)) & set(step.excluded):
        return
    yield ref.label, position("filter", step.seed, step.name, ref.key)
