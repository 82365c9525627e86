"""Statistics fitted on the fit source, exactly: partials of records, merged by CombineGlobally, handed on as side inputs.

Combiners merge integer accumulators in their canonical bytes, so any grouping gives the same bytes. Only `Worker.derive` turns them into
floats, in every worker or driver that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.crashes.markers import Markers, Task
from refinery_beam.forked.elsewhere import Elsewhere
from refinery_beam.identity import digest
from refinery_beam.job.job import Job, shared_pool, working
from refinery_beam.pipeline.deal import Deal
from refinery_beam.pipeline.heartbeat import Heartbeat
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.record.batch import FitBatch, batches, observe_batch
from refinery_beam.record.partials import joined, merge_bytes
from refinery_beam.record.readahead import ordered_map
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker, derive_all
from refinery_beam.records import Ref
from refinery_beam.resume.shards import FitParts


class MergePartials(beam.CombineFn):
    """Merges the accumulators of one fit point; b'' when there was nothing to merge."""

    def __init__(self, job: Job, point: FitPoint) -> None:
        self._job, self._point = job, point

    def setup(self) -> None:
        with working(self._job):
            self._kind = type(Worker(self._job.plan).partial(self._point))

    def get_accumulator_coder(self) -> Any:
        return coders.BytesCoder()

    def create_accumulator(self) -> bytes:
        return b""

    def add_input(self, accumulator: bytes, element: bytes) -> bytes:
        return self._merged([accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[bytes]) -> bytes:
        return self._merged(list(accumulators))

    def extract_output(self, accumulator: bytes) -> bytes:
        return accumulator

    def _merged(self, parts: Sequence[bytes]) -> bytes:
        with working(self._job):
            return joined(self._job.plan, self._point, "", merge_bytes, self._kind, parts)


class FitPass(beam.PTransform):
    """Refs of the fit source -> one (point name, merged accumulator) pair.

    A pass of its own: it decodes, applies the steps before the point, and stores no content. `earlier` are the points before it, whose
    accumulators `merged` holds by name.
    """

    def __init__(self, job: Job, point: FitPoint, earlier: tuple[FitPoint, ...], merged: Any) -> None:
        super().__init__()
        self._job, self._point, self._earlier, self._merged = job, point, earlier, merged

    def expand(self, refs: beam.PCollection[Ref]) -> beam.PCollection[tuple[str, bytes]]:
        return (
            refs
            | "Deal" >> beam.ParDo(Deal(self._job, f"fit.{self._point.name}", _deal), self._job.buckets).with_output_types(tuple[int, Ref])
            | "Group" >> beam.GroupByKey()
            | "Observe" >> beam.ParDo(Observe(self._job, self._point, self._earlier), self._merged).with_output_types(bytes)
            | "Merge" >> beam.CombineGlobally(MergePartials(self._job, self._point)).without_defaults()
            | "Named" >> beam.Map(_named, self._point.name).with_output_types(tuple[str, bytes])
        )


class MergeRiding(beam.PTransform):
    """(point name, partial) pairs of shards -> one (point name, merged accumulator) pair of one point."""

    def __init__(self, job: Job, point: FitPoint) -> None:
        super().__init__()
        self._job, self._point = job, point

    def expand(self, partials: beam.PCollection[tuple[str, bytes]]) -> beam.PCollection[tuple[str, bytes]]:
        return (
            partials
            | "Own" >> beam.FlatMap(_own, self._point.name).with_output_types(bytes)
            | "Merge" >> beam.CombineGlobally(MergePartials(self._job, self._point)).without_defaults()
            | "Named" >> beam.Map(_named, self._point.name).with_output_types(tuple[str, bytes])
        )


class Observe(beam.DoFn):
    """One group of refs -> one partial. Skips records that cannot be decoded: the write pass counts them as bad."""

    def __init__(self, job: Job, point: FitPoint, earlier: tuple[FitPoint, ...]) -> None:
        self._job, self._point, self._earlier = job, point, earlier

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._heartbeat = Heartbeat(self._job.work, f"fit.{self._point.name}", enabled=self._job.heartbeat)
        self._markers = Markers(self._job, Task("fit", self._point.name))
        self._parts = FitParts(self._job, self._point)

    def finish_bundle(self) -> None:
        self._parts.flush()

    def teardown(self) -> None:
        self._markers.close()

    def process(self, group: tuple[int, Iterable[Ref]], merged: Mapping[str, bytes]) -> Iterable[bytes]:
        worker, point = self._worker, self._point
        with working(self._job):
            refs = list(group[1])
            name = self._parts.name(group[0], refs, {e.name: merged.get(e.name, b"") for e in self._earlier})
            finished = self._parts.find(name, records=len(refs))
            if finished is not None:
                self._heartbeat.done(len(refs))
                self._heartbeat.flush()
                yield finished
                return
            fitted = derive_all(worker, self._earlier, merged)
            self._markers.knowing(fitted)
            total = worker.partial(point)
            for some, observed in self._observed(refs, fitted):
                for record_id, part in observed.partials:
                    joined(self._job.plan, point, record_id, total.merge, part)
                if observed.error is not None:
                    raise observed.error
                self._heartbeat.done(len(some))
            data = total.dumps()
            self._parts.keep(name, data)
        self._heartbeat.flush()
        yield data

    def _observed(self, refs: Sequence[Ref], fitted: Fitted) -> Iterator[tuple[Sequence[Ref], FitBatch]]:
        """The batches of a group in their order: observed by forked processes if there are any, else by threads."""
        elsewhere, threads = Elsewhere.of(self._job), self._job.threads
        observe = partial(observe_batch, self._worker, markers=self._markers) if elsewhere is None else elsewhere.observe

        def one(some: Sequence[Ref]) -> tuple[Sequence[Ref], FitBatch]:
            return some, observe(self._point, some, fitted)

        # So few that everybody has some.
        shared = batches(refs, 0, most=max(1, len(refs) // (4 * threads)))
        return ordered_map(one, shared, pool=shared_pool(threads) if elsewhere is None else elsewhere.lines, threads=threads)


def _named(data: bytes, name: str) -> tuple[str, bytes]:
    return name, data


def _own(pair: tuple[str, bytes], name: str) -> Iterable[bytes]:
    if pair[0] == name:
        yield pair[1]


def _deal(ref: Ref, buckets: int) -> tuple[int, Ref]:
    return int.from_bytes(digest("fit", ref.key)[:8], "big") % buckets, ref
