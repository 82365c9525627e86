"""The sample as a PTransform: takes stored records of the lowest seeded ranks and writes them once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import apache_beam as beam

from refinery_beam.errors import DataError
from refinery_beam.identity import canonical_bytes
from refinery_beam.job.job import Job, working
from refinery_beam.pipeline.counting import CountBy
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.pipeline.outputs import typed
from refinery_beam.pipeline.write import ShardWriter, shard_of, split_of
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.planning.sample import SamplePlan
from refinery_beam.planning.splits.quotas import part_of, position
from refinery_beam.record.extras import Ignore
from refinery_beam.records import Ref, ShardRow


class Sample(beam.PTransform):
    """Refs of the records that were stored -> the shards of the sample.

    Each stratum gives its records of the lowest seeded ranks. Only the sampled records are read and decoded again.
    """

    def __init__(self, job: Job, sample: SamplePlan, points: tuple[FitPoint, ...], merged_points: Any) -> None:
        super().__init__()
        self._job, self._sample, self._points, self._merged = job, sample, points, merged_points

    def expand(self, refs: beam.PCollection[Ref]) -> beam.PCollection[ShardRow]:
        cuts = refs | "Cut" >> CutByRank(partial(positions_of, sample=self._sample), SampleQuota(self._sample))
        sampled = refs | "Select" >> beam.FlatMap(_sampled, self._sample, beam.pvalue.AsDict(cuts)).with_output_types(Ref)
        counts = sampled | "CountSplits" >> CountBy(split_of)
        rows = (
            sampled
            | "ShardOf"
            >> beam.Map(shard_of, beam.pvalue.AsDict(counts), self._job.shard_records).with_output_types(tuple[tuple[str, int, int], Ref])
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteSample(self._job, self._points), self._merged)
        )
        return typed(rows, ShardRow)


class SampleQuota:
    """The quota of a stratum of a sample; a picklable function."""

    def __init__(self, sample: SamplePlan) -> None:
        self._sample = sample

    def __call__(self, stratum: str, count: int) -> list[int]:
        return [self._sample.quota(count)]


class WriteSample(ShardWriter):
    """A shard of the sample. Raises DataError for a record that the write pass could read and this pass cannot: its file has changed."""

    folder = "sample"

    def process(self, group: tuple[tuple[str, int, int], Iterable[Ref]], merged: Mapping[str, bytes]) -> Iterable[ShardRow]:
        with working(self._job):
            written = self.written(group, merged, gather=Ignore())
            if written.ledger:
                row = written.ledger[0]
                raise DataError(
                    f"{row.record_id} could be stored but not sampled: {row.reason}: {row.detail}",
                    code="changed-during-run",
                    at=row.record_id,
                    value=row.reason,
                )
        yield written.row


def positions_of(ref: Ref, sample: SamplePlan) -> Iterable[tuple[str, bytes]]:
    """The stratum of a ref and its position there."""
    stratum = [ref.split, ref.label] if sample.kind == "per_class" else [ref.split]
    return ((canonical_bytes(stratum).decode(), position("sample", sample.seed, "SampleData", ref.key)),)


def _sampled(ref: Ref, sample: SamplePlan, cuts: Mapping[str, list[bytes]]) -> Iterable[Ref]:
    ((stratum, position),) = positions_of(ref, sample)
    if part_of(position, cuts[stratum]) == 0:
        yield ref
