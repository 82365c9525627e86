"""Generated and augmented records as refs: a fan-out of lineages, never of content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam.job.job import Job, working
from refinery_beam.pipeline.counting import CountBy
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.planning.generated import AugmentStep, GenerateStep
from refinery_beam.planning.nodes import Plan
from refinery_beam.planning.splits.quotas import part_of, position
from refinery_beam.plugins.base import BoundOp, GeneratedRecord, GenerateOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.record.lineage import expanded, generated_ref, generated_refs, lineage_of
from refinery_beam.records import Ref, StepCountRow


class Grown(NamedTuple):
    """The refs after a step, and how many it made and replaced."""

    refs: beam.PCollection[Ref]
    tally: beam.PCollection[StepCountRow]


class Generate(beam.PTransform):
    """One generation in one split: gives the records (unless the step replaces them) and the records generated from them."""

    def __init__(self, job: Job, step: GenerateStep, split: str) -> None:
        super().__init__()
        self._job, self._step, self._split = job, step, split

    def expand(self, refs: beam.PCollection[Ref]) -> Grown:
        step = self._step
        if step.kind == "variants":
            out = refs | "Generate" >> beam.ParDo(GenerateRecords(self._job, step)).with_output_types(Ref)
        else:
            table = beam.pvalue.AsDict(refs | "CountClasses" >> CountBy(_class_of))
            cuts = refs | "Cut" >> CutByRank(partial(positions_of, step=step), ExtraCuts(self._job, step), table)
            copies = beam.ParDo(Copies(self._job, step), table, beam.pvalue.AsDict(cuts))
            out = refs | "Copies" >> copies.with_output_types(Ref)
        return Grown(out, _tally(refs, out, step.name, self._split, replaced=step.replace))


class Expand(beam.PTransform):
    """One stored augmentation in one split: every record is replaced by its variants 0, 1, ..."""

    def __init__(self, step: AugmentStep, split: str) -> None:
        super().__init__()
        self._step, self._split = step, split

    def expand(self, refs: beam.PCollection[Ref]) -> Grown:
        out = refs | "Augment" >> beam.FlatMap(expanded, self._step).with_output_types(Ref)
        return Grown(out, _tally(refs, out, self._step.name, self._split, replaced=True))


class GenerateRecords(beam.DoFn):
    """A record -> itself (unless replaced), and its generated records."""

    def __init__(self, job: Job, step: GenerateStep) -> None:
        self._job, self._step = job, step
        self._records: tuple[GeneratedRecord, ...] = ()

    def setup(self) -> None:
        with working(self._job):
            bound = _bound(self._job.plan, self._step)
            self._records = tuple(bound.call(bound.op.generated, bound.params))

    def process(self, ref: Ref) -> Iterable[Ref]:
        return generated_refs(ref, self._step, self._records)


class Copies(beam.DoFn):
    """A record -> itself (unless replaced), and as many copies as its class and its rank ask for."""

    def __init__(self, job: Job, step: GenerateStep) -> None:
        self._job, self._step = job, step

    def setup(self) -> None:
        self._extra = ExtraCuts(self._job, self._step)

    def process(self, ref: Ref, classes: Mapping[str, int], cuts: Mapping[str, list[bytes]]) -> Iterable[Ref]:
        if not self._step.replace:
            yield ref
        stratum = _class_of(ref)
        if stratum is not None:
            count = self._extra.lacking(classes[stratum], classes) // classes[stratum]
            count += part_of(_position(ref, self._step), cuts[stratum]) == 0
            for n in range(1, count + 1):
                yield generated_ref(ref, self._step, n, {}, {})


class ExtraCuts:
    """How many records of a class are copied once more than the others; a picklable function."""

    def __init__(self, job: Job, step: GenerateStep) -> None:
        self._job, self._step = job, step

    def lacking(self, count: int, classes: Mapping[str, int]) -> int:
        """The copies that a class of `count` records gets in all."""
        with working(self._job):
            bound = _bound(self._job.plan, self._step)
            return bound.call(bound.op.extra, count, max(classes.values()), bound.params)

    def __call__(self, stratum: str, count: int, classes: Mapping[str, int]) -> list[int]:
        return [self.lacking(count, classes) % count]


def _bound(plan: Plan, step: GenerateStep) -> BoundOp[GenerateOp]:
    return plugin_of_plan(plan).bind(step, GenerateOp)


def _class_of(ref: Ref) -> str | None:
    return None if ref.label is None else json.dumps(ref.label)


def positions_of(ref: Ref, step: GenerateStep) -> Iterable[tuple[str, bytes]]:
    """The class of a ref and its position there; nothing for a ref without a class."""
    stratum = _class_of(ref)
    if stratum is not None:
        yield stratum, _position(ref, step)


def _position(ref: Ref, step: GenerateStep) -> bytes:
    return position("generate", step.seed, step.name, ref.key)


def _tally(before: Any, after: Any, step: str, split: str, *, replaced: bool) -> Any:
    """Rows that count the records which a step made and replaced."""
    rows = [after | "CountMade" >> CountBy(partial(_made_by, step=step))]
    if replaced:
        rows.append(before | "CountReplaced" >> CountBy(_replaced))
    return tuple(rows) | "Tallies" >> beam.Flatten() | "Tally" >> beam.Map(_row, step, split).with_output_types(StepCountRow)


def _made_by(ref: Ref, step: str) -> str | None:
    entries = lineage_of(ref)
    return "generated" if entries and entries[-1]["name"] == step else None


def _replaced(ref: Ref) -> str:
    return "replaced"


def _row(pair: tuple[str, int], step: str, split: str) -> StepCountRow:
    return StepCountRow(split, step, pair[0], pair[1])
