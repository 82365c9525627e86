"""The engines a machine can have, and a recipe with most of what crosses stages."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from refinery_beam.testing import images

sys.path.insert(0, str(Path(__file__).parent))

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
    image: {{dtype: float32, shape: [24, 24, 3]}}
    label: {{dtype: str}}
    path: {{dtype: str}}
  shard_records: 20
Labels: {{field: label, source: {{kind: derived, derivation: parent_directory_name}}}}
Splits:
  ratios: {{train: 0.7, val: 0.15, test: 0.15}}
  seed: 11
  stratify_by: label
  keep_duplicates_together: exact
Transformations:
  - {{name: resize, op: resize, params: {{size: 24, method: bilinear}}, splits: [train, val, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, val, test]}}
"""


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 pictures in three classes, nine of them twice, and three broken files."""
    root = tmp_path_factory.mktemp("engines") / "photos"
    images.class_folders(root, per_class=60)
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
def told() -> list[tuple[str, str, float, int]]:
    return TABLE
