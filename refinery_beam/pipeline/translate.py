"""Plan -> pipeline. Wires, never thinks: a decision about data belongs in `planning.build`.

Labels are stable: they come from the plan's names only, so a job looks the same in every engine's UI and every profile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from refinery_beam.job.job import Job, working
from refinery_beam.job.row_files import write_partial
from refinery_beam.pipeline.contracts import CheckRefs, Evidence
from refinery_beam.pipeline.field_fits import FieldFitPass
from refinery_beam.pipeline.filters import carried_out
from refinery_beam.pipeline.filters.duplicates import NearGroups
from refinery_beam.pipeline.fit import FitPass, MergeRiding
from refinery_beam.pipeline.grow import Expand, Generate
from refinery_beam.pipeline.outputs import side_input
from refinery_beam.pipeline.rows.read_index import DealGroups, ReadGroups
from refinery_beam.pipeline.rows.write_rows import WriteRows
from refinery_beam.pipeline.sample import Sample
from refinery_beam.pipeline.split import LEDGER, AssignSplits
from refinery_beam.pipeline.step_counts import StepCounts
from refinery_beam.pipeline.write import WriteShards
from refinery_beam.planning.generated import aggressive
from refinery_beam.record.extras import BYTE_VALUES, EVIDENCE, FILES, FINAL
from refinery_beam.records import EvidenceRow, LedgerRow, ShardRow, SinkRow, StepCountRow

ROWS_A_FILE = 20_000


def translate(pipeline: beam.Pipeline, job: Job) -> None:
    """Build the whole job on `pipeline`. Results are files below ``job.instance`` and ``job.work``; see `job.row_files`."""
    plan = job.plan
    files = max(1, job.records // ROWS_A_FILE)
    index = f"{job.work}/index"
    groups = pipeline | "Groups" >> DealGroups(index) | "Worker" >> beam.ParDo(CheckWorker(job)).with_output_types(RowGroups)
    refs = groups | "Index" >> ReadGroups(index)
    counts = StepCounts()
    if plan.contracts:
        refs, dropped = refs | "InputContracts" >> CheckRefs(job)
        counts.passed("InputContracts", refs, dropped)
    for step in plan.pre_filters:
        refs, dropped = refs | f"Filter[{step.name}]" >> carried_out(job, step)
        counts.passed(step.name, refs, dropped)

    if plan.split.near_distance is not None:
        refs, unreadable = refs | "NearGroups" >> NearGroups(job)
        counts.passed("NearGroups", refs, unreadable)
    grouped = job.grouped or plan.split.near_distance is not None
    branches = refs | "Split" >> AssignSplits(plan, grouped=grouped, divided=plan.split_from_index, work=job.work)
    counts.passed("Splits", None, branches.pop(LEDGER))
    for split, branch in branches.items():
        counts.passed("Splits", branch, None, split=split)
    for step in plan.post_filters:
        for split in step.splits:
            branches[split], dropped = branches[split] | f"Filter[{step.name}][{split}]" >> carried_out(job, step)
            counts.passed(step.name, branches[split], dropped, split=split)

    for made in plan.generation:
        for split in made.splits:
            branches[split], tally = branches[split] | f"Generate[{made.name}][{split}]" >> Generate(job, made, split)
            counts.made(tally)

    passes = tuple(point for point in plan.fits if not point.riding and job.fitted is None)
    fitted: list[Any] = []
    for i, point in enumerate(passes):
        merged = side_input(pipeline, fitted, f"Statistics[{i}]")
        fitted.append(branches[point.split] | f"Fit[{point.name}]" >> FitPass(job, point, passes[:i], merged))
    for field in plan.fitted_fields():
        if field.needs_fit and job.fitted is None:
            fitted.append(branches[field.fit_source] | f"FitField[{field.name}]" >> FieldFitPass(job, field))
    # After the fits: statistics count every record once, as it is before augmentation.
    for varied in aggressive(plan.augmentations):
        for split in varied.splits:
            branches[split], tally = branches[split] | f"Augment[{varied.name}][{split}]" >> Expand(varied, split)
            counts.made(tally)

    every = tuple(branches.values()) | "References" >> beam.Flatten()
    written = every | "Shards" >> WriteShards(job, passes, side_input(pipeline, fitted, "Statistics"))
    riding = [written.partials | f"Merge[{p.name}]" >> MergeRiding(job, p) for p in plan.fits if p.riding]
    if plan.contracts:
        statistics = side_input(pipeline, [*fitted, *riding], "TailStatistics")
        evidence = (written.extras[EVIDENCE], written.extras[BYTE_VALUES]) | "Evidence" >> Evidence(job, statistics)
        _ = evidence | "KeepEvidence" >> WriteRows(f"{job.work}/evidence", EvidenceRow, files=1)
    if plan.sinks:
        _ = written.extras[FILES] | "SinkFiles" >> WriteRows(f"{job.work}/sinks", SinkRow, files=files)
    if plan.sample is not None:
        statistics = side_input(pipeline, fitted, "SampleStatistics")
        rows = written.extras[FINAL] | "SampleData" >> Sample(job, plan.sample, passes, statistics)
        _ = rows | "SampleRows" >> WriteRows(f"{job.work}/sample", ShardRow, files=1)
    for i, pair in enumerate([*fitted, *riding]):
        _ = pair | f"KeepStatistics[{i}]" >> beam.Map(write_partial, f"{job.work}/statistics").with_output_types(str)
    _ = written.shards | "ShardRows" >> WriteRows(f"{job.work}/shards", ShardRow, files=1)
    _ = counts.rows() | "StepCountRows" >> WriteRows(f"{job.work}/step_counts", StepCountRow, files=1)
    _ = (*counts.lost, written.ledger) | "Lost" >> beam.Flatten() | "Ledger" >> WriteRows(f"{job.work}/ledger", LedgerRow, files=files)


RowGroups = tuple[int, Iterable[str]]
"""A number, and names of row groups of the index."""


class CheckWorker(beam.DoFn):
    """Passes row groups on. A worker with other versions than the driver's raises before that; see `versions`."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        with working(self._job):
            pass

    def process(self, groups: RowGroups) -> Iterable[RowGroups]:
        yield groups
