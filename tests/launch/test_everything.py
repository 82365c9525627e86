"""The whole language in one recipe: its parts were built one by one, here they meet. One digest, whatever the engine does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from launch_helpers import Run

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.launch import RunResult
from refinery_beam.recipe import digest_of_recipe
from refinery_beam.testing.engine import hostile

RECIPE = """\
schema_version: 3
plugin: image_classification
seed: 5
Input:
  sources: [{{name: photos, type: image_folder, path: {path}}}]
  on_error: quarantine
  max_bad_fraction: 0.2
Labels: {{field: label, source: {{kind: direct}}}}
InputContracts:
  - {{assertion: {{kind: record_count_in_range, min: 10}}}}
  - {{field: image, assertion: {{kind: dtype_equals, expected: uint8}}}}
Filters:
  - {{name: wide, op: image_size, params: {{min_width: 32}}}}
  - {{name: ten, op: sample_per_class, params: {{n_per_class: 10}}, seed: {{from: master}}}}
Splits: {{ratios: {{train: 0.6, test: 0.4}}, stratify_by: label, seed: {{from: master}}}}
Generation:
  - name: foggy
    op: imagecorruptions_apply
    inputs: [image]
    output_schema: matches_input
    seed: 3
    splits: [test]
    params: {{corruption_types: [fog, gaussian_noise], severities: [2], preserve_original: true, tag_fields: [corruption, severity]}}
    replace_input_records: true
Transformations:
  - {{name: resize, op: resize, params: {{size: 32, method: bilinear}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
Augmentations:
  - {{name: flip, op: horizontal_flip, params: {{p: 0.5}}, materialization: aggressive, expansion: 2, seed: 9}}
Featurizations:
  - name: number
    op: categorical_encode
    inputs: [label]
    output_field: number
    fit_source: train
    params: {{oov: error}}
    splits: [train, test]
  - {{name: hash, op: perceptual_hash, inputs: [image], output_field: hash, splits: [train, test]}}
OutputExpectations:
  - {{assertion: {{kind: split_record_counts, counts: {{train: 36, test: 36}}}}}}
  - {{field: number, assertion: {{kind: value_in_set, value: [0, 1, 2]}}}}
  - {{field: image, assertion: {{kind: shape_equals, value: [32, 32, 3]}}}}
SampleData: {{selector: {{n: 4}}}}
Output:
  record_schema:
    image: {{dtype: uint8, shape: [32, 32, 3]}}
    label: {{dtype: str}}
    number: {{dtype: int64}}
    hash: {{dtype: str}}
    corruption: {{dtype: str}}
    severity: {{dtype: int64}}
  shard_records: 9
"""

SETTINGS: dict[str, dict[str, object]] = {
    "two threads": {"workers": 2, "mode": "threads"},
    "two processes": {"workers": 2, "mode": "processes"},
    "hostile": {"workers": 1, "mode": "threads", "runner_factory": hostile(11)},
}


def write_recipe(class_folders: Path, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(path=class_folders))
    return path


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("everything")
    return rb.run(write_recipe(class_folders, folder), cache_root=folder / "cache", workers=1)


def test_counts(built: RunResult) -> None:
    assert built.counts == {"train": 36, "test": 36}
    raw = built.manifest.raw
    assert raw["ledger"] == {"filtered": 6}
    assert [e["passed"] for e in raw["expectations"]] == [True] * 5


def test_rows(built: RunResult) -> None:
    instance = rb.open_instance(built.path)
    test = list(instance.split("test", raw=True))
    assert Counter((row["corruption"], row["severity"]) for row in test) == {("fog", 2): 12, ("gaussian_noise", 2): 12, ("none", 0): 12}
    assert {(row["label"], row["number"]) for row in test} == {("circle", 0), ("square", 1), ("triangle", 2)}
    train = list(instance.split("train", raw=True))
    assert len({row["record_id"] for row in train}) == 36
    assert {row["corruption"] for row in train} == {None}
    flips = Counter(json.loads(row["augmentation"])[0]["sampled"]["flip"] for row in train)
    assert set(flips) == {True, False}


def test_it_verifies_and_has_its_sample(built: RunResult) -> None:
    report = verify(built.path, deep=True, recipe_digest=digest_of_recipe)
    assert report.ok, report.findings
    instance = rb.open_instance(built.path)
    assert {len(instance.sample(split)) for split in instance.splits} == {4}
    ledger = pq.read_table(Path(built.path) / "report" / "ledger.parquet").to_pylist()
    assert {row["op"] for row in ledger} == {"ten"}


@pytest.mark.parametrize("name", SETTINGS)
def test_one_digest(name: str, class_folders: Path, tmp_path: Path, run: Run, built: RunResult, copy_of: Callable[[Path], Path]) -> None:
    result = run(write_recipe(class_folders, tmp_path), **SETTINGS[name])
    assert (Path(result.path) / "manifest.json").read_bytes() == (Path(built.path) / "manifest.json").read_bytes()
