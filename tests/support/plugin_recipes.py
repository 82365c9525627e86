"""Recipes over drawn images for the tests of plugins."""

from __future__ import annotations

from pathlib import Path

TEXT = """\
schema_version: 3
plugin: {plugin}
Input:
  sources:
    - {{name: photos, type: {kind}, path: {path}}}
Output:
  record_schema:
    image: {{dtype: uint8, shape: [16, 16, 3]}}
    label: {{dtype: str}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.75, test: 0.25}}, seed: 3, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 16, method: nearest}}, splits: [train, test]}}
{steps}"""


def recipe(folder: Path, path: Path, *, kind: str = "image_folder", plugin: str = "image_classification", steps: str = "") -> Path:
    """Write a recipe; `steps` are more lines of Transformations."""
    file = folder / "recipe.yaml"
    file.write_text(TEXT.format(path=path, kind=kind, plugin=plugin, steps=steps))
    return file


HALVE_STEP = "  - {name: halve, op: halve, splits: [train, test]}\n"
