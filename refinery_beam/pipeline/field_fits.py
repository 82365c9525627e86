"""Statistics of metadata, such as vocabularies: fitted over the refs of the fit source; no file is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.errors import DataError
from refinery_beam.job.failures import report_failure
from refinery_beam.job.job import Job, working
from refinery_beam.planning.nodes import FieldStep
from refinery_beam.plugins.base import BadRecord, BoundOp, FittedFeaturizeOp
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.record.worker import statistics_name
from refinery_beam.records import Ref, known_fields


class FieldFitPass(beam.PTransform):
    """Refs of the fit source -> one (statistics name, merged accumulator) pair of a fitted featurization."""

    def __init__(self, job: Job, step: FieldStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> beam.PCollection[tuple[str, bytes]]:
        return (
            refs
            | "Count" >> beam.CombineGlobally(CountValues(self._job, self._step)).without_defaults()
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
    """Observes the inputs of a fitted featurization, ref by ref."""

    def __init__(self, job: Job, step: FieldStep) -> None:
        self._job, self._step = job, step
        self._bound: BoundOp[FittedFeaturizeOp] | None = None

    def setup(self, *args: Any, **kwargs: Any) -> None:
        self._ready()

    def _ready(self) -> BoundOp[FittedFeaturizeOp]:
        if self._bound is None:
            self._bound = plugin_of_plan(self._job.plan).bind(self._step, FittedFeaturizeOp)
        return self._bound

    def get_accumulator_coder(self) -> Any:
        return PartialCoder(type(self.create_accumulator()))

    def create_accumulator(self) -> Any:
        with working(self._job):
            bound = self._ready()
            return bound.call(bound.op.partial, bound.params)

    def add_input(self, accumulator: Any, element: Ref) -> Any:
        known = known_fields(element, self._job.plan.label_field)
        self._call(accumulator.observe, [known.get(name) for name in self._step.inputs], element.key)
        return accumulator

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Raises DataError for values that make no statistic. It names no record: which one fails depends on the grouping."""
        try:
            with working(self._job):
                self._ready().call(function, *arguments)
        except BadRecord as error:
            failure = DataError(
                f"{self._step.name!r} cannot be fitted on {', '.join(self._step.inputs)}: {error.detail}",
                code=error.reason,
                at=self._step.name,
                value=error.detail,
                rule="a statistic of metadata is learned from all records of its fit_source together",
                remedy="name a field with fewer values, or state the statistics in the recipe",
            )
            report_failure(self._job.work, failure)
            raise failure from error

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            self._call(merged.merge, accumulator)
        return merged

    def extract_output(self, accumulator: Any) -> bytes:
        data: bytes = accumulator.dumps()
        return data


def _named(data: bytes, name: str) -> tuple[str, bytes]:
    return name, data
