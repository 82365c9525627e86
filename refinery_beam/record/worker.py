"""The work on one record: read, check, decode, transform, encode. Plain functions over a plan; no shared state.

Content exists only here, in `source`, `steps`, `row` and `shard`: it is born in `SourceFiles.decode` and dies in the bytes
that `Worker.prepare` returns to the shard writer in the same process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from refinery_beam.errors import DataError
from refinery_beam.exact import ChannelHistogram, ExactError, Partial
from refinery_beam.planning.generated import AUGMENTATION, SOURCE_RECORD
from refinery_beam.planning.nodes import FieldStep, FitPoint, Plan, Step
from refinery_beam.plugins.base import (
    BadRecord,
    BoundOp,
    Content,
    FeaturizeOp,
    FittedFeaturizeOp,
    FittedOp,
    PluginFailed,
    TransformOp,
    call_plugin,
)
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.plugins.notes import noting
from refinery_beam.record.byte_values import table_of
from refinery_beam.record.contracts import Contracts
from refinery_beam.record.extras import Extras
from refinery_beam.record.lineage import augmented, generated, is_first_variant, source_record_id, stands_for_input
from refinery_beam.record.observed import Observed
from refinery_beam.record.partials import stated_before, type_before
from refinery_beam.record.row import Row, RowMaker
from refinery_beam.record.sinks import record_files
from refinery_beam.record.source import SourceFiles
from refinery_beam.record.steps import BoundStep, Fitted, run
from refinery_beam.records import Ref, known_fields


class Worker:
    """A plan with its ops resolved. Cheap to make, safe to use from several threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.plugin = plugin_of_plan(plan)
        self.kind = self.plugin.kind
        self.encoding = self.plugin.encoding(plan.output.encoding) if plan.output.content_field is not None else None
        self._observes = plan.output.facts and bool(self.kind.fact_types or self.kind.measures)
        self.files = SourceFiles(plan, self.plugin)
        self.contracts = Contracts(plan, self.plugin)
        self._rows = RowMaker(plan, self.kind, self.encoding, self.files.decoder)
        self._riding = {s: tuple(p for p in plan.fits if p.riding and p.split == s) for s in plan.chains}

    @cached_property
    def _steps(self) -> dict[str, tuple[BoundStep, ...]]:
        chains = self.plan.chains
        bound = {s.name: self.plugin.bind(s, TransformOp) for c in chains.values() for s in c.steps}
        return {split: tuple(BoundStep(bound[s.name], s.out, s.pinned) for s in c.steps) for split, c in chains.items()}

    @cached_property
    def _fitted_steps(self) -> dict[str, Step]:
        return {point.name: self.plan.fit_chain(point).steps[point.index] for point in self.plan.fits}

    @cached_property
    def _fitted_fields(self) -> list[tuple[FieldStep, BoundOp[FittedFeaturizeOp]]]:
        return [(f, self.plugin.bind(f, FittedFeaturizeOp)) for f in self.plan.fields if f.fitted]

    @cached_property
    def _content_fields(self) -> list[tuple[FieldStep, BoundOp[FeaturizeOp]]]:
        return [(f, self.plugin.bind(f, FeaturizeOp)) for f in self.plan.fields if f.needs_pixels]

    def steps(self, split: str) -> tuple[BoundStep, ...]:
        """The steps of a split's chain, eager and deferred."""
        return self._steps[split]

    # -- content ----------------------------------------------------------------------------------------------------------------

    def admitted(self, ref: Ref, data: bytes, *, observed: Observed | None = None) -> Content:
        """Decoded content that no input contract sends to the ledger; `observed` gets what is found out about it. Raises BadRecord."""
        content = self.files.decode(ref, data, observed=observed)
        if self.contracts.quarantines and self.contracts.arriving:
            self.contracts.admit(self.kind.plain(content))
        return content

    # -- fitting ----------------------------------------------------------------------------------------------------------------

    def partial(self, point: FitPoint) -> Partial:
        """An empty accumulator for a fit point: the kind's own if it has one for such values, else the op's."""
        chain = self.plan.fit_chain(point)
        before = type_before(chain, point.index)
        shared = self.kind.accumulator(before)
        if shared is not None:
            return shared
        fitted = self.plugin.bind(chain.steps[point.index], FittedOp)
        return fitted.call(fitted.op.partial, before, fitted.params)

    def observe(self, point: FitPoint, ref: Ref, fitted: Fitted) -> Partial:
        """The partial of one record at a fit point that has a pass of its own. Raises BadRecord, PluginError."""
        with self.plugin.named(ref.record_id):
            decoded = self.admitted(ref, self.files.read(ref))
            content = run(generated(self.plugin, ref, decoded), self.steps(point.split)[: point.index], fitted)
            chain = self.plan.fit_chain(point)
            if problem := self.kind.mismatch(content, stated_before(chain, point.index)):
                raise BadRecord(f"schema:{self.kind.field}", f"{problem}, Output declares {chain.stored}", stage="Output")
            return self._accumulate(point, content)

    def _accumulate(self, point: FitPoint, content: Content) -> Partial:
        partial = self.partial(point)
        step = self.plan.fit_chain(point).steps[point.index]
        try:
            call_plugin(step.name, f"op:{step.op}", partial.add, content)
        except BadRecord as error:
            error.stage, error.op = error.stage or "Transformations", error.op or step.name
            raise
        except PluginFailed as failed:
            if not isinstance(failed.error, ExactError):
                raise
            raise BadRecord("unsupported_mode", str(failed.error), stage="Transformations", op=step.name) from failed.error
        if partial.nonfinite:
            raise BadRecord("not_finite", f"{partial.nonfinite} values are NaN or infinite", stage="Transformations", op=point.steps[0])
        return partial

    def join(self, name: str, total: Partial, partial: Partial) -> None:
        """Merge an accumulator of the named fit point into another. Raises ExactError where they do not fit together, PluginFailed."""
        step = self._fitted_steps[name]
        try:
            call_plugin(step.name, f"op:{step.op}", total.merge, partial)
        except PluginFailed as failed:
            if isinstance(failed.error, ExactError):
                raise failed.error from failed
            raise

    def derive(self, point: FitPoint, merged: bytes, fitted: Fitted) -> dict[str, dict[str, Any]]:
        """The fitted statistics of every step of a point from its merged accumulator. Statistics become floats only here."""
        chain = self.plan.fit_chain(point)
        partial = type(self.partial(point)).loads(merged) if merged else self.partial(point)
        if not partial.count:
            raise DataError(
                f"no record of split {point.split!r} is left to fit {', '.join(point.steps)} on", code="empty-fit", at=point.split, value=0
            )
        found: dict[str, dict[str, Any]] = {}
        for index in range(point.index, len(chain.steps)):
            step = chain.steps[index]
            if step.name not in point.steps:
                continue
            observed: Partial = partial
            if index > point.index:
                between = self.steps(point.split)[point.index : index]
                assert isinstance(partial, ChannelHistogram)
                observed = partial.through(self.kind.plain(run(partial.byte_values(), between, {**fitted, **found})))
            bound = self.plugin.bind(step, FittedOp)
            with self.plugin.named():
                found[step.name] = bound.call(bound.op.fit, observed, bound.params)
        return found

    def tail_table(self, split: str, channels: int, fitted: Fitted) -> Any:
        """The result of a split's deferred tail for each byte value: an array (256, channels); None where there is no tail."""
        return table_of(self.kind, self.steps(split)[len(self.plan.chains[split].eager) :], channels, fitted)

    # -- rows -------------------------------------------------------------------------------------------------------------------

    def prepare(self, ref: Ref, fitted: Fitted, *, observed: Observed | None = None) -> Row:
        """The finished row of one ref. `observed` gets its facts, where the plan wants some, as far as they are known when a record is
        lost. Raises BadRecord, PluginError.
        """
        with self.plugin.named(ref.record_id):
            return self._prepare(ref, fitted, observed if self._observes else None)

    def _prepare(self, ref: Ref, fitted: Fitted, observed: Observed | None) -> Row:
        plan = self.plan
        known = known_fields(ref, plan.label_field)
        if ref.lineage:
            known[SOURCE_RECORD] = source_record_id(ref)
        for step, numbered in self._fitted_fields:
            if ref.split in step.splits:
                inputs = [known.get(name) for name in step.inputs]
                known[step.field] = numbered.call(numbered.op.featurize_fitted, inputs, numbered.params, fitted[step.name])
        data = self.files.read(ref) if plan.decodes or plan.output.content_field is not None else b""
        extras, content = Extras(), None
        partials: tuple[tuple[str, Partial], ...] = ()
        with noting() as notes:
            if plan.decodes:
                content, partials = self._content(ref, data, known, fitted, extras, observed)
        row = self._rows.row(ref, known, data=data, content=content, partials=partials)
        stored = {n: v for (n, _), v in zip(plan.output.fields, row.values, strict=True) if n != plan.output.content_field}
        finished = known | stored
        if self.contracts.leaving:
            extras.byte_values = self.contracts.of_row(ref, finished, content, plan.chains[ref.split], extras.tally)
        extras.files += record_files(plan, self.plugin, ref, finished, content)
        if data and observed is not None and self.kind.fact_types and not plan.decodes:
            observed.facts |= self.files.header(ref, data)
        noted = tuple(dict.fromkeys(notes)) if stands_for_input(self.plugin, ref) else ()
        row.extras, row.notes = extras, noted
        return row

    def _content(
        self, ref: Ref, data: bytes, known: dict[str, Any], fitted: Fitted, extras: Extras, observed: Observed | None
    ) -> tuple[Content, tuple[tuple[str, Partial], ...]]:
        """The stored content of a record, and its partials for the riding fit points of its split. Adds to `known` and `observed`."""
        # For every split, even if only train's content is needed: whether a record is bad must not depend on its split.
        chain = self.plan.chains[ref.split]
        decoded = self.admitted(ref, data, observed=observed)
        if self.contracts.arriving and stands_for_input(self.plugin, ref):
            self.contracts.of_content(ref, self.kind.plain(decoded), extras.tally)
        content = run(generated(self.plugin, ref, decoded), self.steps(ref.split)[: len(chain.eager)], fitted)
        riding = self._riding[ref.split] if is_first_variant(self.plugin, ref) else ()
        partials = tuple((point.name, self._accumulate(point, content)) for point in riding)
        content = self.kind.plain(content)
        varied, known[AUGMENTATION] = augmented(self.plugin, ref, content)
        stored = call_plugin("Output", f"kind:{self.kind.field}", self.kind.settle, varied, chain.stored)
        # Featurizations see what is stored; of an augmented record, what it was before.
        shown = stored if known[AUGMENTATION] is None else content
        for step, bound in self._content_fields:
            if ref.split in step.splits:
                inputs = [shown if name == self.kind.field else known.get(name) for name in step.inputs]
                known[step.field] = bound.call(bound.op.featurize, inputs, bound.params)
        return stored, partials


