"""Looking into files before shards are written: headers for filters by size, signatures for near duplicates. Only small values leave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam.identity import digest
from refinery_beam.pipeline.bad import BadRecord, calling, describe, named
from refinery_beam.pipeline.context import Heartbeat, Job, shared_pool, working
from refinery_beam.pipeline.readahead import ordered_map
from refinery_beam.pipeline.work import Worker
from refinery_beam.plan.nodes import FilterStep
from refinery_beam.records import LedgerRow, Ref

LOST = "lost"


class Looked(NamedTuple):
    """References with what was seen in their files (b'' where nothing is noted), and the ledger rows of those that go."""

    seen: beam.PCollection[tuple[bytes, Ref]]
    ledger: beam.PCollection[LedgerRow]


class LookInto(beam.PTransform):
    """Reads the file of every reference once, dealt into groups by the data alone, with the threads and the error policy of the job.

    Without a `step` it takes the signatures that splits ask for.
    """

    def __init__(self, job: Job, step: FilterStep | None) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Looked:
        out = (
            refs
            | "Deal" >> beam.Map(_deal, self._job.buckets).with_output_types(tuple[int, Ref])
            | "Group" >> beam.GroupByKey()
            | "Look" >> beam.ParDo(Look(self._job, self._step)).with_outputs(LOST, main="seen")
        )
        # Untyped tagged outputs would be pickled at the next stage boundary; set by hand, a pair must be in the engine's own words.
        out.seen.element_type = beam.typehints.Tuple[bytes, Ref]
        out[LOST].element_type = LedgerRow
        return Looked(out.seen, out[LOST])


class Look(beam.DoFn):
    """One group of references -> (what was seen, reference) pairs. Bad files stop the run, or are ledger rows, as Input.on_error says."""

    def __init__(self, job: Job, step: FilterStep | None) -> None:
        self._job, self._step = job, step

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._seer = Seer(self._worker, self._step)
        self._heartbeat = Heartbeat(self._job.work, "select", enabled=self._job.heartbeat)

    def process(self, group: tuple[int, Iterable[Ref]]) -> Iterable[Any]:
        job = self._job
        fail = job.plan.on_error == "fail"

        def one(ref: Ref) -> Any:
            try:
                return self._seer(ref)
            except BadRecord as error:
                if fail:
                    raise describe(ref, error, job.plan.sources[ref.source].root) from error
                return LedgerRow(ref.record_id, ref.split, error.stage, error.op, error.reason, error.detail)

        found = []
        with working(job):
            for result in ordered_map(one, group[1], pool=shared_pool(job.threads), threads=job.threads):
                found.append(result)
                self._heartbeat.done()
        self._heartbeat.flush()
        for result in found:
            yield beam.pvalue.TaggedOutput(LOST, result) if isinstance(result, LedgerRow) else result


class Seer:
    """What one reference's file shows: a pure function of its bytes and the plan."""

    def __init__(self, worker: Worker, step: FilterStep | None) -> None:
        self._worker, self._step = worker, step
        self._op: Any = worker.plugin.ops[step.op if step is not None else worker.plan.split.near_op]
        self._params = self._op.spec.params.model_validate(dict(step.params)) if step is not None else None

    def __call__(self, ref: Ref) -> tuple[bytes, Ref] | LedgerRow:
        """(signature, reference), or for a filter by header (b'', reference) or its ledger row. Raises BadRecord."""
        data = self._worker.files.read(ref)
        if self._step is None or self._step.kind == "duplicates":
            name = self._step.name if self._step is not None else "keep_duplicates_together"
            return self._worker.files.signature(data, self._op, name=name).to_bytes(8, "big"), ref
        width, height = self._worker.files.header(data)
        with named(ref.record_id, self._worker.plugin), calling(self._step.name, self._step.op):
            why = self._op.refusal(width, height, self._params)
        if why:
            return LedgerRow(ref.record_id, ref.split, "Filters", self._step.name, "filtered", why)
        return b"", ref


def _deal(ref: Ref, buckets: int) -> tuple[int, Ref]:
    return int.from_bytes(digest("look", ref.key)[:8], "big") % buckets, ref
