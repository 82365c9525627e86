"""The whole language in one recipe."""

from __future__ import annotations

from pathlib import Path

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


def write_everything(class_folders: Path, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(path=class_folders))
    return path
