"""A main recipe over class folders, and the ways to run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from refinery_beam.launch import RunResult

MAIN = """\
schema_version: 3
plugin: image_classification
seed: 0
Input:
  sources:
    - {{name: photos, type: image_folder, path: {path}}}
Output:
  record_schema:
    image: {{dtype: uint8, shape: [32, 32, 3]}}
    label: {{dtype: str}}
    path: {{dtype: str}}
  shard_records: 7
Labels:
  field: label
  source: {{kind: derived, derivation: parent_directory_name}}
Splits:
  ratios: {{train: 0.7, val: 0.15, test: 0.15}}
  seed: 11
  stratify_by: label
Transformations:
  - {{name: resize, op: resize, params: {{size: 32, method: bilinear}}, splits: [train, val, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, val, test]}}
"""

Run = Callable[..., RunResult]


def main_recipe(images: Path, folder: Path, *, name: str = "recipe.yaml", change: Callable[[str], str] | None = None) -> Path:
    """Write the main recipe over `images`; `change` edits its text."""
    text = MAIN.format(path=images)
    if change is not None:
        edited = change(text)
        assert edited != text, "the edit found nothing to change"
        text = edited
    path = folder / name
    path.write_text(text)
    return path
