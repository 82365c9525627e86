"""Maps kinds of filters to the transforms that carry them out: a transform registers itself for a kind, and `carried_out` looks it up.

A transform is made with a job and a step of the plan. It takes refs and gives `Sieved`: the refs that stay, and ledger rows
of the others. A filter of a kind that no transform here carries out brings its own (`plugins.base.OwnFilterOp`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import apache_beam as beam

from refinery_beam.job.job import Job, working
from refinery_beam.pipeline.outputs import Sieved, lost, sieved
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.plugins.base import OwnFilterOp, PluginFailed, whole
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
    return Own(job, step)


class Own(beam.PTransform):
    """Runs the transform of a third-party filter and applies its decisions."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        plugin = plugin_of_plan(self._job.plan)
        bound = plugin.bind(self._step, OwnFilterOp)
        with plugin.named():
            transform = bound.call(bound.op.transform, bound.params)
            if not isinstance(transform, beam.PTransform):
                raise _failed(self._step, f"transform gives {type(transform).__name__}, not a PTransform")
        given = refs | "Given" >> beam.Map(_given).with_output_types(_Said)
        said = refs | self._step.op >> transform | "Said" >> beam.ParDo(Said(self._job, self._step)).with_output_types(_Said)
        both = (given, said) | "Both" >> beam.Flatten() | "Group" >> beam.GroupByKey()
        return sieved(both, "Keep", beam.ParDo(KeepAsSaid(self._job, self._step)))


_Said = tuple[bytes, tuple[Ref, int]]
_LOST, _KEPT, _GIVEN = range(3)


class Said(beam.DoFn):
    """An element of a third-party filter's output, if it is a (ref, stays) pair. PluginError otherwise."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        self._job, self._step = job, step

    def process(self, decision: Any) -> Iterator[tuple[bytes, tuple[Ref, int]]]:
        with working(self._job):
            # By its key: a worker process may get refs back from Beam as another class with the same fields.
            pair = isinstance(decision, tuple) and len(decision) == 2 and isinstance(getattr(decision[0], "key", None), bytes)
            if not pair or decision[1] not in (True, False):
                raise _failed(self._step, f"it gives {type(decision).__name__}, not pairs of a reference and whether it stays")
        yield decision[0].key, (decision[0], int(decision[1]))


class KeepAsSaid(beam.DoFn):
    """Joins every ref with the filter's decision about it. PluginError unless there is one decision for each."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        self._job, self._step = job, step

    def process(self, group: tuple[bytes, Iterable[tuple[Ref, int]]]) -> Iterator[Any]:
        known = list(group[1])
        # The original ref goes on: a filter decides, and changes nothing.
        given, said = [ref for ref, word in known if word == _GIVEN], [word for _, word in known if word != _GIVEN]
        with working(self._job):
            if len(given) != 1 or len(said) != 1:
                name = known[0][0].record_id
                raise _failed(self._step, f"it says {len(said)} times whether {name} stays" if given else f"it makes up {name}")
        yield given[0] if said[0] == _KEPT else lost(dropped_row(given[0], self._step))


def _given(ref: Ref) -> tuple[bytes, tuple[Ref, int]]:
    return ref.key, (ref, _GIVEN)


def _failed(step: FilterStep, problem: str) -> PluginFailed:
    return PluginFailed(step.name, f"op:{step.op}", ValueError(problem))


def whole_quota(step: FilterStep, asked: Any, records: int) -> int:
    """A quota, if it is a whole number from 0 to the count of records. PluginFailed otherwise."""
    quota = whole(asked)
    if quota is None or not 0 <= quota <= records:
        raise _failed(step, f"its quota of {records} records is {asked!r}, not a whole number from 0 to {records}")
    return quota


def dropped_row(ref: Ref, step: FilterStep) -> LedgerRow:
    """The ledger row of a record that a filter removed."""
    return LedgerRow(ref.record_id, ref.split, "Filters", step.name, "filtered", step.op)
