"""Statistics of metadata, such as vocabularies: fitted over the references of the fit source, without a pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.errors import DataError
from refinery_beam.pipeline.fit import derive_all
from refinery_beam.pipeline.work import Fitted, Worker
from refinery_beam.plan.nodes import FieldStep, FitPoint, Plan
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.records import Ref, read_fields


class FieldFitPass(beam.PTransform):
    """References of the fit source -> one (statistics name, merged accumulator) pair of a fitted featurization."""

    def __init__(self, plan: Plan, step: FieldStep) -> None:
        super().__init__()
        self._plan, self._step = plan, step

    def expand(self, refs: beam.PCollection[Ref]) -> beam.PCollection[tuple[str, bytes]]:
        return (
            refs
            | "Count" >> beam.CombineGlobally(CountValues(self._plan, self._step)).without_defaults()
            | "Named" >> beam.Map(_named, statistics_name(self._step)).with_output_types(tuple[str, bytes])
        )


class PartialCoder(coders.Coder):
    """Writes an accumulator as its own canonical bytes."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def encode(self, value: Any) -> bytes:
        data: bytes = value.dumps()
        return data

    def decode(self, encoded: bytes) -> Any:
        return self._kind.loads(encoded)  # type: ignore[attr-defined]

    def is_deterministic(self) -> bool:
        return True


@beam.typehints.with_input_types(Ref)
@beam.typehints.with_output_types(bytes)
class CountValues(beam.CombineFn):
    """Observes the inputs of a fitted featurization, reference by reference."""

    def __init__(self, plan: Plan, step: FieldStep) -> None:
        self._plan, self._step = plan, step
        self._op: Any = None
        self._params: Any = None

    def setup(self, *args: Any, **kwargs: Any) -> None:
        self._ready()

    def _ready(self) -> None:
        if self._op is None:
            self._op = plugin_of_plan(self._plan).ops[self._step.op]
            self._params = self._op.spec.params.model_validate(dict(self._step.params))

    def get_accumulator_coder(self) -> Any:
        self._ready()
        return PartialCoder(type(self._op.partial(self._params)))

    def create_accumulator(self) -> Any:
        self._ready()
        return self._op.partial(self._params)

    def add_input(self, accumulator: Any, element: Ref) -> Any:
        known = metadata(self._plan, element)
        accumulator.observe([known.get(name) for name in self._step.inputs], element.key)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: Any) -> bytes:
        data: bytes = accumulator.dumps()
        return data


def statistics_name(step: FieldStep) -> str:
    """What the accumulator of a fitted featurization is called among those of the fit points, whose names are SPLIT-INDEX."""
    return f"@{step.name}"


def metadata(plan: Plan, ref: Ref) -> dict[str, Any]:
    """What is known of a record without its pixels."""
    return {
        "record_id": ref.record_id,
        "path": ref.path,
        "partition": ref.partition or None,
        **read_fields(ref),
        plan.label_field: ref.label,
    }


def derive_before_writing(worker: Worker, points: Iterable[FitPoint], merged: Mapping[str, bytes]) -> Fitted:
    """All statistics that a row is made with: those of the points with passes of their own, and those of fitted featurizations."""
    return {**derive_all(worker, points, merged), **derive_fields(worker, merged)}


def derive_fields(worker: Worker, merged: Mapping[str, bytes]) -> dict[str, Any]:
    """The statistics of every fitted featurization, from the merged accumulators or from the recipe. Raises DataError for an empty fit."""
    found: dict[str, Any] = {}
    for step in worker.plan.fitted_fields():
        if step.pinned is not None:
            found[step.name] = step.pinned
            continue
        op: Any = worker.plugin.ops[step.op]
        params = op.spec.params.model_validate(dict(step.params))
        data = merged.get(statistics_name(step), b"")
        partial = type(op.partial(params)).loads(data) if data else op.partial(params)
        if not partial.count:
            raise DataError(
                f"no record of split {step.fit_source!r} has a value to fit {step.name} on",
                code="empty-fit",
                place=step.fit_source or "",
                value=0,
                rule="a fitted statistic needs at least one record of its fit_source",
                remedy="check the split ratios, the filters and the field",
            )
        found[step.name] = op.fit(partial, params)
    return found


def _named(data: bytes, name: str) -> tuple[str, bytes]:
    return name, data
