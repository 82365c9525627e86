"""Filters that decide each record by its metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from refinery_beam.job.job import Job, working
from refinery_beam.pipeline.filters.kinds import carries_out, dropped_row
from refinery_beam.pipeline.outputs import Sieved, lost, sieved
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.plugins.base import BadRecord, PredicateOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.record.bad import lost as lost_row
from refinery_beam.records import Ref, known_fields


@carries_out("predicate")
class ByMetadata(beam.PTransform):
    """One filter by a predicate."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        return sieved(refs, "Keep", beam.ParDo(KeepByPredicate(self._job, self._step)))


class KeepByPredicate(beam.DoFn):
    """Keeps a ref if the op's predicate holds for its label and metadata. A record that the op cannot take is a bad record."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        self._job, self._step = job, step

    def setup(self) -> None:
        self._plugin = plugin_of_plan(self._job.plan)
        self._bound = self._plugin.bind(self._step, PredicateOp)

    def process(self, ref: Ref) -> Iterable[Any]:
        plan, bound = self._job.plan, self._bound
        with working(self._job), self._plugin.named(ref.record_id):
            try:
                keep = bound.call(bound.op.keep, ref.label, known_fields(ref, plan.label_field), bound.params)
            except BadRecord as error:
                out: Any = lost(lost_row(plan, ref, error))
            else:
                out = ref if keep else lost(dropped_row(ref, self._step))
        yield out
