"""Sampling per class: the records of lowest seeded rank of every class stay, or get a tag."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import apache_beam as beam

from refinery_beam.job.job import Job, working
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.pipeline.filters.kinds import carries_out, dropped_row, whole_quota
from refinery_beam.pipeline.outputs import Sieved, lost, sieved
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.planning.splits.quotas import part_of, position
from refinery_beam.plugins.base import ClassSampleOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import Ref, read_tags, with_tag


@carries_out("sample_per_class")
class SamplePerClass(beam.PTransform):
    """One per-class filter. Finds the cuts by counting, as splits do: no class is ever kept in memory."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        cuts = refs | "Cut" >> CutByRank(partial(candidate, step=self._step), ClassCuts(self._job, self._step))
        return sieved(refs, "KeepOrTag", beam.ParDo(KeepOrTag(self._step), beam.pvalue.AsDict(cuts)))


class KeepOrTag(beam.DoFn):
    """Keeps or tags the sampled records. A record without a class is neither sampled nor dropped."""

    def __init__(self, step: FilterStep) -> None:
        self._step = step

    def process(self, ref: Ref, cuts: dict[str, list[bytes]]) -> Iterable[Any]:
        step = self._step
        sampled = any(part_of(position, cuts[label]) == 0 for label, position in candidate(ref, step))
        if sampled and step.tag:
            yield with_tag(ref, step.tag)
        elif sampled or step.tag or ref.label is None:
            yield ref
        else:
            yield lost(dropped_row(ref, step))


class ClassCuts:
    """The quota of a class for its count of candidates; a picklable function."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        self._job, self._step = job, step

    def __call__(self, label: str, count: int) -> list[int]:
        with working(self._job):
            bound = plugin_of_plan(self._job.plan).bind(self._step, ClassSampleOp)
            return [whole_quota(self._step, bound.call(bound.op.class_quota, label, count, bound.params), count)]


def candidate(ref: Ref, step: FilterStep) -> Iterable[tuple[str, bytes]]:
    """The (class, position) of a ref that may be sampled; nothing for a ref without a class or with an excluded tag."""
    if ref.label is None or set(read_tags(ref)) & set(step.excluded):
        return
    yield ref.label, position("filter", step.seed, step.name, ref.key)