def derive_all(worker: Worker, points: Sequence[FitPoint], merged: Mapping[str, bytes]) -> Fitted:
    """The statistics of all steps of several points, in order; a later point uses the statistics of earlier points."""
    fitted: dict[str, Any] = {}
    for point in points:
        fitted.update(worker.derive(point, merged.get(point.name, b""), fitted))
    return fitted


def statistics_name(step: FieldStep) -> str:
    """The name of a fitted featurization's accumulator among the accumulators of fit points, which are named SPLIT-INDEX."""
    return f"@{step.name}"


def derive_fields(worker: Worker, merged: Mapping[str, bytes]) -> dict[str, Any]:
    """The statistics of every fitted featurization, from the merged accumulators or from the recipe. Raises DataError for an empty fit."""
    found: dict[str, Any] = {}
    for step in worker.plan.fitted_fields():
        if step.pinned is not None:
            found[step.name] = step.pinned
            continue
        bound = worker.plugin.bind(step, FittedFeaturizeOp)
        with worker.plugin.named():
            partial = bound.call(bound.op.partial, bound.params)
        if data := merged.get(statistics_name(step), b""):
            partial = type(partial).loads(data)
        if not partial.count:
            raise DataError(
                f"no record of split {step.fit_source!r} has a value to fit {step.name} on",
                code="empty-fit",
                at=step.fit_source or "",
                value=0,
                rule="a fitted statistic needs at least one record of its fit_source",
                remedy="check the split ratios, the filters and the field",
            )
        with worker.plugin.named():
            found[step.name] = bound.call(bound.op.fit, partial, bound.params)
    return found


def derive_before_writing(worker: Worker, points: Sequence[FitPoint], merged: Mapping[str, bytes]) -> Fitted:
    """All statistics that a row needs: of the fit points with a pass of their own, and of fitted featurizations."""
    return {**derive_all(worker, points, merged), **derive_fields(worker, merged)}
