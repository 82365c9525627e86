"""Plan -> pipeline. Wires, never thinks: a decision about data belongs in `plan.build`.

Labels are stable: they come from the plan's names only, so a job looks the same in every engine's UI and every profile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from refinery_beam.pipeline.context import Job, working
from refinery_beam.pipeline.duplicates import NearGroups
from refinery_beam.pipeline.evidence import CheckReferences, add_beside
from refinery_beam.pipeline.field_fits import FieldFitPass
from refinery_beam.pipeline.fit import FitPass, MergeRiding, merged_side_input
from refinery_beam.pipeline.flow import Flow
from refinery_beam.pipeline.grow import Expand, Generate
from refinery_beam.pipeline.index_parts import ReadIndex
from refinery_beam.pipeline.materialize import WriteShards
from refinery_beam.pipeline.rows_io import WriteRows, write_partial
from refinery_beam.pipeline.select import Select
from refinery_beam.pipeline.split import LEDGER, AssignSplits
from refinery_beam.plan.variants import aggressive
from refinery_beam.records import GrowthRow, LedgerRow, Ref, ShardRow

ROWS_A_FILE = 20_000


def translate(pipeline: beam.Pipeline, job: Job) -> None:
    """Build the whole job on `pipeline`. Results are files below ``job.instance`` and ``job.work``; see `rows_io`."""
    plan = job.plan
    files = max(1, job.records // ROWS_A_FILE)
    refs = pipeline | "Index" >> ReadIndex(f"{job.work}/index") | "Worker" >> beam.ParDo(CheckWorker(job)).with_output_types(Ref)
    flow = Flow()
    if plan.contracts:
        refs, dropped = refs | "InputContracts" >> CheckReferences(job)
        flow.passed("InputContracts", refs, dropped)
    for step in plan.pre_filters:
        refs, dropped = refs | f"Filter[{step.name}]" >> Select(plan, step, job)
        flow.passed(step.name, refs, dropped)

    if plan.split.near_distance is not None:
        refs, unreadable = refs | "NearGroups" >> NearGroups(job)
        flow.passed("NearGroups", refs, unreadable)
    grouped = job.grouped or plan.split.near_distance is not None
    branches = refs | "Split" >> AssignSplits(plan, grouped=grouped, divided=plan.split_from_index, work=job.work)
    flow.passed("Splits", None, branches.pop(LEDGER))
    for split, branch in branches.items():
        flow.passed("Splits", branch, None, split=split)
    for step in plan.post_filters:
        for split in step.splits:
            branches[split], dropped = branches[split] | f"Filter[{step.name}][{split}]" >> Select(plan, step, job)
            flow.passed(step.name, branches[split], dropped, split=split)

    for made in plan.generation:
        for split in made.splits:
            branches[split], tally = branches[split] | f"Generate[{made.name}][{split}]" >> Generate(plan, made, split)
            flow.made(tally)

    passes = tuple(point for point in plan.fits if not point.riding)
    fitted: list[Any] = []
    for i, point in enumerate(passes):
        merged = merged_side_input(pipeline, fitted)
        fitted.append(branches[point.split] | f"Fit[{point.name}]" >> FitPass(job, point, passes[:i], merged))

    for field in plan.fitted_fields():
        if field.needs_fit:
            fitted.append(branches[field.fit_source] | f"FitField[{field.name}]" >> FieldFitPass(plan, field))
    # After the fits: statistics see every record once, as it is before it is varied.
    for varied in aggressive(plan.augmentations):
        for split in varied.splits:
            branches[split], tally = branches[split] | f"Augment[{varied.name}][{split}]" >> Expand(varied, split)
            flow.made(tally)

    every = tuple(branches.values()) | "References" >> beam.Flatten()
    written = every | "Shards" >> WriteShards(job, passes, merged_side_input(pipeline, fitted))
    before_writing = list(fitted)
    for point in plan.fits:
        if point.riding:
            fitted.append(written.partials | f"Merge[{point.name}]" >> MergeRiding(plan, point, job.work))
    add_beside(pipeline, job, written, passes, fitted, before_writing)
    for i, pair in enumerate(fitted):
        _ = pair | f"KeepStatistics[{i}]" >> beam.Map(write_partial, f"{job.work}/statistics").with_output_types(str)
    _ = written.shards | "ShardRows" >> WriteRows(f"{job.work}/shards", ShardRow, files=1)
    _ = flow.rows() | "GrowthRows" >> WriteRows(f"{job.work}/growth", GrowthRow, files=1)
    _ = (*flow.lost, written.ledger) | "Lost" >> beam.Flatten() | "Ledger" >> WriteRows(f"{job.work}/ledger", LedgerRow, files=files)


class CheckWorker(beam.DoFn):
    """Passes every reference on. A worker of other versions than the driver's does not get so far; see `versions`."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        with working(self._job):
            pass

    def process(self, ref: Ref) -> Iterable[Ref]:
        yield ref
