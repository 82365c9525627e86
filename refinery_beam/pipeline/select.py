"""Filters on references: only sizes and near duplicates look into files (`look`), and whatever goes is in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, NamedTuple

import apache_beam as beam

from refinery_beam.pipeline.bad import calling, named
from refinery_beam.pipeline.context import Job, working
from refinery_beam.pipeline.cut import CutByRank
from refinery_beam.pipeline.duplicates import DropDuplicates
from refinery_beam.pipeline.look import LookInto
from refinery_beam.pipeline.per_class import SamplePerClass
from refinery_beam.plan.nodes import FilterStep, Plan
from refinery_beam.plan.quotas import part_of, position
from refinery_beam.plugins.base import TAGS_FIELD, FilterOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import LedgerRow, Ref, read_fields, read_tags

DROPPED = "dropped"


class Selected(NamedTuple):
    kept: beam.PCollection[Ref]
    ledger: beam.PCollection[LedgerRow]


class Select(beam.PTransform):
    """One filter: the references that stay and the ledger rows of those that go. `job` is asked for by filters that read files."""

    def __init__(self, plan: Plan, step: FilterStep, job: Job | None = None) -> None:
        super().__init__()
        self._plan = plan
        self._step = step
        self._job = job

    def expand(self, refs: beam.PCollection[Ref]) -> Selected:
        if self._step.kind == "sample_per_class":
            return Selected(*(refs | "PerClass" >> SamplePerClass(self._plan, self._step)))
        if self._step.kind == "duplicates":
            assert self._job is not None
            return Selected(*(refs | "Duplicates" >> DropDuplicates(self._job, self._step)))
        if self._step.kind == "header":
            assert self._job is not None
            looked = refs | "Headers" >> LookInto(self._job, self._step)
            return Selected(looked.seen | "Kept" >> beam.Map(_reference).with_output_types(Ref), looked.ledger)
        if self._step.kind == "predicate":
            out = refs | "Keep" >> beam.ParDo(KeepByPredicate(self._plan, self._step, self._job)).with_outputs(DROPPED, main="kept")
        else:
            cuts = (
                refs
                | "Positions" >> beam.Map(_position_of, self._step).with_output_types(tuple[str, bytes])
                | "Cut" >> CutByRank(SampleCuts(self._plan, self._step))
            )
            out = refs | "Keep" >> beam.ParDo(KeepByRank(self._step), beam.pvalue.AsDict(cuts)).with_outputs(DROPPED, main="kept")
        return Selected(_typed(out.kept, Ref), _typed(out[DROPPED], LedgerRow))


class KeepByPredicate(beam.DoFn):
    """Keeps a reference when the op says so of its label and metadata."""

    def __init__(self, plan: Plan, step: FilterStep, job: Job | None = None) -> None:
        self._plan, self._step, self._job, self._label_field = plan, step, job, plan.label_field
        self._plugin: Any = None
        self._op: Any = None
        self._params: Any = None

    def setup(self) -> None:
        self._plugin = plugin_of_plan(self._plan)
        self._op = self._plugin.ops[self._step.op]
        self._params = self._op.spec.params.model_validate(dict(self._step.params))

    def process(self, ref: Ref) -> Iterable[Any]:
        with (
            working(self._job) if self._job else nullcontext(),
            named(ref.record_id, self._plugin),
            calling(self._step.name, self._step.op),
        ):
            keep = self._op.keep(ref.label, known_fields(ref, self._label_field), self._params)
        if keep:
            yield ref
        else:
            yield beam.pvalue.TaggedOutput(DROPPED, dropped_row(ref, self._step))


class KeepByRank(beam.DoFn):
    """Keeps the references of lowest seeded rank, up to the quota."""

    def __init__(self, step: FilterStep) -> None:
        self._step = step

    def process(self, ref: Ref, cuts: dict[str, list[bytes]]) -> Iterable[Any]:
        if part_of(_position_of(ref, self._step)[1], cuts[""]) == 0:
            yield ref
        else:
            yield beam.pvalue.TaggedOutput(DROPPED, dropped_row(ref, self._step))


class SampleCuts:
    """The quota of a sampling op for a count of records; a picklable function."""

    def __init__(self, plan: Plan, step: FilterStep) -> None:
        self._plan, self._step = plan, step

    def __call__(self, stratum: str, count: int) -> list[int]:
        op = plugin_of_plan(self._plan).ops[self._step.op]
        assert isinstance(op, FilterOp)
        return [op.quota(count, op.spec.params.model_validate(dict(self._step.params)))]


def known_fields(ref: Ref, label_field: str) -> dict[str, Any]:
    """Everything a filter may ask of a reference, by field name."""
    own = {"record_id": ref.record_id, "path": ref.path, "partition": ref.partition or None}
    return {**own, **read_fields(ref), label_field: ref.label, TAGS_FIELD: read_tags(ref)}


def dropped_row(ref: Ref, step: FilterStep) -> LedgerRow:
    """The ledger row of a record that a filter took out."""
    return LedgerRow(ref.record_id, ref.split, "Filters", step.name, "filtered", step.op)


def _reference(pair: tuple[bytes, Ref]) -> Ref:
    return pair[1]


def _position_of(ref: Ref, step: FilterStep) -> tuple[str, bytes]:
    return "", position("filter", step.seed, step.name, ref.key)


def _typed(pcoll: Any, kind: type) -> Any:
    """A tagged output with its element type: untyped ones would be pickled at the next stage boundary."""
    pcoll.element_type = kind
    return pcoll
