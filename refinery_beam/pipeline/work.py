"""What a worker does to one record: read, check, decode, transform, encode. Plain functions over a Plan; no Beam, no shared state.

Pixels live only here and in `shard`: they are born in `Worker.pixels` and die in the bytes that `Worker.prepare` returns to
the shard writer in
the same process.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from refinery_beam.errors import DataError, display
from refinery_beam.exact import ChannelHistogram, ExactError, Partial
from refinery_beam.pipeline.beside import Beside, Extras
from refinery_beam.pipeline.columns import FieldMismatch, coerce
from refinery_beam.pipeline.contracts import Violation
from refinery_beam.pipeline.lineage import Refused, augmented, generated, is_first_variant, source_record_id, stands_for_input
from refinery_beam.pipeline.sinks import BadPath
from refinery_beam.plan.nodes import Chain, FitPoint, Plan, Step
from refinery_beam.plan.variants import AUGMENTATION, SOURCE_RECORD
from refinery_beam.plugins.base import TAGS_FIELD, ArrayType
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.image_classification.decode import BadImage, DecodeLimits, DecodePolicy, decode, looks_whole, read_header
from refinery_beam.plugins.image_classification.encode import EncodeError, encode
from refinery_beam.plugins.image_classification.pixels import as_array, channels
from refinery_beam.records import Ref, read_fields, read_tags
from refinery_beam.rows import Pixels, SourceBytes, row_digest

Fitted = Mapping[str, Mapping[str, Any]]
"""Fitted statistics by step name."""


class BadRecord(Exception):
    """One record cannot come out: a stable reason word, and a detail without machine paths."""

    def __init__(self, reason: str, detail: str, *, stage: str, op: str = "") -> None:
        super().__init__(reason, detail, stage, op)
        self.reason, self.detail, self.stage, self.op = reason, detail, stage, op


@dataclass(frozen=True, slots=True)
class Prepared:
    """One finished row: stored field values in schema order, its digest, and the values its split's riding fit points accumulate."""

    ref: Ref
    values: tuple[Any, ...]
    digest: bytes
    size: int
    partials: tuple[tuple[str, Partial], ...] = field(default=())
    extras: Extras | None = None


