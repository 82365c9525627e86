"""Assertions as PTransforms: collect counts, ids and byte values of records as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.window import GlobalWindows

from refinery_beam.errors import raise_all
from refinery_beam.job.job import Job, working
from refinery_beam.pipeline.outputs import LOST, Sieved, typed
from refinery_beam.pipeline.rows.write_rows import WriteRows
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.record.contracts import Contracts, Tally, add_rows, merged, rows_of
from refinery_beam.record.extras import EVIDENCE
from refinery_beam.record.worker import Worker, derive_all
from refinery_beam.records import ByteValuesRow, EvidenceRow, LedgerRow, Ref


class CheckRefs(beam.PTransform):
    """Refs -> those that stay, and the ledger rows of those that break an input contract.

    A gate lets refs pass when all their evidence is collected, so that assertions which fail before anything is decoded stop the job here.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        plan = self._job.plan
        out = refs | "Check" >> beam.ParDo(CheckRef(plan)).with_outputs(LOST, EVIDENCE, main="kept")
        kept, ledger, evidence = typed(out.kept, Ref), typed(out[LOST], LedgerRow), typed(out[EVIDENCE], EvidenceRow)
        total = evidence | "Evidence" >> MergeEvidence()
        _ = total | "KeepEvidence" >> WriteRows(f"{self._job.work}/evidence", EvidenceRow, files=1)
        if Contracts(plan, plugin_of_plan(plan)).early():
            kept = typed(kept | "Gate" >> beam.ParDo(Gate(self._job), beam.pvalue.AsList(total)), Ref)
        return Sieved(kept, ledger)


class Evidence(beam.PTransform):
    """(evidence rows, rows of byte values) of the write pass -> one evidence row a (contract, key).

    `statistics` is a side input of all merged accumulators: the deferred tail needs them to map byte values.
    """

    def __init__(self, job: Job, statistics: Any) -> None:
        super().__init__()
        self._job, self._statistics = job, statistics

    def expand(self, rows: tuple[beam.PCollection[EvidenceRow], beam.PCollection[ByteValuesRow]]) -> beam.PCollection[EvidenceRow]:
        evidence, byte_values = rows
        if any(c.section == "OutputExpectations" and c.on_content for c in self._job.plan.contracts):
            late = typed(byte_values | "ReaderValues" >> beam.ParDo(TailView(self._job), self._statistics), EvidenceRow)
            evidence = (evidence, late) | "Both" >> beam.Flatten()
        return evidence | "Merged" >> MergeEvidence()


class CheckRef(beam.DoFn):
    """Checks refs one by one and gives the evidence once a bundle."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def setup(self) -> None:
        self._contracts = Contracts(self._plan, plugin_of_plan(self._plan))

    def start_bundle(self) -> None:
        self._tally: Tally = {}

    def process(self, ref: Ref) -> Iterable[Any]:
        row = self._contracts.of_ref(ref, self._tally)
        yield ref if row is None else beam.pvalue.TaggedOutput(LOST, row)

    def finish_bundle(self) -> Iterable[Any]:
        for row in rows_of(self._tally):
            yield beam.pvalue.TaggedOutput(EVIDENCE, GlobalWindows.windowed_value(row))


class Gate(beam.DoFn):
    """Lets refs pass if all assertions that can be judged by now hold. Otherwise the job ends with every failed assertion."""

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
    """Byte values of a record -> evidence about the values that a reader computes, once the deferred tail is fitted."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        self._worker = Worker(self._job.plan)
        self._tables: dict[tuple[str, int], Any] = {}

    def process(self, row: ByteValuesRow, merged_points: Mapping[str, bytes]) -> Iterable[EvidenceRow]:
        channels = len(row.byte_values) // 32
        table = self._tables.get((row.split, channels))
        if table is None:
            with working(self._job):
                fitted = derive_all(self._worker, self._worker.plan.fits, merged_points)
                table = self._tables[row.split, channels] = self._worker.tail_table(row.split, channels, fitted)
        tally: Tally = {}
        self._worker.contracts.of_byte_values(row, table, tally)
        yield from rows_of(tally)


def _keyed(row: EvidenceRow) -> tuple[tuple[int, str], tuple[int, str]]:
    return (row.contract, row.key), (row.amount, row.records)


def _row(pair: tuple[tuple[int, str], tuple[int, str]]) -> EvidenceRow:
    (contract, key), (count, records) = pair
    return EvidenceRow(contract, key, count, records)
