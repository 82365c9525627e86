"""How filters are carried out: each transform here names the kind of filter that it does, and `carried_out` looks it up.

A transform is made with a job and a step of the plan. It takes references and gives `Sieved`: those that stay, and the ledger rows of those
that go. A filter of a kind that no transform here carries out brings its own (`plugins.base.OwnFilterOp`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import apache_beam as beam

from refinery_beam.job.job import Job
from refinery_beam.pipeline.outputs import Sieved, lost, sieved, typed
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.plugins.base import BoundOp, OwnFilterOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import LedgerRow, Ref

Transform = TypeVar("Transform", bound=Callable[[Job, FilterStep], Any])

_KINDS: dict[str, Callable[[Job, FilterStep], Any]] = {}


def carries_out(kind: str) -> Callable[[Transform], Transform]:
    """The decorated transform carries out filters of a kind."""

    def register(transform: Transform) -> Transform:
        _KINDS[kind] = transform
        return transform

    return register


def carried_out(job: Job, step: FilterStep) -> Any:
    """The transform of one filter."""
    if step.kind in _KINDS:
        return _KINDS[step.kind](job, step)
    return Own(step, plugin_of_plan(job.plan).bind(step, OwnFilterOp))


class Own(beam.PTransform):
    """The transform that a third party's filter brings, and what comes of its decisions."""

    def __init__(self, step: FilterStep, bound: BoundOp[OwnFilterOp]) -> None:
        super().__init__()
        self._step, self._bound = step, bound

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        decided = refs | self._step.op >> self._bound.call(self._bound.op.transform, self._bound.params)
        return sieved(typed(decided, tuple[Ref, bool]), "Keep", beam.FlatMap(_kept_or_lost, self._step))


def _kept_or_lost(decision: tuple[Ref, bool], step: FilterStep) -> Iterator[Any]:
    ref, stays = decision
    yield ref if stays else lost(dropped_row(ref, step))


def dropped_row(ref: Ref, step: FilterStep) -> LedgerRow:
    """The ledger row of a record that a filter took out."""
    return LedgerRow(ref.record_id, ref.split, "Filters", step.name, "filtered", step.op)
