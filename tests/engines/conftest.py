"""The engines a machine can have, and a recipe with most of what crosses stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from refinery_beam.testing import images

RECIPE = """\
schema_version: 3
plugin: image_classification
seed: 0
Input:
  sources: [{{name: photos, type: image_folder, path: {path}}}]
  on_error: quarantine
  max_bad_fraction: 0.2
Output:
  record_schema:
    image: {{dtype: uint8, shape: [24, 24, 3]}}
    label: {{dtype: str}}
    path: {{dtype: str}}
    corruption: {{dtype: str}}
    severity: {{dtype: int64}}
    number: {{dtype: int64}}
    hash: {{dtype: str}}
  shard_records: 12
Labels: {{field: label, source: {{kind: derived, derivation: parent_directory_name}}}}
InputContracts:
  - {{assertion: {{kind: record_count_in_range, min: 50}}}}
Filters:
  - {{name: once, op: drop_duplicates, params: {{kind: exact}}}}
  - {{name: wide, op: image_size, params: {{min_width: 32}}}}
  - {{name: most, op: sample_per_class_fractional, params: {{n_per_class_base: 16, fractions: {{triangle: 0.75}}}}, seed: 4}}
  - {{name: dim, op: fact_range, params: {{fact: mean, min: 60}}}}
Splits:
  ratios: {{train: 0.7, val: 0.15, test: 0.15}}
  seed: 11
  stratify_by: label
  keep_duplicates_together: near
Generation:
  - {{name: balance, op: duplicate_minority_class, inputs: [image], output_schema: matches_input, seed: 2}}
  - name: foggy
    op: imagecorruptions_apply
    inputs: [image]
    output_schema: matches_input
    seed: 3
    splits: [test]
    replace_input_records: true
    params: {{corruption_types: [fog, gaussian_noise], severities: [2], preserve_original: true, tag_fields: [corruption, severity]}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 24, method: bilinear}}, splits: [train, val, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, val, test]}}
  - {{name: bytes, op: cast, params: {{dtype: uint8, scale: 60.0}}, splits: [train, val, test]}}
Augmentations:
  - {{name: flip, op: horizontal_flip, params: {{p: 0.5}}, materialization: aggressive, expansion: 2, seed: 9}}
Featurizations:
  - name: number
    op: categorical_encode
    inputs: [label]
    output_field: number
    fit_source: train
    params: {{oov: error}}
    splits: [train, val, test]
  - {{name: hash, op: perceptual_hash, inputs: [image], output_field: hash, splits: [train, val, test]}}
OutputExpectations:
  - {{field: image, assertion: {{kind: value_range, min: 0, max: 255}}}}
  - {{field: label, assertion: {{kind: value_in_set, value: [circle, square, triangle]}}}}
SampleData: {{selector: {{n: 5, kind: per_class, seed: 6}}}}
Sinks:
  - name: shown
    stage: post_pipeline
    field: image
    format: png_per_record
    splits: [val]
    path_template: "{{label}}/{{record_id|stem}}.png"
"""


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures in three classes, nine of them twice, and three broken files."""
    root = tmp_path_factory.mktemp("engines") / "photos"
    images.class_folders(root, per_class=20)
    for folder in sorted(root.iterdir()):
        first = sorted(folder.iterdir())
        for picture in first[:3]:
            shutil.copyfile(picture, picture.with_name("copy-" + picture.name))
        (folder / "broken.jpg").write_bytes(first[0].read_bytes()[:60])
    return root


@pytest.fixture(scope="session")
def recipe(photos: Path) -> Path:
    path = photos.parent / "recipe.yaml"
    path.write_text(RECIPE.format(path=photos))
    return path


TABLE: list[tuple[str, str, float, int]] = []
"""Engine, digest of files, seconds, records: what one runs these tests for."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE:
        terminalreporter.section("engines")
    for name, digest, seconds, records in TABLE:
        terminalreporter.write_line(f"{name:36} {digest[:16]}  {seconds:6.1f} s  {records:,} records")


@pytest.fixture
def reported() -> list[tuple[str, str, float, int]]:
    return TABLE
