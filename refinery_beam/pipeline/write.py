"""Writes shards: groups refs by shard, applies the statistics, and gives files and small rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam import locations
from refinery_beam.crashes.markers import Markers, Task
from refinery_beam.forked.elsewhere import Elsewhere
from refinery_beam.identity import digest
from refinery_beam.job.job import Job, shared_pool, working
from refinery_beam.pipeline.counting import CountBy
from refinery_beam.pipeline.deal import Deal
from refinery_beam.pipeline.heartbeat import Heartbeat
from refinery_beam.pipeline.outputs import LOST, lost, typed
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.record.extras import EXTRA_ROWS, Gather
from refinery_beam.record.prepared import Crew
from refinery_beam.record.shard import write_shard
from refinery_beam.record.worker import Worker, derive_before_writing
from refinery_beam.records import LedgerRow, Ref, ShardRow
from refinery_beam.resume.shards import FinishedShard, ShardParts

PARTIALS = "partials"


class Written(NamedTuple):
    """The outputs of a write pass: a row for each shard, a row for each lost record, and (fit point, partial) pairs of riding points."""

    shards: beam.PCollection[ShardRow]
    ledger: beam.PCollection[LedgerRow]
    partials: beam.PCollection[tuple[str, bytes]]
    extras: Mapping[str, beam.PCollection[Any]]


class WriteShards(beam.PTransform):
    """Refs of all splits -> shard files in the staged instance.

    Membership is a hash of the record key; the number of shards of a split follows from its number of records. `points` had passes of
    their own, and `merged` holds their accumulators by name.
    """

    def __init__(self, job: Job, points: tuple[FitPoint, ...], merged: Any) -> None:
        super().__init__()
        self._job, self._points, self._merged = job, points, merged

    def expand(self, refs: beam.PCollection[Ref]) -> Written:
        write = beam.ParDo(WriteShard(self._job, self._points), self._merged)
        out = in_shards(refs, self._job) | "Write" >> write.with_outputs(LOST, PARTIALS, *EXTRA_ROWS, main="shards")
        partials = typed(out[PARTIALS], tuple[str, bytes])
        extras = {tag: typed(out[tag], kind) for tag, kind in EXTRA_ROWS.items()}
        return Written(typed(out.shards, ShardRow), typed(out[LOST], LedgerRow), partials, extras)


class ShardWriter(beam.DoFn):
    """One (split, shard, shards) group of refs -> one file below the `folder` of the instance. Subclasses decide which outputs it gives."""

    folder = ""
    keeps_facts = False

    def __init__(self, job: Job, points: tuple[FitPoint, ...]) -> None:
        self._job, self._points = job, points

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._markers = Markers(self._job, Task("write"))
        self._parts = ShardParts(self._job, self.folder)

    def finish_bundle(self) -> None:
        self._parts.flush()

    def teardown(self) -> None:
        self._markers.close()

    def written(
        self,
        group: tuple[tuple[str, int, int], Iterable[Ref]],
        merged: Mapping[str, bytes],
        *,
        progress: Heartbeat | None = None,
        gather: Gather | None = None,
    ) -> FinishedShard:
        """The shard of a group, with the statistics of `merged` accumulators: one that an earlier run finished, or a new one."""
        (split, shard, shards), every = group
        job, refs = self._job, list(every)
        name = self._parts.name(split, shard, shards, refs, merged)
        finished = self._parts.find(name)
        if finished is not None:
            if progress is not None:
                progress.done(len(refs))
            return finished
        facts = f"{job.work}/facts" if self.keeps_facts else ""
        fitted = job.fitted if job.fitted is not None else derive_before_writing(self._worker, self._points, merged)
        with locations.scratch(f"{job.work}/scratch") as scratch:
            written = write_shard(
                self._worker,
                refs,
                fitted,
                split=split,
                shard=shard,
                shards=shards,
                folder=f"{job.instance}/{self.folder}",
                scratch=scratch,
                crew=Crew(pool=shared_pool(job.threads), threads=job.threads, markers=self._markers, elsewhere=Elsewhere.of(job)),
                progress=progress,
                gather=gather,
                facts=facts,
            )
        finished = FinishedShard.of(written)
        self._parts.keep(name, finished, facts=facts)
        return finished


class WriteShard(ShardWriter):
    """A shard of the dataset: its row, the rows of lost records, partials of riding points, and the extras of its records."""

    folder = "dataset"
    keeps_facts = True

    def setup(self) -> None:
        super().setup()
        self._heartbeat = Heartbeat(self._job.work, "write", enabled=self._job.heartbeat)

    def process(self, group: tuple[tuple[str, int, int], Iterable[Ref]], merged: Mapping[str, bytes]) -> Iterable[Any]:
        if self._job.only is not None and group[0][:2] not in self._job.only:
            return
        with working(self._job):
            written = self.written(group, merged, progress=self._heartbeat)
        self._heartbeat.flush()
        yield written.row
        for row in written.ledger:
            yield lost(row)
        for tag, row in written.extras:
            yield beam.pvalue.TaggedOutput(tag, row)
        for pair in written.partials:
            yield beam.pvalue.TaggedOutput(PARTIALS, pair)


def in_shards(refs: beam.PCollection[Ref], job: Job) -> beam.PCollection[tuple[tuple[str, int, int], Iterable[Ref]]]:
    """The refs of every shard, by split, number and how many shards the split has."""
    counts = refs | "CountSplits" >> CountBy(split_of)
    deal = beam.ParDo(Deal(job, "write", shard_of), beam.pvalue.AsDict(counts), job.shard_records)
    return refs | "ShardOf" >> deal.with_output_types(tuple[tuple[str, int, int], Ref]) | "Group" >> beam.GroupByKey()


def shards_for(records: int, shard_records: int) -> int:
    """How many shards hold `records` rows.

    >>> shards_for(0, 100), shards_for(100, 100), shards_for(101, 100)
    (1, 1, 2)
    """
    return max(1, -(-records // shard_records))


def split_of(ref: Ref) -> str:
    """The split of a ref, to count the records of splits."""
    return ref.split


def shard_of(ref: Ref, counts: Mapping[str, int], shard_records: int) -> tuple[tuple[str, int, int], Ref]:
    """((split, shard, shards), ref): the shard by a hash of the record key, their number from the records of the split."""
    shards = shards_for(counts[ref.split], shard_records)
    return (ref.split, int.from_bytes(digest("shard", ref.key)[:8], "big") % shards, shards), ref
