"""The kit finds every kind of bad op, and passes the built-in ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from refinery_beam.plugins.assertions import STANDARD
from refinery_beam.plugins.base import ArrayType, LoaderFile
from refinery_beam.plugins.common.encodings import PlainColumn
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.image_classification.encodings import ENCODINGS
from refinery_beam.testing.conformance import (
    FAILURES,
    NotConforming,
    check_assertion,
    check_encoding,
    check_loader,
    check_op,
    default_images,
)
from support import bad_ops as bad

ARRAYS = [np.asarray(image).copy() for image in default_images()]

BAD: dict[str, tuple[Any, str, str]] = {
    "no-spec": (object(), "not-an-op", "has no OpSpec"),
    "no-method": (bad.NotAnOp(), "not-an-op", "lacks a method of TransformOp"),
    "version-0": (bad.Unversioned(), "unversioned", "version 0, not a whole number from 1 on"),
    "random": (bad.Random(), "impure", "another result for the same sample the second time"),
    "clock": (bad.Clock(), "impure", "the second time"),
    "state": (bad.RunningMean(), "order-dependent", "it keeps state"),
    "scratch": (bad.Scratch(), "thread-dependent", "when threads share it"),
    "in-place": (bad.Overwriting(), "argument-changing", "changed the values it was given"),
    "lock": (bad.Locked(), "unpicklable", "cannot pickle"),
    "dtype": (bad.WrongDtype(), "wrong-infer", "apply gives float32"),
    "shape": (bad.WrongShape(), "wrong-infer", "infer says uint8[36, 48, 3]"),
    "hash": (bad.Hashing(), "process-dependent", "in a process of its own"),
    "floats": (bad.InexactFit(), "inexact-fit", "grouped otherwise"),
    "quota": (bad.BadQuota(), "bad-quota", "quota(0) is 1"),
    "field": (bad.WrongField(), "wrong-infer", "featurize gives"),
    "set": (bad.NotJson(), "wrong-infer", "no JSON value"),
    "generation that keeps state": (bad.CountingGeneration(), "order-dependent", "it keeps state"),
    "generation with its own luck": (bad.LuckyGeneration(), "impure", "the second time"),
    "generation with twins": (bad.TwinRecords(), "wrong-infer", "a name of its own"),
    "generation with a lock": (bad.LockedGeneration(), "unpicklable", "cannot pickle"),
    "augmentation with its own luck": (bad.LuckyFlip(), "impure", "the second time"),
    "augmentation that keeps state": (bad.CountingFlip(), "order-dependent", "it keeps state"),
    "augmentation that draws arrays": (bad.ArrayDraw(), "wrong-infer", "no JSON"),
    "augmentation of another size": (bad.Shrinking(), "wrong-infer", "apply gives uint8"),
    "picture of the clock": (bad.ClockPicture(), "impure", "the second time"),
}


class Shouting(PlainColumn):
    def write(self, content: Any, *, quality: int) -> Any:
        return content.upper()


class Numbered(PlainColumn):
    written = 0

    def write(self, content: Any, *, quality: int) -> Any:
        Numbered.written += 1
        return f"{content}{Numbered.written}"


class Untyped(PlainColumn):
    def column(self, cells: Any, paths: Any, field: pa.Field) -> pa.Array:
        return pa.array(cells).cast(pa.binary())


class Darkening(PlainColumn):
    def refuse(self, type: ArrayType) -> None:
        return None

    def write(self, content: Any, *, quality: int) -> Any:
        content //= 2
        return content.tobytes()


TEXTS = ["one", "two"]
BAD_ENCODINGS: dict[str, tuple[Any, str, str]] = {
    "nothing": (object(), "not-an-op", "object is not an Encoding"),
    "upper": (Shouting("upper", "str", "string"), "lossy", "read() gives other content"),
    "numbered": (Numbered("numbered", "str", "string"), "impure", "another cell the second time"),
    "untyped": (Untyped("untyped", "str", "string"), "wrong-infer", "column() of untyped is binary, arrow() says string"),
    "darkening": (Darkening("darkening", "uint8", "binary"), "argument-changing", "changes the content"),
}


@pytest.mark.parametrize("name", BAD_ENCODINGS)
def test_a_bad_encoding_is_found(name: str) -> None:
    encoding, failure, words = BAD_ENCODINGS[name]
    with pytest.raises(NotConforming) as caught:
        check_encoding(encoding, [array.copy() for array in ARRAYS] if name == "darkening" else TEXTS)
    assert caught.value.failure == failure
    assert words in str(caught.value)


@pytest.mark.parametrize("word", ENCODINGS)
def test_the_built_in_encodings_pass(word: str) -> None:
    assert "lossy" in check_encoding(ENCODINGS[word])


def test_samples_that_an_encoding_refuses_show_nothing() -> None:
    with pytest.raises(NotConforming, match="plain refuses uint8"):
        check_encoding(PlainColumn("plain", "str", "string"))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_op_is_found(name: str) -> None:
    op, failure, words = BAD[name]
    with pytest.raises(NotConforming) as caught:
        check_op(op, {}, ARRAYS if name == "in-place" else None)
    assert caught.value.failure == failure
    assert words in str(caught.value)


def test_every_failure_has_a_bad_op() -> None:
    failures = {failure for _, failure, _ in (*BAD.values(), *BAD_ENCODINGS.values())}
    assert set(FAILURES) - failures == {"bad-params"}
    with pytest.raises(NotConforming, match="bad-params: bad does not take"):
        check_op(bad.Good(), {"size": 3})


def test_a_good_op_passes_everything() -> None:
    assert {"argument-changing", "impure", "order-dependent", "thread-dependent", "process-dependent"} < set(check_op(bad.Good()))


PARAMS: dict[str, dict[str, Any]] = {
    "resize": {"size": 16, "method": "bilinear"},
    "center_crop": {"size": 16},
    "pad": {"size": 64},
    "cast": {"dtype": "float32", "scale": 0.5},
    "filter_by_label": {"labels": ["cat"]},
    "random_sample": {"fraction": 0.5},
    "sample_per_class": {"n_per_class": 3},
    "sample_per_class_fractional": {"n_per_class_base": 3, "fractions": {"cat": 0.5}},
    "drop_by_label": {"labels": ["t"]},
    "image_size": {"min_width": 3},
    "fact_range": {"fact": "sharpness", "min": 1.5},
    "filter_by_field": {"field": "f", "equals": 1},
    "imagecorruptions_apply": {"corruption_types": ["fog", "snow", "glass_blur"], "severities": [1, 4], "preserve_original": True},
    "random_crop": {"size": 16, "padding": 2},
    "color_jitter": {"brightness": 0.4, "hue": 0.1},
    "rotate": {"degrees": 20},
    "corruption_severity_grid": {"corruption_types": ["contrast"], "severities": [1]},
    "severity_ladder": {"corruption_type": "brightness"},
}


@pytest.mark.parametrize("name", sorted(find_plugin("image_classification").ops))
def test_built_in_ops_conform(name: str) -> None:
    op = find_plugin("image_classification").ops[name]
    check_op(op, PARAMS.get(name, {}))


class Numbers:
    source_type = "numbers"
    version = 1

    def files(self, root: str) -> list[LoaderFile]:
        return [LoaderFile(p.name) for p in Path(root).glob("*.txt")]

    def decode(self, data: bytes, *, mode: str) -> Any:
        return np.full((4, 4, 3), int(data), np.uint8)


def test_loaders(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("7")
    assert "impure" in check_loader(Numbers(), tmp_path)

    class Crashing(Numbers):
        def decode(self, data: bytes, *, mode: str) -> Any:
            if not data.isdigit():
                raise KeyError(data)
            return super().decode(data, mode=mode)

    with pytest.raises(NotConforming, match="raises KeyError"):
        check_loader(Crashing(), tmp_path)

    class Drifting(Numbers):
        def decode(self, data: bytes, *, mode: str) -> Any:
            self.calls = getattr(self, "calls", 0) + 1
            return super().decode(b"%d" % self.calls, mode=mode)

    with pytest.raises(NotConforming, match="impure: decode"):
        check_loader(Drifting(), tmp_path)


ASSERTIONS: dict[str, dict[str, Any]] = {
    "record_count_in_range": {"min": 1},
    "fact_in_range": {"fact": "sharpness", "min": 1.5},
    "dtype_equals": {"expected": "str"},
    "value_range": {"min": 0},
    "value_in_set": {"value": ["cat"]},
    "shape_equals": {"value": [1]},
    "split_record_counts": {"counts": {"train": 1}},
    "per_class_count_per_split": {"per_class": 1},
    "count_by_field": {"value_per_key": 1},
    "count_by_fields": {"fields": ["label"], "value_per_combination": 1},
    "per_class_count_equals": {"value": 1},
    "distributional": {"reference": {"fractions": {"cat": 1.0}}, "distance": "jensen_shannon", "max": 0.5},
}


@pytest.mark.parametrize("kind", sorted(STANDARD))
def test_built_in_assertions_conform(kind: str) -> None:
    assert "impure" in check_assertion(STANDARD[kind], ASSERTIONS.get(kind, {}))


@pytest.mark.parametrize(
    ("assertion", "failure", "words"),
    [
        (object(), "not-an-op", "neither a RecordAssertion"),
        (bad.ClockAssertion(), "impure", "the second time"),
        (bad.WordlessAssertion(), "wrong-infer", "not a few words"),
        (bad.CountingAssertion(), "order-dependent", "it keeps state"),
    ],
)
def test_a_bad_assertion_is_found(assertion: Any, failure: str, words: str) -> None:
    with pytest.raises(NotConforming, match=words) as caught:
        check_assertion(assertion)
    assert caught.value.failure == failure
