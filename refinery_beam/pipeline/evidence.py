"""Assertions, the sample and sink files as PTransforms. Rows only: counts, ids, levels and references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.window import GlobalWindows

from refinery_beam import places
from refinery_beam.errors import DataError, raise_all
from refinery_beam.identity import canonical_bytes
from refinery_beam.pipeline.beside import EVIDENCE, FILES, FINAL, LEVELS, Ignore
from refinery_beam.pipeline.context import Job, shared_pool, working
from refinery_beam.pipeline.contracts import Contracts, Tally, add_rows, merged, rows_of
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.pipeline.field_fits import derive_before_writing
from refinery_beam.pipeline.fit import derive_all
from refinery_beam.pipeline.levels import tail_table
from refinery_beam.pipeline.marks import Marks, Task
from refinery_beam.pipeline.materialize import Count, Written, _shard_of, _split_of
from refinery_beam.pipeline.rows_io import WriteRows
from refinery_beam.pipeline.shard import write_shard
from refinery_beam.pipeline.work import Worker
from refinery_beam.plan.beside import SamplePlan
from refinery_beam.plan.nodes import FitPoint, Plan
from refinery_beam.plan.quotas import part_of, position
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import EvidenceRow, LedgerRow, LevelsRow, Ref, ShardRow, SinkRow

LEDGER = "ledger"


class Checked(NamedTuple):
    kept: beam.PCollection[Ref]
    ledger: beam.PCollection[LedgerRow]


def add_beside(
    pipeline: beam.Pipeline, job: Job, written: Written, passes: tuple[FitPoint, ...], fitted: list[Any], before_writing: list[Any]
) -> None:
    """Wire what a plan does beside its dataset, after the write pass. `fitted` are all merged statistics, `before_writing` those that the
    write pass itself had.
    """
    plan = job.plan
    if plan.contracts:
        evidence = written.beside[EVIDENCE]
        if any(c.section == "OutputExpectations" and c.on_pixels for c in plan.contracts):
            late = written.beside[LEVELS] | "ReaderValues" >> beam.ParDo(TailView(job), _side(pipeline, fitted, "TailStatistics"))
            late = _typed(late, EvidenceRow)
            evidence = (evidence, late) | "Evidence" >> beam.Flatten()
        _ = evidence | "WriteEvidence" >> MergeEvidence() | "KeepEvidence" >> WriteRows(f"{job.work}/evidence", EvidenceRow, files=1)
    if plan.sinks:
        files = max(1, job.records // 20_000)
        _ = written.beside[FILES] | "SinkFiles" >> WriteRows(f"{job.work}/sinks", SinkRow, files=files)
    if plan.sample is not None:
        merged_points = _side(pipeline, before_writing, "SampleStatistics")
        rows = written.beside[FINAL] | "SampleData" >> Sample(job, plan.sample, passes, merged_points)
        _ = rows | "SampleRows" >> WriteRows(f"{job.work}/sample", ShardRow, files=1)


# -- assertions -------------------------------------------------------------------------------------------------------------------


class CheckReferences(beam.PTransform):
    """References -> those that stay, and the ledger rows of those that break an input contract.

    Errors that are certain before anything is decoded stop the job here: a gate lets references pass when all their evidence is in.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def expand(self, refs: beam.PCollection[Ref]) -> Checked:
        plan = self._job.plan
        out = refs | "Check" >> beam.ParDo(CheckReference(plan)).with_outputs(LEDGER, EVIDENCE, main="kept")
        kept, ledger, evidence = _typed(out.kept, Ref), _typed(out[LEDGER], LedgerRow), _typed(out[EVIDENCE], EvidenceRow)
        total = evidence | "Evidence" >> MergeEvidence()
        _ = total | "KeepEvidence" >> WriteRows(f"{self._job.work}/evidence", EvidenceRow, files=1)
        if Contracts(plan, plugin_of_plan(plan)).early():
            kept = _typed(kept | "Gate" >> beam.ParDo(Gate(self._job), beam.pvalue.AsList(total)), Ref)
        return Checked(kept, ledger)