class Worker:
    """A plan with its ops resolved. Cheap to make, safe to use from several threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.plugin = find_plugin(plan.plugin)
        self._policy = DecodePolicy(**plan.decode)
        self._limits = DecodeLimits(
            max_pixels=plan.limits["max_pixels"], max_bytes=plan.limits["max_bytes"], formats=tuple(plan.limits["formats"])
        )
        self._child_fields = frozenset(plan.child_fields)
        self.beside = Beside(plan, self.plugin)
        self._riding = {s: tuple(p for p in plan.fits if p.riding and p.split == s) for s in plan.chains}

    @cached_property
    def _params(self) -> dict[str, Any]:
        steps = {s.name: s for c in self.plan.chains.values() for s in c.steps}
        found = {name: self.plugin.ops[s.op].spec.params.model_validate(dict(s.params)) for name, s in steps.items()}
        return found | {f.name: self.plugin.ops[f.op].spec.params.model_validate(dict(f.params)) for f in self.plan.fields}

    # -- bytes and pixels -------------------------------------------------------------------------------------------------------

    def location(self, ref: Ref) -> str:
        return os.path.join(self.plan.sources[ref.source].root, *ref.path.split("/"))

    def read(self, ref: Ref) -> bytes:
        """The file's bytes, proved to be those the index saw. Raises BadRecord too_large_file, unreadable or changed_during_run."""
        if ref.size > self._limits.max_bytes:
            raise BadRecord("too_large_file", f"{ref.size} bytes, the limit is {self._limits.max_bytes}", stage="Input")
        try:
            with open(self.location(ref), "rb") as file:
                data = file.read()
        except OSError as error:
            raise BadRecord("unreadable", error.strerror or type(error).__name__, stage="Input") from error
        if hashlib.sha256(data).digest() != ref.digest:
            raise BadRecord("changed_during_run", "its bytes are not those that were listed when the run began", stage="Input")
        return data

    def decode(self, data: bytes, chain: Chain) -> Any:
        """A Pillow image by the plan's decode policy. Raises BadRecord with the decoder's reason word."""
        try:
            return decode(data, policy=self._policy, limits=self._limits, target=self._draft_target(chain))
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error

    def header(self, data: bytes) -> tuple[int, int]:
        """The upright (width, height) a file states; nothing is decoded. Raises BadRecord with the decoder's reason word."""
        try:
            return read_header(data, policy=self._policy, limits=self._limits)
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error

    def signature(self, data: bytes, op: Any, *, name: str) -> int:
        """The signature a duplicates op gives a file's pixels, decoded whole whatever ``decode.draft`` says. Raises BadRecord."""
        try:
            pixels = decode(data, policy=replace(self._policy, draft=False), limits=self._limits)
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error
        try:
            return int(op.signature(pixels))
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Filters", op=name) from error

    def admitted(self, data: bytes, chain: Chain) -> Any:
        """Decoded pixels that no input contract sends to the ledger. Raises BadRecord."""
        pixels = self.decode(data, chain)
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
                pixels = op.apply(pixels, self._params[step.name], fitted.get(step.name, step.pinned), step.out)
            except BadImage as error:
                raise BadRecord(error.reason, error.detail, stage="Transformations", op=step.name) from error
        return pixels

    def _draft_target(self, chain: Chain) -> tuple[int, int] | None:
        if not self._policy.draft or not chain.steps:
            return None
        shape = chain.steps[0].out.shape
        if shape[0] is None or shape[1] is None:
            return None
        return (shape[1], shape[0])

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
        """The partial of one record at a fit point that has a pass of its own."""
        chain = self.plan.fit_chain(point)
        pixels = self.run(self.born(ref, self.admitted(self.read(ref), chain)), chain.steps[: point.index], fitted)
        planes = _planes(chain, point.index)
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
        """The finished row of one reference. Raises BadRecord."""
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
        data = b""
        array = None
        partials: list[tuple[str, Partial]] = []
        if plan.decodes or plan.output.image_field is not None:
            data = self.read(ref)
        extras = Extras()
        if plan.decodes:
            # Of every split, even where only train's pixels are asked for: what counts as a bad record must not depend on the split.
            decoded = self.admitted(data, chain)
            if stands_for_input(self.plugin, ref):
                self.beside.arrived(ref, decoded, extras)
            pixels = self.run(self.born(ref, decoded), chain.eager, fitted)
            if is_first_variant(self.plugin, ref):
                for point in self._riding[ref.split]:
                    partials.append((point.name, self._accumulate(point, pixels)))
            varied, known[AUGMENTATION] = self.vary(ref, pixels)
            stored = self._checked(as_array(varied), chain)
            array = stored if known[AUGMENTATION] is None else as_array(pixels)
            for step in self._pixel_fields(ref.split):
                op: Any = self.plugin.ops[step.op]
                inputs = [array if name == "image" else known.get(name) for name in step.inputs]
                known[step.field] = op.featurize(inputs, self._params[step.name])
            array = stored
        row = self._row(ref, known, data=data, array=array, partials=tuple(partials))
        try:
            kept = {n: v for (n, _), v in zip(plan.output.fields, row.values, strict=True) if n != plan.output.image_field}
            self.beside.finished(ref, known | kept, array, chain, extras)
        except BadPath as error:
            raise BadRecord("sink_path", str(error), stage="Sinks") from error
        return replace(row, extras=extras)

    def _row(self, ref: Ref, known: Mapping[str, Any], *, data: bytes, array: Any, partials: tuple[tuple[str, Partial], ...]) -> Prepared:
        output = self.plan.output
        values: list[Any] = []
        canonical: list[tuple[str, str, Any]] = []
        size = 0
        for name, declared in output.fields:
            if name == output.image_field:
                value, proof = self._image(ref, data, array)
                size += len(value) if output.encoding == "tensor" else len(value["bytes"])
                canonical.append((name, declared.dtype, proof))
            else:
                optional = (
                    name == "partition"
                    or name in self._child_fields
                    or (name == self.plan.label_field and ref.partition in self.plan.unlabeled)
                )
                try:
                    value = coerce(name, known.get(name), declared, optional=optional)
                except FieldMismatch as error:
                    raise BadRecord(f"schema:{name}", str(error), stage="Output") from error
                if name != "record_id":
                    canonical.append((name, declared.dtype, value))
            values.append(value)
        return Prepared(ref=ref, values=tuple(values), digest=row_digest(ref.record_id, canonical), size=size, partials=partials)

    def _image(self, ref: Ref, data: bytes, array: Any) -> tuple[Any, Pixels | SourceBytes]:
        """The stored image value, and what its digest covers: the pixels before encoding (for `source`: the file's own digest)."""
        output = self.plan.output
        if output.encoding == "source":
            self._check_source(ref, data)
            return {"bytes": data, "path": ref.path}, SourceBytes(ref.digest)
        raw = array.tobytes()
        proof = Pixels(str(array.dtype), tuple(int(n) for n in array.shape), raw)
        if output.encoding == "tensor":
            return raw, proof
        extension = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}[output.encoding]
        name = os.path.splitext(ref.path)[0] + extension
        try:
            content = encode(array, output.encoding, quality=output.quality)
        except EncodeError as error:
            raise BadRecord("unsupported_mode", str(error), stage="Output", op="encode") from error
        except (OSError, ValueError) as error:
            # The codec's own limits: JPEG has none of more than 65,535 pixels a side.
            detail = f"{output.encoding} cannot hold {array.dtype}{list(array.shape)}: {error}"
            raise BadRecord("wrong_size", detail, stage="Output", op="encode") from error
        return {"bytes": content, "path": name}, proof

    def _checked(self, array: Any, chain: Chain) -> Any:
        """The array, proved to have the stored type. A grey image gains the trailing 1 of a schema whose images have a channel axis."""
        want = chain.stored
        if len(want.shape) == array.ndim + 1 and want.shape[-1] in (1, None):
            array = array.reshape((*array.shape, 1))
        same = array.ndim == len(want.shape) and all(w is None or w == n for w, n in zip(want.shape, array.shape, strict=True))
        if not same or str(array.dtype) != want.dtype:
            raise BadRecord("schema:image", f"the image is {array.dtype}{list(array.shape)}, Output declares {want}", stage="Output")
        return array

    def _check_source(self, ref: Ref, data: bytes) -> None:
        """Untouched source bytes are an image within the limits, whole, and of a declared size. Header and structure are enough to
        know: only a file that looks cut is decoded for it.
        """
        chain = self.plan.chains[ref.split]
        want = chain.stored.shape
        try:
            width, height = read_header(data, policy=self._policy, limits=self._limits)
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error
        if (want[0] not in (None, height)) or (want[1] not in (None, width)):
            raise BadRecord("schema:image", f"the image is {height} x {width}, Output declares {chain.stored}", stage="Output")
        if not self.plan.decodes and not looks_whole(data):
            self.decode(data, chain)

    def _pixel_fields(self, split: str) -> tuple[Any, ...]:
        return tuple(f for f in self.plan.fields if f.needs_pixels and split in f.splits)


