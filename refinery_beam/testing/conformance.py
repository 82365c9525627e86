"""Does an op keep the rules? The kit that plugin authors run in their tests, and that the built-in ops pass.

    from refinery_beam.testing.conformance import check_op

    def test_my_op_conforms():
        check_op(MyOp(), {"size": 3})

An op that keeps these rules gives the same bytes on every engine, whatever the bundles, threads, retries and machines. One that does not
is told what was done and what came out, as `NotConforming`, whose ``failure`` is one of the words `FAILURES`.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pydantic import ValidationError

from refinery_beam.identity import canonical_bytes, digest
from refinery_beam.plugins.base import (
    ArrayType,
    FeaturizeOp,
    FieldType,
    FilterOp,
    FittedFeaturizeOp,
    FittedOp,
    Loader,
    OpSpec,
    OpTypeError,
    TransformOp,
)
from refinery_beam.plugins.image_classification.pixels import BadImage, as_array
from refinery_beam.testing import images

FAILURES = (
    "not-an-op",
    "unversioned",
    "bad-params",
    "unpicklable",
    "wrong-infer",
    "argument-changing",
    "impure",
    "order-dependent",
    "thread-dependent",
    "process-dependent",
    "inexact-fit",
    "bad-quota",
)
THREADS = 8


class NotConforming(AssertionError):
    """An op breaks a rule. ``failure`` is one of `FAILURES`."""

    def __init__(self, failure: str, words: str) -> None:
        super().__init__(f"{failure}: {words}")
        self.failure = failure


def check_op(op: Any, params: Mapping[str, Any] | None = None, samples: Sequence[Any] | None = None) -> tuple[str, ...]:
    """Hold an op to the rules; gives the names of what was checked, raises `NotConforming` for the first rule it breaks.

    `params` are as a recipe would write them. `samples` are images or arrays for a transformation, lists of input values for a
    featurization, (label, fields) pairs for a filter; left out, drawn images of two sizes, or labels, are taken. A fitted op is fitted on
    the samples. Takes about a second: one of the checks starts a process.

    >>> from refinery_beam.plugins.image_classification.geometry import CenterCrop
    >>> "thread-dependent" in check_op(CenterCrop(), {"size": 8})
    True
    """
    spec = _check_spec(op)
    try:
        model = spec.params.model_validate(dict(params or {}))
    except ValidationError as error:
        raise NotConforming("bad-params", f"{spec.name} does not take {dict(params or {})}: {error}") from error
    done = ["not-an-op", "unversioned", "bad-params"]
    _check_pickle(op, model)
    done.append("unpicklable")
    calls: list[Any]
    if isinstance(op, TransformOp):
        given = list(samples) if samples is not None else default_images()
        fitted, outs = _prepared_transform(op, model, given)
        if fitted is not None and isinstance(op, FittedOp) and op.pinned(model) is None:
            done.append("inexact-fit")
        calls = [_Apply(sample, fitted, out) for sample, out in zip(given, outs, strict=True)]
    elif isinstance(op, FeaturizeOp):
        given = [list(s) for s in samples] if samples is not None else _default_inputs(op)
        fitted = _fitted_field(op, model, given)
        if fitted is not None:
            done.append("inexact-fit")
        _check_field_types(op, model, given, fitted)
        calls = [_Featurize(sample, fitted) for sample in given]
    else:
        given = list(samples) if samples is not None else [("cat", {"n": 1}), ("dog", {"n": 2}), (None, {})]
        _check_quota(op, model)
        done.append("bad-quota")
        calls = [_Keep(sample) for sample in given]
    done.append("wrong-infer")
    return (*done, *_check_calls(op, model, calls))


def check_loader(loader: Loader, root: str | os.PathLike[str], *, mode: str = "RGB") -> tuple[str, ...]:
    """Hold a loader to the rules on a folder of its files: what it lists is plain and stable, what it decodes is the same every time."""
    if not isinstance(loader, Loader):
        raise NotConforming("not-an-op", f"{type(loader).__name__} is not a Loader")
    if not _whole(loader.version):
        raise NotConforming(
            "unversioned", f"the loader of {loader.source_type} has version {loader.version!r}, not a whole number from 1 on"
        )
    first, second = (sorted(loader.files(os.fspath(root))) for _ in range(2))
    if first != second:
        raise NotConforming("impure", "files() gives another list the second time")
    if not first:
        raise NotConforming("wrong-infer", f"files() finds nothing in {os.fspath(root)}")
    for item in first:
        if item.path.startswith("/") or ".." in item.path.split("/") or not os.path.isfile(os.path.join(root, item.path)):
            raise NotConforming("wrong-infer", f"files() names {item.path!r}, which is no file below the folder")
    for item in first:
        with open(os.path.join(root, item.path), "rb") as file:
            data = file.read()
        one, two = (loader.decode(data, mode=mode) for _ in range(2))
        if _print(one) != _print(two):
            raise NotConforming("impure", f"decode() gives other pixels the second time for {item.path}")
    for junk in (b"", b"no such file"):
        try:
            loader.decode(junk, mode=mode)
        except (BadImage, ValueError, OSError):
            continue
        except Exception as error:
            raise NotConforming("wrong-infer", f"decode() of {junk!r} raises {type(error).__name__}, not BadImage or ValueError") from error
    return ("not-an-op", "unversioned", "impure", "wrong-infer")


def default_images() -> list[Any]:
    """Six drawn RGB pictures of two sizes, as Pillow images."""
    sizes = [(48, 36), (40, 40)]
    return [images.draw(label, k, size=sizes[k % 2]) for k, label in enumerate(("circle", "square", "triangle") * 2)]


# -- one call of an op, in the three forms ------------------------------------------------------------------------------------------------


class _Apply:
    def __init__(self, sample: Any, fitted: Any, out: ArrayType) -> None:
        self.sample, self.fitted, self.out = sample, fitted, out

    def __call__(self, op: Any, params: Any) -> Any:
        return op.apply(self.sample, params, self.fitted, self.out)

    def arguments(self) -> bytes:
        return _print(self.sample) + _print(self.fitted)


class _Featurize:
    def __init__(self, sample: list[Any], fitted: Any) -> None:
        self.sample, self.fitted = sample, fitted

    def __call__(self, op: Any, params: Any) -> Any:
        if self.fitted is not None:
            return op.featurize_fitted(self.sample, params, self.fitted)
        return op.featurize(self.sample, params)

    def arguments(self) -> bytes:
        return b"".join(_print(v) for v in self.sample) + _print(self.fitted)


class _Keep:
    def __init__(self, sample: tuple[Any, Any]) -> None:
        self.sample = sample

    def __call__(self, op: Any, params: Any) -> Any:
        return op.keep(self.sample[0], self.sample[1], params)

    def arguments(self) -> bytes:
        return _print(self.sample[0]) + _print(self.sample[1])


# -- the rules ----------------------------------------------------------------------------------------------------------------------------


def _check_spec(op: Any) -> OpSpec:
    spec = getattr(op, "spec", None)
    if not isinstance(spec, OpSpec):
        raise NotConforming("not-an-op", f"{type(op).__name__} has no OpSpec called spec")
    if not _whole(spec.version):
        raise NotConforming("unversioned", f"{spec.name} has version {spec.version!r}, not a whole number from 1 on")
    shapes = {"Transformations": TransformOp, "Filters": FilterOp, "Featurizations": FeaturizeOp}
    shape = shapes.get(spec.section)
    if shape is None:
        raise NotConforming("not-an-op", f"{spec.name} is of section {spec.section}, which the kit does not know: {', '.join(shapes)}")
    if not isinstance(op, shape):
        raise NotConforming("not-an-op", f"{spec.name} lacks a method of {shape.__name__}")
    if spec.fitted and not isinstance(op, FittedOp | FittedFeaturizeOp):
        raise NotConforming("not-an-op", f"{spec.name} says it is fitted, but lacks partial, fit or pinned")
    return spec


def _whole(version: Any) -> bool:
    return isinstance(version, int) and not isinstance(version, bool) and version >= 1


def _check_pickle(op: Any, model: Any) -> None:
    try:
        _copy(op)
        _copy(model)
    except Exception as error:
        raise NotConforming("unpicklable", f"{op.spec.name} or its parameters: {type(error).__name__}: {error}") from error


def _copy(value: Any) -> Any:
    # The kit's own pickle, made a line before: nothing stored is ever read back this way.
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def _prepared_transform(op: TransformOp, model: Any, given: Sequence[Any]) -> tuple[Any, list[ArrayType]]:
    """The fitted statistics (None for an op that needs none) and the inferred type of every sample; proves inference on the way."""
    types = [_type(sample) for sample in given]
    outs = [_inferred(op, model, before) for before in types]
    fitted: Any = None
    if isinstance(op, FittedOp):
        fitted = op.pinned(model)
        if fitted is None:
            fitted = _fit_exactly(op, model, [(t, s) for t, s in zip(types, given, strict=True)])
    loose = {_loosened(before) for before in types}
    for sample, before, out in zip(given, types, outs, strict=True):
        result = _type(_copy(op).apply(_copy(sample), model, fitted, out))
        if not _fits(result, out):
            raise NotConforming("wrong-infer", f"infer says {out} for {before}, apply gives {result}")
    for before in sorted(loose, key=str):
        wide = _inferred(op, model, before)
        for out in outs:
            if out.dtype == wide.dtype and not _fits(out, wide):
                raise NotConforming("wrong-infer", f"infer says {wide} for {before}, but {out} for an image of that kind")
    return fitted, outs


def _inferred(op: TransformOp, model: Any, before: ArrayType) -> ArrayType:
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
    found = {(t.dumps(), _print(op.fit(t, model))) for t in (total(way) for way in ways)}
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
        kinds = [_field_type(value) for value in inputs]
        try:
            declared = op.infer(kinds, model)
        except OpTypeError as error:
            raise NotConforming("wrong-infer", f"infer refuses {kinds}: {error}; pass samples that the op takes") from error
        value = _Featurize(inputs, fitted)(_copy(op), model)
        if hasattr(value, "dtype"):
            have = FieldType(str(value.dtype), tuple(value.shape))
        else:
            try:
                canonical_bytes(value)
            except (TypeError, ValueError) as error:
                raise NotConforming("wrong-infer", f"{op.spec.name} gives {value!r}, which is no JSON value: {error}") from error
            have = _field_type(value)
        if not _field_fits(have, declared):
            raise NotConforming("wrong-infer", f"infer says {declared}, featurize gives {have}: {str(value)[:80]}")


def _check_quota(op: FilterOp, model: Any) -> None:
    for records in (0, 1, 2, 10, 1000):
        quota = op.quota(records, model)
        if not isinstance(quota, int) or isinstance(quota, bool) or not 0 <= quota <= records:
            raise NotConforming("bad-quota", f"quota({records}) is {quota!r}, not a whole number from 0 to {records}")


def _check_calls(op: Any, model: Any, calls: Sequence[Any]) -> tuple[str, ...]:
    """Purity in its five forms, each told apart by what is held fixed."""
    name = op.spec.name
    before = [call.arguments() for call in calls]
    written = model.model_dump_json()
    wanted = [_print(call(_copy(op), model)) for call in calls]
    for k, call in enumerate(calls):
        if call.arguments() != before[k]:
            raise NotConforming("argument-changing", f"{name} changed the values it was given (sample {k})")
    if model.model_dump_json() != written:
        raise NotConforming("argument-changing", f"{name} changed its parameters")

    random.seed(20240229)
    np.random.seed(20240229)
    for k, call in enumerate(calls):
        if _print(call(_copy(op), model)) != wanted[k]:
            raise NotConforming("impure", f"{name} gives another result for the same sample the second time (sample {k})")

    one = _copy(op)
    for order in (range(len(calls)), reversed(range(len(calls)))):
        for k in order:
            if _print(calls[k](one, model)) != wanted[k]:
                raise NotConforming("order-dependent", f"{name} gives another result for sample {k} after other samples: it keeps state")

    shared = _copy(op)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [(k, pool.submit(calls[k], shared, model)) for k in list(range(len(calls))) * THREADS]
            for k, job in jobs:
                if _print(job.result()) != wanted[k]:
                    raise NotConforming("thread-dependent", f"{name} gives another result for sample {k} when threads share it")
    finally:
        sys.setswitchinterval(interval)
    done = ("argument-changing", "impure", "order-dependent", "thread-dependent")
    return (*done, "process-dependent") if _check_process(op, model, calls, wanted) else done


_CHILD = """
import importlib.util, json, pickle, sys, types
try:
    for name, file in json.loads(sys.argv[2]):
        if name not in sys.modules:
            # A test's module may have a name that only its test runner knows.
            spec = importlib.util.spec_from_file_location(name, file)
            for parent in (name.rsplit(".", k)[0] for k in range(name.count("."), 0, -1)):
                sys.modules.setdefault(parent, types.ModuleType(parent))
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    op, params, calls = pickle.load(open(sys.argv[1], "rb"))
except (ImportError, AttributeError):
    sys.exit(77)
