"""What a plan says of itself: whether it decodes, when splits can be cut, and which key covers what."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.planning.nodes import FieldStep, Step
from refinery_beam.plugins.base import ArrayType, FieldType
from support.plans import plan_of
from support.recipes import SMALL, more

RESIZE = SMALL["Transformations"][0]
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
NO_IMAGE: dict[str, Any] = {"fields": {"image": None}, "transformations": None}
PNG = "{name: shown, stage: post_pipeline, field: image, format: png_per_record, path_template: '{record_id}.png'}"
HASH = "{name: hash, op: perceptual_hash, inputs: [image], output_field: hash, splits: [train, test]}"


@pytest.mark.parametrize(
    ("parts", "decodes"),
    [
        ({}, True),
        (NO_IMAGE, False),
        ({"transformations": None, "fields": {"image": {"shape": None}}, "output": {"encoding": "source"}}, False),
        ({**NO_IMAGE, "transformations": [RESIZE, NORMALIZE]}, True),
        ({**NO_IMAGE, "transformations": [RESIZE]}, False),
        ({**NO_IMAGE, "sinks": [PNG]}, True),
        ({**NO_IMAGE, "featurizations": [HASH]}, True),
        ({**NO_IMAGE, "contracts": ["{field: image, assertion: {kind: value_range, max: 9}}"]}, True),
        ({**NO_IMAGE, "contracts": ["{field: label, assertion: {kind: required_field}}"]}, False),
    ],
)
def test_only_what_needs_pixels_decodes(parts: dict[str, Any], decodes: bool) -> None:
    assert plan_of(**parts).decodes == decodes


@pytest.mark.parametrize(
    ("parts", "early"),
    [
        ({}, True),
        ({"filters": ["{name: few, op: random_sample, params: {n: 2}, stages: [post_split], splits: [train]}"]}, True),
        ({"expectations": ["{field: label, assertion: {kind: required_field}}"]}, True),
        ({"filters": ["{name: few, op: random_sample, params: {n: 2}}"]}, False),
        ({"contracts": ["{field: label, assertion: {kind: required_field}}"]}, False),
        ({"splits": {"ratios": {"train": 0.5, "test": 0.5}, "method": "hash"}}, False),
        ({"splits": {"ratios": {"train": 0.5, "test": 0.5}, "keep_duplicates_together": "near"}}, False),
        ({"splits": {"key_assignment": {"field": "label", "mapping": {"a": "train", "b": "test"}}}}, False),
    ],
)
def test_quotas_are_cut_from_the_index_where_nothing_comes_between(parts: dict[str, Any], early: bool) -> None:
    assert plan_of(**parts).split_from_index == early


ORDER = ("select", "split", "fit", "dataset", "contracts", "sample", "sinks")
PARTS = {"contracts", "sample", "sinks"}
BASE: dict[str, Any] = {"transformations": [RESIZE, NORMALIZE], "seed": 0}
CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "another seed": ({"seed": 1}, set(ORDER)),
    "a filter": ({"filters": ["{name: few, op: random_sample, params: {n: 2}}"]}, set(ORDER)),
    "other ratios": ({"splits": {"ratios": {"train": 0.5, "test": 0.5}}}, set(ORDER) - {"select"}),
    "a filter of a split": (
        {"filters": ["{name: few, op: random_sample, params: {n: 2}, stages: [post_split], splits: [test]}"]},
        set(ORDER) - {"select"},
    ),
    "another method": (
        {"transformations": [more(RESIZE, params={"method": "bilinear"}), NORMALIZE]},
        {"fit", "dataset"} | PARTS,
    ),
    "a decode policy": ({"input": {"decode": {"mode": "L"}}, "fields": {"image": {"shape": [16, 16]}}}, {"fit", "dataset"} | PARTS),
    "an augmentation": ({"augmentations": ["{name: flip, op: horizontal_flip, splits: [train]}"]}, {"dataset"} | PARTS),
    "an encoding": ({"output": {"encoding": "png"}}, {"dataset"} | PARTS),
    "a featurization": ({"featurizations": [HASH]}, {"dataset"} | PARTS),
    "an expectation": ({"expectations": ["{field: label, assertion: {kind: required_field}}"]}, {"contracts"}),
    "a sample": ({"sample": "{selector: {n: 2}}"}, {"sample"}),
    "a sink": ({"sinks": [PNG]}, {"sinks"}),
    "where the files are": ({"source": {"path": "/elsewhere"}}, set()),
    "what bad files do": ({"input": {"on_error": "quarantine", "max_bad_fraction": 0.5}}, set()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_key_covers_its_own_part_and_all_before_it(name: str) -> None:
    parts, changed = CHANGES[name]
    one, other = plan_of(**BASE).node_keys("00"), plan_of(**{**BASE, **parts}).node_keys("00")
    assert tuple(one) == tuple(other) == ORDER
    assert {key for key in ORDER if one[key] != other[key]} == changed


def test_the_input_is_in_every_key() -> None:
    plan = plan_of(**BASE)
    one, other = plan.node_keys("00"), plan.node_keys("01")
    assert len({*one.values(), *other.values()}) == 2 * len(ORDER)


def step(**words: Any) -> Step:
    given: dict[str, Any] = {"name": "n", "op": "normalize", "version": 2, "params": {"a": 1}, "splits": ("train",), "elementwise": True}
    return Step(**{**given, "before": ArrayType("uint8", (2, None, 3)), "out": ArrayType("float32", (2, None, 3)), **words})


@pytest.mark.parametrize(
    ("words", "needs", "file"),
    [
        ({}, False, None),
        ({"fitted": True, "fit_source": "train"}, True, "fitted_statistics/n.json"),
        ({"fitted": True, "pinned": {"mean": [0.0]}}, False, "fitted_statistics/n.json"),
        ({"fitted": True, "pinned": {}}, False, "fitted_statistics/n.json"),
    ],
)
def test_who_needs_statistics(words: dict[str, Any], needs: bool, file: str | None) -> None:
    assert (step(**words).needs_fit, step(**words).statistics) == (needs, file)
    made = FieldStep(name="n", op="o", version=1, params={}, splits=(), field="f", inputs=(), needs_pixels=False, type=FieldType("str"))
    assert not made.needs_fit and made.statistics is None


def test_a_step_as_readers_find_it() -> None:
    assert step(fitted=True).to_dict() == {
        "name": "n",
        "op": "normalize",
        "version": 2,
        "params": {"a": 1},
        "statistics": "fitted_statistics/n.json",
        "before": {"dtype": "uint8", "shape": [2, None, 3]},
        "out": {"dtype": "float32", "shape": [2, None, 3]},
        "splits": ["train"],
    }
