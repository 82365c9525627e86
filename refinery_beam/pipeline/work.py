"""What a worker does to one record: read, check, decode, transform, encode. Plain functions over a Plan; no Beam, no shared state.

Pixels live only here, in `source` and in `row` beside it, and in `shard`: they are born in `SourceFiles.decode` and die in the bytes that
`Worker.prepare` returns to the shard writer in the same process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from refinery_beam.errors import DataError
from refinery_beam.exact import ChannelHistogram, ExactError, Partial
from refinery_beam.pipeline.bad import BadRecord, calling, named
from refinery_beam.pipeline.beside import Beside, Extras
from refinery_beam.pipeline.contracts import Violation
from refinery_beam.pipeline.lineage import Refused, augmented, generated, is_first_variant, source_record_id, stands_for_input
from refinery_beam.pipeline.partials import planes_before
from refinery_beam.pipeline.row import Prepared, RowMaker
from refinery_beam.pipeline.sinks import BadPath
from refinery_beam.pipeline.source import SourceFiles
from refinery_beam.plan.nodes import Chain, FieldStep, FitPoint, Plan, Step
from refinery_beam.plan.variants import AUGMENTATION, SOURCE_RECORD
from refinery_beam.plugins.base import TAGS_FIELD, ArrayType
from refinery_beam.plugins.discovery import plugin_of_plan
from refinery_beam.plugins.image_classification.decode import BadImage
from refinery_beam.plugins.image_classification.pixels import as_array, channels
from refinery_beam.records import Ref, read_fields, read_tags

Fitted = Mapping[str, Mapping[str, Any]]
"""Fitted statistics by step name."""


class Worker:
    """A plan with its ops resolved. Cheap to make, safe to use from several threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.plugin = plugin_of_plan(plan)
        self.files = SourceFiles(plan, self.plugin)
        self._rows = RowMaker(plan, self.files)
        self.beside = Beside(plan, self.plugin)
        self._riding = {s: tuple(p for p in plan.fits if p.riding and p.split == s) for s in plan.chains}

    @cached_property
    def _params(self) -> dict[str, Any]:
        steps = {s.name: s for c in self.plan.chains.values() for s in c.steps}
        found = {name: self.plugin.ops[s.op].spec.params.model_validate(dict(s.params)) for name, s in steps.items()}
        return found | {f.name: self.plugin.ops[f.op].spec.params.model_validate(dict(f.params)) for f in self.plan.fields}

    # -- pixels -----------------------------------------------------------------------------------------------------------------

    def admitted(self, ref: Ref, data: bytes, chain: Chain) -> Any:
        """Decoded pixels that no input contract sends to the ledger. Raises BadRecord."""
        pixels = self.files.decode(data, chain, ref.source)
        try:
            self.beside.admit(pixels)
        except Violation as error:
            raise BadRecord(error.reason, error.detail, stage="InputContracts", op=error.op) from error
        return pixels

    def born(self, ref: Ref, decoded: Any) -> Any:
        """The pixels of a record before its transformations: what its lineage made of its decoded file. Raises BadRecord."""
        try:
            return generated(self.plugin, ref, decoded)
        except Refused as error:
            raise BadRecord(error.reason, error.detail, stage=error.section, op=error.step) from error

    def vary(self, ref: Ref, pixels: Any) -> tuple[Any, str | None]:
        """The pixels under the augmentations of the record's lineage, and what was drawn for them. Raises BadRecord."""
        try:
            return augmented(self.plugin, ref, pixels)
        except Refused as error:
            raise BadRecord(error.reason, error.detail, stage=error.section, op=error.step) from error

    def run(self, pixels: Any, steps: Sequence[Step], fitted: Fitted) -> Any:
        """The pixels after `steps`. Raises BadRecord for a record an op cannot take (too small to crop, say)."""
        for step in steps:
            op: Any = self.plugin.ops[step.op]
            try:
                with calling(step.name, step.op):
                    pixels = op.apply(pixels, self._params[step.name], fitted.get(step.name, step.pinned), step.out)
            except BadImage as error:
                raise BadRecord(error.reason, error.detail, stage="Transformations", op=step.name) from error
        return pixels

    # -- fitting ----------------------------------------------------------------------------------------------------------------

    def partial(self, point: FitPoint) -> Partial:
        """An empty accumulator for a fit point: an integer histogram on 8-bit values, else what its op asks for."""
        chain = self.plan.fit_chain(point)
        before = self._type_at(chain, point.index)
        if before.dtype == "uint8":
            return ChannelHistogram()
        step = chain.steps[point.index]
        op: Any = self.plugin.ops[step.op]
        accumulator: Partial = op.partial(before, self._params[step.name])
        return accumulator

    def observe(self, point: FitPoint, ref: Ref, fitted: Fitted) -> Partial:
        """The partial of one record at a fit point that has a pass of its own. Raises BadRecord, PluginError."""
        with named(ref.record_id, self.plugin):
            return self._observe(point, ref, fitted)

    def _observe(self, point: FitPoint, ref: Ref, fitted: Fitted) -> Partial:
        chain = self.plan.fit_chain(point)
        pixels = self.run(self.born(ref, self.admitted(ref, self.files.read(ref), chain)), chain.steps[: point.index], fitted)
        planes = planes_before(chain, point.index)
        if planes not in (None, channels(pixels)):
            raise BadRecord("schema:image", f"the image has {channels(pixels)} channels, Output declares {chain.stored}", stage="Output")
        return self._accumulate(point, pixels)

    def _accumulate(self, point: FitPoint, pixels: Any) -> Partial:
        partial = self.partial(point)
        try:
            partial.add(pixels)
        except ExactError as error:
            raise BadRecord("unsupported_mode", str(error), stage="Transformations", op=point.steps[0]) from error
        if partial.nonfinite:
            raise BadRecord("not_finite", f"{partial.nonfinite} values are NaN or infinite", stage="Transformations", op=point.steps[0])
        return partial

    def derive(self, point: FitPoint, merged: bytes, fitted: Fitted) -> dict[str, dict[str, Any]]:
        """The fitted statistics of every step of a point from its merged accumulator; the one place where they become floats."""
        chain = self.plan.fit_chain(point)
        partial = type(self.partial(point)).loads(merged) if merged else self.partial(point)
        if not partial.count:
            raise DataError(
                f"no record of split {point.split!r} is left to fit {', '.join(point.steps)} on",
                code="empty-fit",
                place=point.split,
                value=0,
                rule="a fitted statistic needs at least one readable record of its fit_source",
                remedy="check the split ratios, the filters and the ledger",
            )
        found: dict[str, dict[str, Any]] = {}
        for index in range(point.index, len(chain.steps)):
            step = chain.steps[index]
            if step.name not in point.steps:
                continue
            op: Any = self.plugin.ops[step.op]
            seen: Partial = partial
            if index > point.index:
                between = chain.steps[point.index : index]
                known = {**fitted, **found}
                assert isinstance(partial, ChannelHistogram)
                seen = partial.through(as_array(self.run(partial.levels(), between, known)))
            found[step.name] = op.fit(seen, self._params[step.name])
        return found

    def _type_at(self, chain: Chain, index: int) -> ArrayType:
        return chain.steps[index - 1].out if index else chain.decoded

    # -- rows -------------------------------------------------------------------------------------------------------------------

    def prepare(self, ref: Ref, fitted: Fitted) -> Prepared:
        """The finished row of one reference. Raises BadRecord, PluginError."""
        with named(ref.record_id, self.plugin):
            return self._prepare(ref, fitted)

    def _prepare(self, ref: Ref, fitted: Fitted) -> Prepared:
        plan = self.plan
        chain = plan.chains[ref.split]
        known: dict[str, Any] = {
            "record_id": ref.record_id,
            "path": ref.path,
            "partition": ref.partition or None,
            **read_fields(ref),
            TAGS_FIELD: read_tags(ref),
            plan.label_field: ref.label,
        }
        if ref.lineage:
            known[SOURCE_RECORD] = source_record_id(ref)
        for step in plan.fields:
            if step.fitted and ref.split in step.splits:
                known[step.field] = self.encode(step, [known.get(name) for name in step.inputs], fitted)
        data = b""
        array = None
        partials: list[tuple[str, Partial]] = []
        if plan.decodes or plan.output.image_field is not None:
            data = self.files.read(ref)
        extras = Extras()
        if plan.decodes:
            # Of every split, even where only train's pixels are asked for: what counts as a bad record must not depend on the split.
            decoded = self.admitted(ref, data, chain)
            if stands_for_input(self.plugin, ref):
                self.beside.arrived(ref, decoded, extras)
            pixels = self.run(self.born(ref, decoded), chain.eager, fitted)
            if is_first_variant(self.plugin, ref):
                for point in self._riding[ref.split]:
                    partials.append((point.name, self._accumulate(point, pixels)))
            varied, known[AUGMENTATION] = self.vary(ref, pixels)
            stored = self._rows.checked(as_array(varied), chain)
            array = stored if known[AUGMENTATION] is None else as_array(pixels)
            for step in self._pixel_fields(ref.split):
                op: Any = self.plugin.ops[step.op]
                inputs = [array if name == "image" else known.get(name) for name in step.inputs]
                with calling(step.name, step.op):
                    known[step.field] = op.featurize(inputs, self._params[step.name])
            array = stored
        row = self._rows.row(ref, known, data=data, array=array, partials=tuple(partials))
        try:
            kept = {n: v for (n, _), v in zip(plan.output.fields, row.values, strict=True) if n != plan.output.image_field}
            self.beside.finished(ref, known | kept, array, chain, extras)
        except BadPath as error:
            raise BadRecord("sink_path", str(error), stage="Sinks") from error
        return replace(row, extras=extras)

    def encode(self, step: FieldStep, inputs: Sequence[Any], fitted: Fitted) -> Any:
        """The value of a fitted featurization. Raises BadRecord for a value it cannot take."""
        op: Any = self.plugin.ops[step.op]
        try:
            with calling(step.name, step.op):
                return op.featurize_fitted(inputs, self._params[step.name], fitted[step.name])
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Featurizations", op=step.name) from error

    def _pixel_fields(self, split: str) -> tuple[Any, ...]:
        return tuple(f for f in self.plan.fields if f.needs_pixels and split in f.splits)
