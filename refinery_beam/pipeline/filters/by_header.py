"""Filters that decide each record by its file alone: by its header, or by what is measured of its decoded content."""

from __future__ import annotations

import apache_beam as beam

from refinery_beam.job.job import Job
from refinery_beam.pipeline.filters.kinds import carries_out
from refinery_beam.pipeline.outputs import Sieved
from refinery_beam.pipeline.peek import PeekInto
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.records import Ref


@carries_out("header")
@carries_out("measured")
class ByFile(beam.PTransform):
    """One filter by header or by facts. Every file is read once, and for facts decoded."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        peeked = refs | "Files" >> PeekInto(self._job, self._step)
        return Sieved(peeked.pairs | "Kept" >> beam.Map(_ref).with_output_types(Ref), peeked.ledger)


def _ref(pair: tuple[bytes, Ref]) -> Ref:
    return pair[1]
