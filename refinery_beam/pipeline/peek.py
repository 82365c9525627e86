"""Peeks into files before shards are written: headers for filters by header, signatures for near duplicates. Gives small values only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam import locations
from refinery_beam.crashes.markers import Markers, Task
from refinery_beam.identity import digest
from refinery_beam.job.job import Job, shared_pool, working
from refinery_beam.pipeline.deal import Deal
from refinery_beam.pipeline.heartbeat import Heartbeat
from refinery_beam.pipeline.outputs import LOST, lost, typed
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.plugins.base import BadRecord
from refinery_beam.record.bad import lost as lost_row
from refinery_beam.record.facts import FilteredPart
from refinery_beam.record.observed import Observed
from refinery_beam.record.peek import Peek
from refinery_beam.record.readahead import ordered_map
from refinery_beam.record.worker import Worker
from refinery_beam.records import LedgerRow, Ref


class Peeked(NamedTuple):
    """(signature, ref) pairs, with b'' for filters by header, and the ledger rows of records that a filter removes."""

    pairs: beam.PCollection[tuple[bytes, Ref]]
    ledger: beam.PCollection[LedgerRow]


class PeekInto(beam.PTransform):
    """Reads the file of every ref once, dealt into groups by the data alone, with the threads and the error policy of the job.

    Without a `step` it computes the signatures that splits need.
    """

    def __init__(self, job: Job, step: FilterStep | None) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Peeked:
        out = (
            refs
            | "Deal" >> beam.ParDo(Deal(self._job, _pass_name(self._step), _deal), self._job.buckets).with_output_types(tuple[int, Ref])
            | "Group" >> beam.GroupByKey()
            | "Peek" >> beam.ParDo(PeekGroup(self._job, self._step)).with_outputs(LOST, main="pairs")
        )
        # The type of a pair must be one of Beam's own type hints here.
        return Peeked(typed(out.pairs, beam.typehints.Tuple[bytes, Ref]), typed(out[LOST], LedgerRow))


class PeekGroup(beam.DoFn):
    """One group of refs -> (signature, ref) pairs. Bad files stop the run or become ledger rows, as Input.on_error says."""

    def __init__(self, job: Job, step: FilterStep | None) -> None:
        self._job, self._step = job, step

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._peek = Peek(self._worker, self._step)
        self._name = digest("filtered", (self._step.name if self._step is not None else "").encode()).hex()[:12]
        self._heartbeat = Heartbeat(self._job.work, _pass_name(self._step), enabled=self._job.heartbeat)
        self._markers = Markers(self._job, Task("peek", self._step.name if self._step is not None else ""))

    def teardown(self) -> None:
        self._markers.close()

    def process(self, group: tuple[int, Iterable[Ref]]) -> Iterable[Any]:
        job = self._job

        def one(ref: Ref) -> tuple[Ref, Any, Observed]:
            observed = Observed()
            try:
                with self._markers.on(ref):
                    return ref, self._peek(ref, observed=observed), observed
            except BadRecord as error:
                return ref, lost_row(job.plan, ref, error), observed

        found, part = [], FilteredPart(self._worker.kind.measures if job.plan.output.facts else None)
        with working(job):
            for ref, result, observed in ordered_map(one, group[1], pool=shared_pool(job.threads), threads=job.threads):
                found.append(result)
                if isinstance(result, LedgerRow):
                    part.lose(ref, result, observed.sketch)
                self._heartbeat.done()
            with locations.scratch(f"{job.work}/scratch") as scratch:
                # Random, because two attempts at one group may run at the same time.
                temporary = os.path.join(scratch, f"filtered-{os.urandom(8).hex()}")
                part.write(f"{job.work}/facts", f"{self._name}-{group[0]:05d}", temporary=temporary)
        self._heartbeat.flush()
        for result in found:
            yield lost(result) if isinstance(result, LedgerRow) else result


def _pass_name(step: FilterStep | None) -> str:
    return f"peek.{step.name if step is not None else 'near duplicates'}"


def _deal(ref: Ref, buckets: int) -> tuple[int, Ref]:
    return int.from_bytes(digest("look", ref.key)[:8], "big") % buckets, ref
