"""Filters that keep the records of lowest seeded rank."""

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
from refinery_beam.plugins.base import SampleOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import Ref


@carries_out("sample")
class ByRank(beam.PTransform):
    """One sample of all records. Finds the cut by counting: the records are never kept in memory."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        cuts = refs | "Cut" >> CutByRank(partial(positions_of, step=self._step), SampleCuts(self._job, self._step))
        return sieved(refs, "Keep", beam.ParDo(KeepByRank(self._step), beam.pvalue.AsDict(cuts)))


class KeepByRank(beam.DoFn):
    """Keeps the refs of lowest seeded rank, up to the quota."""

    def __init__(self, step: FilterStep) -> None:
        self._step = step

    def process(self, ref: Ref, cuts: dict[str, list[bytes]]) -> Iterable[Any]:
        ((stratum, position),) = positions_of(ref, self._step)
        if part_of(position, cuts[stratum]) == 0:
            yield ref
        else:
            yield lost(dropped_row(ref, self._step))


class SampleCuts:
    """The quota of a sampling op for a count of records; a picklable function."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        self._job, self._step = job, step

    def __call__(self, stratum: str, count: int) -> list[int]:
        with working(self._job):
            bound = plugin_of_plan(self._job.plan).bind(self._step, SampleOp)
            return [whole_quota(self._step, bound.call(bound.op.quota, count, bound.params), count)]


def positions_of(ref: Ref, step: FilterStep) -> Iterable[tuple[str, bytes]]:
    """The position of a ref, in the one stratum that there is."""
    return (("", position("filter", step.seed, step.name, ref.key)),)
