"""Evidence adds up in any grouping, names the same records, and only small rows of it cross the stages."""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.identity import record_key
from refinery_beam.job.job import Job
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.pipeline.translate import translate
from refinery_beam.plugins.assertions import STANDARD, Distribution, Values
from refinery_beam.plugins.base import Facts
from refinery_beam.plugins.distances import distance
from refinery_beam.record.byte_values import byte_values_of, ramp, values_at
from refinery_beam.record.contracts import add_rows, join, key_text, merged, rows_of
from refinery_beam.runners.parsed_once import pipeline_options_of
from refinery_beam.testing.engine.lint import crossings, offences

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}], on_error: quarantine, max_bad_fraction: 0.5}}
Output: {{record_schema: {{image: {{dtype: {dtype}, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{}}}}
Splits: {{ratios: {{train: 0.5, test: 0.5}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 8, method: bilinear}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
InputContracts:
  - {{field: label, assertion: {{kind: required_field}}}}
  - {{assertion: {{kind: record_count_in_range, min: 1}}}}
  - {{field: image, assertion: {{kind: value_range, min: 0}}}}
OutputExpectations:
  - {{field: image, assertion: {{kind: value_range, max: 9}}}}
  - {{field: label, assertion: {{kind: per_class_count_equals, value: 12}}}}
SampleData: {{selector: {{n: 2, kind: per_class}}}}
Sinks: [{{name: s, stage: post_pipeline, field: image, format: npy_per_record, path_template: "{{path|str}}.npy"}}]
"""


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_plans_are_clean(class_folders: Path, tmp_path: Path, dtype: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=class_folders, dtype=dtype))
    plan = prepare(recipe, Settings(cache_root=str(tmp_path / "cache"))).plan
    job = Job(plan=plan, instance="/i", work="/w", threads=1, records=9, shard_records=3, grouped=True)
    pipeline = beam.Pipeline(runner="FnApiRunner", options=pipeline_options_of([]))
    translate(pipeline, job)
    assert offences(pipeline) == []
    rows = {c.coder for c in crossings(pipeline)}
    assert any("row(record_id, split, byte_values)" in coder for coder in rows) == (dtype == "uint8")


pieces = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdefghijklmnop")), max_size=40)


@given(pieces, st.randoms(use_true_random=False))
def test_any_grouping_gives_the_same(found: list[tuple[int, str]], chance: random.Random) -> None:
    tallies = []
    for contract, name in found:
        failed = f'[["{name}","bad"]]'
        tallies.append({(contract, "checked"): (1, "[]"), (contract, "failed"): (1, failed)})
    straight: dict[tuple[int, str], tuple[int, str]] = {}
    for tally in tallies:
        join(straight, dict(tally))
    chance.shuffle(tallies)
    while len(tallies) > 1:
        a, b = tallies.pop(chance.randrange(len(tallies))), tallies.pop(chance.randrange(len(tallies)))
        joined = add_rows(rows_of(a))
        join(joined, b)
        tallies.append(joined)
    assert (tallies[0] if tallies else {}) == straight
    for (contract, key), (count, records) in straight.items():
        assert count == sum(1 for c, _ in found if c == contract)
        if key == "failed":
            names = sorted({n for c, n in found if c == contract}, key=record_key)[:10]
            assert records == "[" + ",".join(f'["{n}","bad"]' for n in names) + "]"


def test_merging_is_bounded() -> None:
    total = (0, "[]")
    for i in range(1000):
        total = merged(total, (1, f'[["photos/{i:04d}.png","is 7"]]'))
    assert total[0] == 1000 and len(total[1]) < 1000


def test_long_keys_stay_small_and_apart() -> None:
    a, b = key_text(["x" * 5000 + "a"]), key_text(["x" * 5000 + "b"])
    assert a != b and len(a) < 200


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_levels_are_the_distinct_values(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    planes = array.reshape(5, 7, -1)
    table = ramp(planes.shape[2]).reshape(256, -1).astype(np.float32) * 2 - 5
    want = np.concatenate([np.unique(planes[:, :, c]).astype(np.float32) * 2 - 5 for c in range(planes.shape[2])])
    assert np.array_equal(values_at(byte_values_of(array), table), want)


def offence(kind: str, value: Any, params: dict[str, Any]) -> str:
    assertion: Any = STANDARD[kind]
    return str(assertion.offence(value, assertion.spec.params.model_validate(params)))


@pytest.mark.parametrize(
    ("kind", "value", "params", "bad"),
    [
        ("dtype_equals", 3, {"expected": "int"}, ""),
        ("dtype_equals", 3, {"expected": "float"}, ""),
        ("dtype_equals", True, {"expected": "int"}, "is True (bool)"),
        ("dtype_equals", 300, {"expected": "uint8"}, "is 300 (int)"),
        ("dtype_equals", [1, 2], {"expected": "int64"}, ""),
        ("dtype_equals", np.zeros((2, 2), np.uint8), {"expected": "uint8"}, ""),
        ("dtype_equals", np.zeros((2, 2), np.uint8), {"expected": "int"}, ""),
        ("dtype_equals", np.zeros((2, 2), np.float32), {"expected": "uint8"}, "is float32"),
        ("value_range", 5, {"min": 5, "max": 5}, ""),
        ("value_range", 6, {"max": 5}, "is 6"),
        ("value_range", "6", {"max": 5}, "is '6', not a number"),
        ("value_range", float("nan"), {"max": 5}, "is nan"),
        ("value_range", [1, 9], {"max": 5}, "is 9"),
        ("value_range", np.array([[1, 9]]), {"max": 5}, "is 9"),
        ("value_in_set", "a", {"value": ["a", "b"]}, ""),
        ("value_in_set", 1, {"value": ["1"]}, "is 1"),
        ("value_in_set", True, {"value": [1]}, "is True"),
        ("value_in_set", np.array([[0, 3]]), {"value": [0, 255]}, "is 3"),
        ("shape_equals", np.zeros((2, 3)), {"value": [2, 3]}, ""),
        ("shape_equals", [1, 2, 3], {"value": [2]}, "has shape [3]"),
        ("required_field", None, {}, "is missing"),
        ("required_field", 0, {}, ""),
    ],
)
def test_record_kinds(kind: str, value: Any, params: dict[str, Any], bad: str) -> None:
    assert offence(kind, value, params) == bad


FACTS = Facts(("train", "val"), ())


def judged(kind: str, counts: Mapping[Any, int], facts: Facts = FACTS, /, **params: Any) -> tuple[bool, dict[str, Any], str]:
    assertion: Any = STANDARD[kind]
    listed = [([key] if not isinstance(key, tuple) else list(key), n) for key, n in counts.items()]
    verdict = assertion.judge(listed, assertion.spec.params.model_validate(params), facts)
    return verdict.passed, dict(verdict.observed), verdict.message


def test_dataset_kinds_say_what_is_wrong() -> None:
    assert judged("split_record_counts", {"train": 3}, counts={"train": 3, "val": 1})[::2] == (False, "val has 0, not 1")
    passed, observed, text = judged("per_class_count_per_split", {("train", "a"): 3, ("train", "b"): 4, ("val", "a"): 3}, per_class=3)
    assert (passed, observed["least"], text) == (False, 0, "'b' in val has 0")
    assert judged("count_by_field", {"a": 2, 1: 2}, value_per_key=2)[0]
    assert judged("count_by_fields", {("a", 1): 1, ("a", 2): 2}, fields=["x", "y"], value_per_combination=1)[2] == "'a', '2' has 2"


def test_unlabeled_splits_have_no_classes() -> None:
    facts = Facts(("train", "test"), ("test",))
    assert judged("per_class_count_per_split", {("train", "a"): 3}, facts, per_class=3, tolerance=0)[0]


@pytest.mark.parametrize(
    ("name", "p", "q", "want"),
    [
        ("l_infinity", {"a": (1, 2), "b": (1, 2)}, {"a": (1, 4), "c": (3, 4)}, 0.75),
        ("jensen_shannon", {"a": (1, 2), "b": (1, 2)}, {"a": (1, 2), "b": (1, 2)}, 0.0),
        ("jensen_shannon", {"a": (1, 1)}, {"b": (1, 1)}, 1.0),
        ("jensen_shannon", {"a": (1, 1)}, {"a": (1, 2), "b": (1, 2)}, 0.5579230452841438),
        ("ks", {1: (1, 2), 3: (1, 2)}, {2: (1, 1)}, 0.5),
        ("wasserstein", {0: (1, 2), 10: (1, 2)}, {5: (1, 1)}, 5.0),
    ],
)
def test_distances(name: str, p: dict[Any, tuple[int, int]], q: dict[Any, tuple[int, int]], want: float) -> None:
    a, b = ({k: Fraction(*v) for k, v in side.items()} for side in (p, q))
    assert float(distance(name, a, b)) == pytest.approx(want, abs=1e-15)
    assert distance(name, a, b) == distance(name, b, a)


def test_distributions() -> None:
    stated = {"fractions": {"a": 0.5, "b": 0.5}}
    assert judged("distributional", {"a": 3, "b": 1}, reference=stated, distance="l_infinity", max=0.25)[:2] == (
        True,
        {"values": 4, "distance": 0.25},
    )
    bins = {"edges": [0, 1, 2], "fractions": [0.5, 0.5]}
    assert judged("distributional", {0.5: 1, 2: 1}, reference=bins, distance="ks", max=0)[0]
    assert judged("distributional", {0.5: 1, 2.5: 1}, reference=bins, distance="ks", max=0.4)[:2] == (
        False,
        {"values": 2, "distance": 0.5},
    )
    facts = Facts(("train",), (), [(0, 1), (10, 1)])
    named = {"instance": "imported", "split": "train"}
    assert judged("distributional", {5: 1}, facts, reference=named, distance="wasserstein", max=5)[0]
    assert judged("distributional", {"a": 1}, facts, reference=named, distance="ks", max=1)[2].startswith("ks compares numbers")
    assert judged("distributional", {}, facts, reference=named, distance="ks", max=1)[2] == "no record has a value"


@pytest.mark.parametrize(
    "params",
    [
        {"reference": {}, "distance": "ks", "max": 1},
        {"reference": {"fractions": {"a": 0.5}}, "distance": "l_infinity", "max": 1},
        {"reference": {"fractions": {"a": 1.0}}, "distance": "ks", "max": 1},
        {"reference": {"fractions": [1.0], "edges": [0]}, "distance": "ks", "max": 1},
        {"reference": {"fractions": [1.0], "edges": [1, 0]}, "distance": "ks", "max": 1},
        {"reference": {"fractions": [1.0], "edges": [0, 1]}, "distance": "wasserstein", "max": 1},
        {"reference": {"instance": "x"}, "distance": "ks", "max": 1},
    ],
)
def test_bad_distributions(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Distribution.model_validate(params)


def test_values_are_free() -> None:
    assert Values.model_validate({"value": [1, "1", None]}).value == (1, "1", None)
