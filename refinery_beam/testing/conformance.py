"""The conformance kit: checks that an op keeps the rules. Plugin authors run it in their tests; the built-in ops pass it.

    from refinery_beam.testing.conformance import check_op

    def test_my_op_conforms():
        check_op(MyOp(), {"size": 3})

An op that keeps these rules gives the same bytes on every engine, whatever the bundles, threads, retries and machines. For a broken
rule the kit raises `NotConforming`, which says what the kit did and what came out; its ``failure`` is one of the words `FAILURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from refinery_beam.identity import canonical_bytes, digest
from refinery_beam.plugins.base import (
    PROTOCOLS,
    ArrayType,
    AssertionSpec,
    AugmentOp,
    ClassSampleOp,
    DatasetAssertion,
    FeaturizeOp,
    FieldType,
    FilterOp,
    FittedFeaturizeOp,
    FittedOp,
    GenerateOp,
    HeaderFilterOp,
    OpSpec,
    OpTypeError,
    PredicateOp,
    RecordAssertion,
    SampleOp,
    TransformOp,
    misfit,
)
from refinery_beam.testing.conform_calls import (
    FAILURES,
    Apply,
    Ask,
    Augment,
    Draw,
    Featurize,
    Generate,
    Keep,
    Key,
    NotConforming,
    Offence,
    check_calls,
)
from refinery_beam.testing.conform_files import check_encoding, check_loader
from refinery_beam.testing.conform_values import (
    copied,
    default_images,
    field_fits,
    field_type,
    fits,
    loosened,
    plain,
    print_of,
    type_of,
    whole_version,
)
from refinery_beam.testing.picture_view import SmallView

__all__ = ["FAILURES", "NotConforming", "check_assertion", "check_encoding", "check_loader", "check_op", "default_images"]


def check_op(op: Any, params: Mapping[str, Any] | None = None, samples: Sequence[Any] | None = None) -> tuple[str, ...]:
    """Check an op; gives the names of the rules checked, raises `NotConforming` for the first broken one.

    `params` are as a recipe would write them. `samples` are images or arrays for a transformation, a generation or an augmentation, lists
    of input values for a featurization, (label, fields) pairs for a filter; by default drawn images of two sizes, or labels. A fitted op
    is fitted on the samples; a picture is drawn of a small dataset. Takes about a second: one of the checks starts a process.

    >>> from refinery_beam.plugins.image_classification.ops.geometry import CenterCrop
    >>> "thread-dependent" in check_op(CenterCrop(), {"size": 8})
    True
    """
    spec = _check_spec(op)
    try:
        model = spec.params.model_validate(dict(params or {}))
    except ValidationError as error:
        raise NotConforming("bad-params", f"{spec.name} does not take {dict(params or {})}: {error}") from error
    done = ["not-an-op", "unversioned", "bad-params"]
    _check_pickle(op, model, name=spec.name)
    done.append("unpicklable")
    calls: list[Any]
    # By section, since a protocol only checks the names of methods, and an augmentation has all methods of a transformation.
    if spec.section == "Transformations":
        given = list(samples) if samples is not None else default_images()
        fitted, outs = _prepared_transform(op, model, given)
        if fitted is not None and isinstance(op, FittedOp) and op.pinned(model) is None:
            done.append("inexact-fit")
        calls = [Apply(sample, fitted, out) for sample, out in zip(given, outs, strict=True)]
    elif spec.section == "Featurizations":
        given = [list(s) for s in samples] if samples is not None else _default_inputs(op)
        fitted = _fitted_field(op, model, given)
        if fitted is not None:
            done.append("inexact-fit")
        _check_field_types(op, model, given, fitted)
        calls = [Featurize(sample, fitted) for sample in given]
    elif spec.section == "Generation":
        calls = _generations(op, model, list(samples) if samples is not None else default_images())
    elif spec.section == "Augmentations":
        calls = _augmentations(op, model, list(samples) if samples is not None else default_images())
    elif spec.section == "Visualizations":
        calls = [Draw(SmallView(default_images()))]
    else:
        calls = _filter_calls(op, model, samples)
        done.append("bad-quota")
    done.append("wrong-infer")
    return (*done, *check_calls(op, model, calls))


def check_assertion(assertion: Any, params: Mapping[str, Any] | None = None, samples: Sequence[Any] | None = None) -> tuple[str, ...]:
    """Check a kind of assertion. `samples` are values for a record assertion, (split, values) pairs for one of a dataset.

    >>> from refinery_beam.plugins.assertions import STANDARD
    >>> "impure" in check_assertion(STANDARD["value_range"], {"min": 0}, [1, -1, 2.5])
    True
    """
    spec = getattr(assertion, "spec", None)
    if not isinstance(spec, AssertionSpec) or not isinstance(assertion, RecordAssertion | DatasetAssertion):
        raise NotConforming("not-an-op", f"{type(assertion).__name__} is neither a RecordAssertion nor a DatasetAssertion")
    if not whole_version(spec.version):
        raise NotConforming("unversioned", f"{spec.kind} has version {spec.version!r}, not a whole number from 1 on")
    try:
        model = spec.params.model_validate(dict(params or {}))
    except ValidationError as error:
        raise NotConforming("bad-params", f"{spec.kind} does not take {dict(params or {})}: {error}") from error
    _check_pickle(assertion, model, name=spec.kind)
    calls: list[Any]
    if isinstance(assertion, DatasetAssertion):
        calls = [Key(split, values) for split, values in (samples if samples is not None else [("train", ["cat"]), ("test", ["dog"])])]
        for call in calls:
            key = call(copied(assertion), model)
            if key is not None and not isinstance(key, list):
                raise NotConforming("wrong-infer", f"key gives {type(key).__name__}, not a list of plain values or None")
    else:
        usual = ["5.12", "-3", "300"] if spec.fact else ["cat", 3, 2.5, True]
        calls = [Offence(value) for value in (samples if samples is not None else usual)]
        for call in calls:
            said = call(copied(assertion), model)
            if not isinstance(said, str):
                raise NotConforming("wrong-infer", f"offence gives {type(said).__name__}, not a few words or ''")
    return ("not-an-op", "unversioned", "bad-params", "unpicklable", "wrong-infer", *check_calls(assertion, model, calls, name=spec.kind))


def _check_spec(op: Any) -> OpSpec:
    spec = getattr(op, "spec", None)
    if not isinstance(spec, OpSpec):
        raise NotConforming("not-an-op", f"{type(op).__name__} has no OpSpec called spec")
    if not whole_version(spec.version):
        raise NotConforming("unversioned", f"{spec.name} has version {spec.version!r}, not a whole number from 1 on")
    if spec.section not in PROTOCOLS:
        raise NotConforming("not-an-op", f"{spec.name} is of no section: {spec.section!r}")
    if lacks := misfit(op):
        raise NotConforming("not-an-op", f"{spec.name} lacks a method of {lacks}")
    return spec


def _check_pickle(op: Any, model: Any, *, name: str) -> None:
    try:
        copied(op)
        copied(model)
    except Exception as error:
        raise NotConforming("unpicklable", f"{name} or its parameters: {type(error).__name__}: {error}") from error


def _prepared_transform(op: TransformOp, model: Any, given: Sequence[Any]) -> tuple[Any, list[ArrayType]]:
    """The fitted statistics (None for an op that needs none) and the inferred type of every sample; checks inference too."""
    types = [type_of(sample) for sample in given]
    outs = [_inferred(op, model, before) for before in types]
    fitted: Any = None
    if isinstance(op, FittedOp):
        fitted = op.pinned(model)
        if fitted is None:
            fitted = _fit_exactly(op, model, [(t, s) for t, s in zip(types, given, strict=True)])
    loose = {loosened(before) for before in types}
    for sample, before, out in zip(given, types, outs, strict=True):
        result = type_of(copied(op).apply(copied(sample), model, fitted, out))
        if not fits(result, out):
            raise NotConforming("wrong-infer", f"infer says {out} for {before}, apply gives {result}")
    for before in sorted(loose, key=str):
        wide = _inferred(op, model, before)
        for out in outs:
            if out.dtype == wide.dtype and not fits(out, wide):
                raise NotConforming("wrong-infer", f"infer says {wide} for {before}, but {out} for an image of that kind")
    return fitted, outs


def _inferred(op: Any, model: Any, before: ArrayType) -> ArrayType:
    try:
        out = op.infer(before, model)
    except OpTypeError as error:
        raise NotConforming("wrong-infer", f"infer refuses {before}: {error}; pass samples that the op takes") from error
    if not isinstance(out, ArrayType):
        raise NotConforming("wrong-infer", f"infer gives {type(out).__name__}, not an ArrayType")
    return out


def _fit_exactly(op: FittedOp, model: Any, given: Sequence[tuple[ArrayType, Any]]) -> Any:
    def total(groups: Sequence[Sequence[tuple[ArrayType, Any]]]) -> Any:
        merged = op.partial(given[0][0], model)
        for group in groups:
            part = op.partial(given[0][0], model)
            for _, sample in group:
                part.add(sample)
            merged.merge(type(part).loads(part.dumps()))
        return merged

    return _same_fit(op, model, given, total)


def _fitted_field(op: FeaturizeOp, model: Any, given: Sequence[list[Any]]) -> Any:
    if not isinstance(op, FittedFeaturizeOp):
        return None
    pinned = op.pinned(model)
    if pinned is not None:
        return pinned
    keys = [digest("conformance", k) for k in range(len(given))]

    def total(groups: Sequence[Sequence[tuple[bytes, list[Any]]]]) -> Any:
        merged = op.partial(model)
        for group in groups:
            part = op.partial(model)
            for key, inputs in group:
                part.observe(inputs, key)
            merged.merge(type(part).loads(part.dumps()))
        return merged

    return _same_fit(op, model, list(zip(keys, given, strict=True)), total)


def _same_fit(op: Any, model: Any, given: Sequence[Any], total: Callable[[Sequence[Sequence[Any]]], Any]) -> Any:
    ways = ([given], [[g] for g in given], [[g] for g in reversed(given)], [given[1::2], given[::2]])
    found = {(t.dumps(), print_of(op.fit(t, model))) for t in (total(way) for way in ways)}
    if len(found) > 1:
        raise NotConforming("inexact-fit", f"{op.spec.name} gives other statistics when the same records are grouped otherwise")
    fitted = op.fit(total([given]), model)
    try:
        canonical_bytes(fitted)
    except (TypeError, ValueError) as error:
        raise NotConforming("inexact-fit", f"the statistics of {op.spec.name} are no JSON: {error}") from error
    return fitted


def _check_field_types(op: FeaturizeOp, model: Any, given: Sequence[list[Any]], fitted: Any) -> None:
    for inputs in given:
        kinds = [field_type(value) for value in inputs]
        try:
            declared = op.infer(kinds, model)
        except OpTypeError as error:
            raise NotConforming("wrong-infer", f"infer refuses {kinds}: {error}; pass samples that the op takes") from error
        value = Featurize(inputs, fitted)(copied(op), model)
        if hasattr(value, "dtype"):
            have = FieldType(str(value.dtype), tuple(value.shape))
        else:
            try:
                canonical_bytes(value)
            except (TypeError, ValueError) as error:
                raise NotConforming("wrong-infer", f"{op.spec.name} gives {value!r}, which is no JSON value: {error}") from error
            have = field_type(value)
        if not field_fits(have, declared):
            raise NotConforming("wrong-infer", f"infer says {declared}, featurize gives {have}: {str(value)[:80]}")


def _generations(op: GenerateOp, model: Any, given: Sequence[Any]) -> list[Any]:
    """A call for each generated record of each sample. Checks that names differ, contents have the inferred type and tags are declared."""
    if op.kind == "balance":
        for count, largest in ((1, 1), (1, 10), (7, 10)):
            extra = op.extra(count, largest, model)
            if not isinstance(extra, int) or isinstance(extra, bool) or extra < 0:
                raise NotConforming("bad-quota", f"extra({count}, {largest}) is {extra!r}, not a whole number from 0 on")
        return [Generate(sample, "1", {}) for sample in given]
    records = op.generated(model)
    names = [record.name for record in records]
    if len(set(names)) != len(names) or any(not name or "#" in name for name in names):
        raise NotConforming("wrong-infer", f"variants are called {names}: each needs a name of its own, without '#'")
    words = set(op.fields(model))
    for record in records:
        try:
            canonical_bytes([record.params, record.tags])
        except (TypeError, ValueError) as error:
            raise NotConforming("wrong-infer", f"the variant {record.name} holds what is no JSON: {error}") from error
    for word in words:
        op.field_type(word)
    calls = [Generate(sample, record.name, record.params) for sample in given for record in records]
    for call in calls:
        _check_result(op, model, call.sample, op.apply(copied(call.sample), call.made, call.stream()))
    return calls


def _augmentations(op: AugmentOp, model: Any, given: Sequence[Any]) -> list[Any]:
    """Calls for three replicas of each sample. Checks that sampled parameters are JSON, and content is of the inferred type."""
    calls = [Augment(plain(sample), replica) for sample in given for replica in range(3)]
    for call in calls:
        sampled = op.draw(call.stream(), model, type_of(call.sample))
        try:
            canonical_bytes(sampled)
        except (TypeError, ValueError) as error:
            raise NotConforming("wrong-infer", f"draw gives {sampled!r}, which is no JSON: {error}") from error
        _check_result(op, model, call.sample, op.apply(copied(call.sample), sampled, model))
    return calls


def _check_result(op: Any, model: Any, sample: Any, made: Any) -> None:
    before = type_of(sample)
    out = _inferred(op, model, before)
    if not fits(type_of(made), out):
        raise NotConforming("wrong-infer", f"infer says {out} for {before}, apply gives {type_of(made)}")


def _filter_calls(op: FilterOp, model: Any, samples: Sequence[Any] | None) -> list[Any]:
    """The calls by which a filter decides. Checks that quotas are whole numbers from 0 to the count of records."""
    counts = (0, 1, 2, 10, 1000)
    if isinstance(op, PredicateOp) and op.kind == "predicate":
        return [Keep(sample) for sample in (samples if samples is not None else [("cat", {"n": 1}), ("dog", {"n": 2}), (None, {})])]
    if isinstance(op, SampleOp) and op.kind == "sample":
        for records in counts:
            _check_quota(f"quota({records})", op.quota(records, model), records)
        return [Ask("quota", records) for records in counts]
    if isinstance(op, ClassSampleOp):
        for records in counts:
            _check_quota(f"class_quota('cat', {records})", op.class_quota("cat", records, model), records)
        return [Ask("class_quota", "cat", records) for records in counts]
    if isinstance(op, HeaderFilterOp):
        headers = samples if samples is not None else [{"width": 48, "height": 36}, {"width": 40, "height": 400}]
        return [Ask("refusal", header) for header in headers]
    return [Ask("distance")] if hasattr(op, "distance") else []


def _check_quota(call: str, quota: Any, records: int) -> None:
    if not isinstance(quota, int) or isinstance(quota, bool) or not 0 <= quota <= records:
        raise NotConforming("bad-quota", f"{call} is {quota!r}, not a whole number from 0 to {records}")


def _default_inputs(op: FeaturizeOp) -> list[list[Any]]:
    if op.needs_pixels:
        return [[plain(image)] for image in default_images()]
    return [["photos/cat/1.png"], ["photos/dog/2.png"], ["photos/dog/3.png"]]