class CheckReference(beam.DoFn):
    """Looks at references one by one and tells the evidence once a bundle."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def setup(self) -> None:
        self._contracts = Contracts(self._plan, plugin_of_plan(self._plan))

    def start_bundle(self) -> None:
        self._tally: Tally = {}

    def process(self, ref: Ref) -> Iterable[Any]:
        row = self._contracts.of_reference(ref, self._tally)
        yield ref if row is None else beam.pvalue.TaggedOutput(LEDGER, row)

    def finish_bundle(self) -> Iterable[Any]:
        for row in rows_of(self._tally):
            yield beam.pvalue.TaggedOutput(EVIDENCE, GlobalWindows.windowed_value(row))


class Gate(beam.DoFn):
    """Lets references pass if the assertions that can be judged by now hold. Otherwise the job ends with all that do not."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        self._open = False

    def process(self, ref: Ref, evidence: list[EvidenceRow]) -> Iterable[Ref]:
        if not self._open:
            contracts = Contracts(self._job.plan, plugin_of_plan(self._job.plan))
            with working(self._job):
                outcomes = contracts.judge(add_rows(evidence), only=contracts.early())
                raise_all(o.error() for o in outcomes if o.gates)
            self._open = True
        yield ref


class MergeEvidence(beam.PTransform):
    """Evidence rows -> one row a (contract, key)."""

    def expand(self, rows: beam.PCollection[EvidenceRow]) -> beam.PCollection[EvidenceRow]:
        return (
            rows
            | "Keyed" >> beam.Map(_keyed).with_output_types(tuple[tuple[int, str], tuple[int, str]])
            | "Merge" >> beam.CombinePerKey(MergeCounts()).with_output_types(tuple[tuple[int, str], tuple[int, str]])
            | "Row" >> beam.Map(_row).with_output_types(EvidenceRow)
        )


@beam.typehints.with_input_types(tuple[int, str])
@beam.typehints.with_output_types(tuple[int, str])
class MergeCounts(beam.CombineFn):
    """Adds counts and keeps the first failing records by record key: associative, commutative, bounded."""

    def get_accumulator_coder(self) -> Any:
        return coders.TupleCoder((coders.VarIntCoder(), coders.StrUtf8Coder()))

    def create_accumulator(self) -> tuple[int, str]:
        return 0, "[]"

    def add_input(self, accumulator: tuple[int, str], element: tuple[int, str]) -> tuple[int, str]:
        return merged(accumulator, element)

    def merge_accumulators(self, accumulators: Iterable[tuple[int, str]]) -> tuple[int, str]:
        total = self.create_accumulator()
        for accumulator in accumulators:
            total = merged(total, accumulator)
        return total

    def extract_output(self, accumulator: tuple[int, str]) -> tuple[int, str]:
        return accumulator