from refinery_beam.testing.conformance import _print
for call in calls:
    print(_print(call(op, params)).hex())
"""


def _check_process(op: Any, model: Any, calls: Sequence[Any], wanted: Sequence[bytes]) -> bool:
    """The same results in a process of its own, with another hash seed. False where that process cannot import the op."""
    names = dict.fromkeys((type(op).__module__, type(model).__module__))
    modules = [(n, sys.modules[n].__file__) for n in names if n != "__main__" and getattr(sys.modules.get(n), "__file__", None)]
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, "calls")
        with open(place, "wb") as file:
            file.write(pickle.dumps((op, model, list(calls))))
        here = os.environ.get("PYTHONHASHSEED", "random")
        environment = {
            **os.environ,
            "PYTHONHASHSEED": "1" if here != "1" else "2",
            "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path),
        }
        command = [sys.executable, "-c", _CHILD, place, json.dumps(modules)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 77:
        return False
    if done.returncode or done.stdout.split() != [w.hex() for w in wanted]:
        told = done.stderr.strip().splitlines()[-1:] or ["other results"]
        raise NotConforming("process-dependent", f"{op.spec.name} does something else in a process of its own: {told[0]}")
    return True


# -- values -------------------------------------------------------------------------------------------------------------------------------


def _print(value: Any) -> bytes:
    """A digest of any value an op may take or give."""
    if hasattr(value, "getbands") or hasattr(value, "dtype"):
        array = as_array(value) if hasattr(value, "getbands") else np.asarray(value)
        return digest("array", type(value).__name__ == "Image", str(array.dtype), json.dumps(array.shape), array.tobytes())
    try:
        return digest("json", canonical_bytes(value))
    except (TypeError, ValueError):
        return digest("repr", repr(value))


def _type(value: Any) -> ArrayType:
    array = as_array(value)
    return ArrayType(str(array.dtype), array.shape)


def _loosened(before: ArrayType) -> ArrayType:
    return ArrayType(before.dtype, (None, None, *before.shape[2:]))


def _fits(have: ArrayType, want: ArrayType) -> bool:
    shapes = len(have.shape) == len(want.shape) and all(
        w is None or h is None or h == w for h, w in zip(have.shape, want.shape, strict=True)
    )
    return have.dtype == want.dtype and shapes


def _field_type(value: Any) -> FieldType:
    if hasattr(value, "getbands") or hasattr(value, "dtype"):
        found = _type(value)
        return FieldType(found.dtype, found.shape)
    if isinstance(value, list | tuple):
        inner = _field_type(value[0]) if value else FieldType("int64")
        return FieldType(inner.dtype, (len(value), *(inner.shape or ())))
    words = {bool: "bool", int: "int64", float: "float64"}
    return FieldType(words.get(type(value), "str"))


def _field_fits(have: FieldType, want: FieldType) -> bool:
    family = {"int64": ("int", "uint"), "float64": ("float",), "str": ("str",), "bool": ("bool",)}
    kinds = have.dtype == want.dtype or any(want.dtype.startswith(word) for word in family.get(have.dtype, ()))
    if have.shape is None or want.shape is None:
        return kinds and have.shape == want.shape
    return kinds and len(have.shape) == len(want.shape) and all(w is None or h == w for h, w in zip(have.shape, want.shape, strict=True))


def _default_inputs(op: FeaturizeOp) -> list[list[Any]]:
    if op.needs_pixels:
        return [[as_array(image)] for image in default_images()]
    return [["photos/cat/1.png"], ["photos/dog/2.png"], ["photos/dog/3.png"]]
