"""Assertions end to end: what holds is in the manifest, what does not gates, warns or goes to the ledger, and records are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from launch_helpers import Run, main_recipe
from PIL import Image

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import DataError, ErrorGroup, RecipeError
from refinery_beam.identity import record_key
from refinery_beam.launch import RunResult
from refinery_beam.launch.prepare import digest_of_recipe

ALL = """\
InputContracts:
  - {assertion: {kind: record_count, min: 1, max: 1000}}
  - {field: label, assertion: {kind: required_field}}
  - {field: label, assertion: {kind: dtype, expected: str}}
  - {field: label, assertion: {kind: value_in_set, value: [circle, square, triangle]}}
  - {field: image, assertion: {kind: dtype, expected: uint8}}
  - {field: image, assertion: {kind: range, min: 0, max: 255}}
  - {field: label, assertion: {kind: count_by_field, value_per_key: 12}}
OutputExpectations:
  - {assertion: {kind: record_count_in_range, min: 36, max: 36}}
  - {field: path, assertion: {kind: required_field}}
  - {field: image, assertion: {kind: shape_equals, value: [32, 32, 3]}}
  - {field: image, assertion: {kind: dtype_equals, expected: float32}}
  - {field: image, assertion: {kind: value_range, min: -10, max: 10}}
  - {assertion: {kind: split_record_counts, counts: {train: 24, val: 6, test: 6}}}
  - {field: label, assertion: {kind: per_class_count_per_split, per_class: 5, tolerance: 3}}
  - {assertion: {kind: count_by_fields, fields: [label, path], value_per_combination: 1}}
  - {field: label, assertion: {kind: per_class_count_equals, value: 12}}
  - field: label
    assertion: {kind: distributional, reference: {fractions: {circle: 0.25, square: 0.25, triangle: 0.5}}, distance: l_infinity, max: 0.2}
SampleData: {selector: {n: 2, kind: per_class, splits: [train, test], seed: {from: master}}}
Sinks:
  - {name: png, stage: post_pipeline, field: image, format: png_per_record, path_template: "{split}/{label|upper}/{path|stem}.png"}
  - {name: npy, stage: post_Transformations, splits: [val], field: image, format: npy_per_record, path_template: "{record_id}.npy"}
"""


def added(extra: str) -> Any:
    return lambda text: text.replace("schema_version: 3", "schema_version: 2") + extra


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("contracts")
    return rb.run(main_recipe(class_folders, folder, change=added(ALL.replace("dtype,", "dtype_equals,").replace("record_count,", "record_count_in_range,").replace("range,", "value_range,").replace("record_count_in_value_range", "record_count_in_range").replace("value_value_", "value_"))), cache_root=folder / "cache")


def test_x(built: RunResult) -> None:
    print(built.manifest.raw["expectations"])
    print((Path(built.path) / "report/report.md").read_text())
    print(built.manifest.raw["sample"], built.manifest.raw["sinks"])
    r = verify(built.path, deep=True, recipe_digest=digest_of_recipe)
    assert r.ok, r.findings
    s = rb.open_instance(built.path).sample("train")
    print(len(s), s[0]["record_id"])