def describe(ref: Ref, error: BadRecord, source_root: str) -> DataError:
    """A bad record as the error that stops a run under ``on_error: fail``: it names the file, the reason and what to do."""
    remedies = {
        "changed_during_run": "run again when nothing writes to the source",
        "unreadable": "check the file's permissions",
    }
    fix = remedies.get(error.reason, "mend or remove the file")
    who = display(ref.record_id)
    if error.reason.startswith("schema:"):
        fix = "correct Output.record_schema or the operations of the split"
        who += f" of split {ref.split}"
    return DataError(
        f"{error.reason}: {error.detail} (record {who})",
        code=error.reason,
        place=display(os.path.join(source_root, *ref.path.split("/"))),
        value=error.detail,
        rule="every record is readable and has the declared schema (Input.on_error: fail)",
        remedy=fix + ", or set Input.on_error: quarantine with Input.max_bad_fraction to go on without such records",
    )


def add_partial(total: Partial, other: Partial, point: FitPoint, *, record_id: str = "") -> None:
    """Merge `other` into `total`, both of one fit point. Raises DataError where their images have different numbers of channels."""
    try:
        total.merge(other)
    except ExactError as error:
        raise mixed_channels(point, str(error), record_id=record_id) from error


def mixed_channels(point: FitPoint, detail: str, *, record_id: str = "") -> DataError:
    """Grey, colour and see-through images met in one statistic: no rule says which of them is wrong."""
    who = f", met at {display(record_id)}" if record_id else ""
    return DataError(
        f"{', '.join(point.steps)} cannot be fitted on images of different numbers of channels: {detail}{who}",
        code="mixed-channels",
        place=display(record_id) or "Transformations",
        value=", ".join(point.steps),
        rule="a statistic has one value a channel, so all images it is fitted on have the same channels",
        remedy="set Input.decode.mode to RGB or L, put to_rgb or to_grayscale first, or declare the channels in Output.record_schema.image",
    )


def _planes(chain: Chain, index: int) -> int | None:
    """How many channels the values before a step have: inferred, else what Output declares behind steps that keep the channels."""
    here = (chain.steps[index - 1].out if index else chain.decoded).shape
    if len(here) == 3 and here[2] is None and all(s.elementwise for s in chain.steps[index : len(chain.eager)]):
        here = chain.stored.shape
    return 1 if len(here) == 2 else here[2]


def merge_bytes(kind: type[Partial], parts: Sequence[bytes]) -> bytes:
    """The merged accumulator of several; b'' stands for an empty one."""
    merged: Partial | None = None
    for part in parts:
        if not part:
            continue
        loaded = kind.loads(part)
        if merged is None:
            merged = loaded
        else:
            merged.merge(loaded)
    return merged.dumps() if merged is not None else b""


def label_counts(rows: Mapping[str | None, int]) -> str:
    """Canonical JSON of records by label; the unlabeled ones under ''."""
    return json.dumps({k or "": v for k, v in sorted(rows.items(), key=lambda kv: kv[0] or "")}, ensure_ascii=False, separators=(",", ":"))
