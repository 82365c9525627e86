"""A folder as people have one: pictures, a recipe that quarantines bad files, and the shell stands in it."""

from __future__ import annotations

from pathlib import Path

from refinery_beam.testing import images

RECIPE = """\
schema_version: 3
plugin: image_classification
seed: 0
Input: {sources: [{name: photos, type: image_folder, path: my-images}], on_error: quarantine, max_bad_fraction: 0.5}
Labels: {field: label, source: {kind: direct}}
Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}
Splits: {ratios: {train: 0.5, test: 0.5}, stratify_by: label}
Transformations:
  - {name: resize, op: resize, params: {size: 16, method: bilinear}, splits: [train, test]}
"""
"""It ends in its transformations, so a test may add some, and sections."""


def drawn(root: Path, recipe: str, **how: object) -> Path:
    """Ten circles, ten squares and a file that is no picture, and a recipe."""
    images.class_folders(root / "my-images", classes=("circle", "square"), per_class=10, **how)  # type: ignore[arg-type]
    (root / "my-images/circle/words.png").write_text("no picture")
    (root / "recipe.yaml").write_text(recipe)
    return root