class TailView(beam.DoFn):
    """Levels of a record -> evidence about the values a reader sees, once every statistic of the deferred tail is known."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._tables: dict[tuple[str, int], Any] = {}

    def process(self, row: LevelsRow, merged_points: Mapping[str, bytes]) -> Iterable[EvidenceRow]:
        channels = len(row.levels) // 32
        table = self._tables.get((row.split, channels))
        if table is None:
            with working(self._job):
                fitted = derive_all(self._worker, self._worker.plan.fits, merged_points)
                table = self._tables[row.split, channels] = tail_table(self._worker, row.split, channels, fitted)
        tally: Tally = {}
        self._worker.beside.contracts.of_levels(row, table, tally)
        yield from rows_of(tally)


# -- the sample -------------------------------------------------------------------------------------------------------------------


class Sample(beam.PTransform):
    """References of the records that were stored -> the shards of the sample.

    The choice is by seeded rank in each stratum. The sampled records, and only they, are read and decoded once more.
    """

    def __init__(self, job: Job, sample: SamplePlan, points: tuple[FitPoint, ...], merged_points: Any) -> None:
        super().__init__()
        self._job, self._sample, self._points, self._merged = job, sample, points, merged_points

    def expand(self, refs: beam.PCollection[Ref]) -> beam.PCollection[ShardRow]:
        cuts = (
            refs
            | "Positions" >> beam.Map(_place_of, self._sample).with_output_types(tuple[str, bytes])
            | "Cut" >> CutByRank(SampleQuota(self._sample))
        )
        chosen = refs | "Choose" >> beam.FlatMap(_chosen, self._sample, beam.pvalue.AsDict(cuts)).with_output_types(Ref)
        counts = (
            chosen
            | "SplitOf" >> beam.Map(_split_of).with_output_types(tuple[str, int])
            | "CountSplits" >> beam.CombinePerKey(Count()).with_output_types(tuple[str, int])
        )
        rows = (
            chosen
            | "ShardOf"
            >> beam.Map(_shard_of, beam.pvalue.AsDict(counts), self._job.shard_records).with_output_types(tuple[tuple[str, int, int], Ref])
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteSample(self._job, self._points), self._merged)
        )
        return _typed(rows, ShardRow)


class SampleQuota:
    """The quota of a stratum of a sample; a picklable function."""

    def __init__(self, sample: SamplePlan) -> None:
        self._sample = sample

    def __call__(self, stratum: str, count: int) -> list[int]:
        return [self._sample.quota(count)]


class WriteSample(beam.DoFn):
    """One group of sampled references -> one file below ``sample/``."""

    def __init__(self, job: Job, points: tuple[FitPoint, ...]) -> None:
        self._job, self._points = job, points

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._marks = Marks(self._job, Task("write"))

    def teardown(self) -> None:
        self._marks.close()

    def process(self, group: tuple[tuple[str, int, int], Iterable[Ref]], merged_points: Mapping[str, bytes]) -> Iterable[ShardRow]:
        (split, shard, shards), refs = group
        job = self._job
        with working(job), places.scratch(f"{job.work}/scratch") as scratch:
            written = write_shard(
                self._worker,
                refs,
                derive_before_writing(self._worker, self._points, merged_points),
                split=split,
                shard=shard,
                shards=shards,
                folder=f"{job.instance}/sample",
                scratch=scratch,
                pool=shared_pool(job.threads),
                threads=job.threads,
                gather=Ignore(),
                marks=self._marks,
            )
            if written.ledger:
                row = written.ledger[0]
                raise DataError(
                    f"{row.record_id} could be stored but not sampled: {row.reason}: {row.detail}",
                    code="changed-during-run",
                    place=row.record_id,
                    value=row.reason,
                    rule="files stay as they are while a run reads them",
                    remedy="run again when nothing writes to the source",
                )
        yield written.row


def _place_of(ref: Ref, sample: SamplePlan) -> tuple[str, bytes]:
    stratum = [ref.split, ref.label] if sample.kind == "per_class" else [ref.split]
    return canonical_bytes(stratum).decode(), position("sample", sample.seed, "SampleData", ref.key)


def _chosen(ref: Ref, sample: SamplePlan, cuts: Mapping[str, list[bytes]]) -> Iterable[Ref]:
    stratum, place = _place_of(ref, sample)
    if part_of(place, cuts[stratum]) == 0:
        yield ref


def _keyed(row: EvidenceRow) -> tuple[tuple[int, str], tuple[int, str]]:
    return (row.contract, row.key), (row.amount, row.records)


def _row(pair: tuple[tuple[int, str], tuple[int, str]]) -> EvidenceRow:
    (contract, key), (count, records) = pair
    return EvidenceRow(contract, key, count, records)


def _side(pipeline: Any, fitted: list[Any], label: str) -> Any:
    """Merged accumulators by point name as a side input of a name of its own."""
    return beam.pvalue.AsDict(tuple(fitted) | label >> beam.Flatten(pipeline=pipeline)) if fitted else {}


def _typed(pcoll: Any, kind: type) -> Any:
    pcoll.element_type = kind
    return pcoll
