"""The recipes people already have load verbatim, pass every check and mean what they meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from refinery_beam.plugins.base import Plugin
from refinery_beam.recipe import canonical, effective_yaml, load_recipe, refuse_unexecuted, run_checks

MAIN = """\
schema_version: 1
plugin: image_classification
seed: 0
Input:
  sources:
    - name: train
      type: image_folder
      path: my-images
Output:
  record_schema:
    image: { dtype: uint8, shape: [32, 32, 3] }
    label: { dtype: str }
    path: { dtype: str }
Labels:
  field: label
  source: { kind: derived, derivation: parent_directory_name }
Splits:
  ratios: { train: 0.7, val: 0.15, test: 0.15 }
  seed: 11
  stratify_by: label
Transformations:
  - name: resize
    op: resize
    params: { size: 32, method: bilinear }
    splits: [train, val, test]
  - name: normalize
    op: normalize
    fit_source: train          # statistics fit on train, applied everywhere
    splits: [train, val, test]
Featurizations:
  - name: derive_label
    inputs: [path]
    output_field: label
    op: label_from_path
    params: { source: parent_directory_name }
    splits: [train, val, test]
Visualizations:
  - name: class_distribution
    op: class_distribution_histogram
    stage: post_pipeline
    mode: reporting
  - name: samples
    op: sample_grid
    params: { n: 16, per_class: true }
    stage: post_pipeline
    mode: reporting
variants:
  no_augment:
    Augmentations: []
"""

FRAME = """\
schema_version: 1
plugin: image_classification
Output:
  record_schema:
    image: { dtype: uint8, shape: null }
    label: { dtype: str }
"""

SIDECAR = (
    FRAME
    + """\
Input:
  sources:
    - name: images
      type: image_flat
      path: ./my-dataset/images
      label_from:
        path: ./my-dataset/labels.csv
        join: by_id
        id_field: filename
        label_field: class
Labels:
  field: label
  source: { kind: direct }
Splits:
  ratios: { train: 0.8, test: 0.2 }
"""
)

PARTITIONED = (
    FRAME
    + """\
Input:
  sources:
    - name: train_data
      type: image_folder
      path: ./my-dataset/train
      partition: train
    - name: test_data
      type: image_folder
      path: ./my-dataset/test
      partition: test
Splits:
  ratios: { train: 0.85, val: 0.15 }
  applies_to: train                    # carve val from train; test stays heldout
  stratify_by: label
  seed: 7
Labels:
  field: label
  source: { kind: direct }
"""
)

UNLABELED = (
    FRAME
    + """\
Input:
  sources:
    - name: train_data
      type: image_folder
      path: ./my-dataset/train
      partition: train
    - name: test_data
      type: image_flat                 # flat layout, no labels
      path: ./my-dataset/test
      partition: test
      unlabeled: true
Labels:
  field: label
  source: { kind: direct }             # labels exist for labeled partitions
Splits:
  ratios: { train: 0.85, val: 0.15 }
  applies_to: train                    # only sub-partition the labeled side
  stratify_by: label
"""
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("my-images", "my-dataset/images", "my-dataset/train", "my-dataset/test"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "my-dataset/labels.csv").write_text("filename,class\nimg_001,cat\n")
    return tmp_path


@pytest.mark.parametrize("text", [MAIN, SIDECAR, PARTITIONED, UNLABELED], ids=["main", "sidecar", "partitioned", "unlabeled"])
def test_seed_recipes(text: str, home: Path, plugin: Plugin) -> None:
    (home / "recipe.yaml").write_text(text)
    recipe = load_recipe(home / "recipe.yaml")
    results = run_checks(recipe, plugin, cache_root=str(home / "cache"))
    assert {r.number: [e.render() for e in r.errors] for r in results if r.status != "pass"} == {}
    refused = [e.message for e in refuse_unexecuted(recipe, plugin)]
    assert refused == (["the section Visualizations is not executed yet"] if text is MAIN else [])
    (home / "effective.yaml").write_text(effective_yaml(recipe, plugin))
    assert canonical(load_recipe(home / "effective.yaml"), plugin) == canonical(recipe, plugin)


def test_the_main_recipe_without_pictures_is_executed_whole(home: Path, plugin: Plugin) -> None:
    (home / "recipe.yaml").write_text(MAIN.split("Visualizations:")[0])
    assert refuse_unexecuted(load_recipe(home / "recipe.yaml"), plugin) == []


def test_the_variant_changes_nothing_here_but_can_be_selected(home: Path) -> None:
    (home / "recipe.yaml").write_text(MAIN)
    recipe = load_recipe(home / "recipe.yaml", overlays=["no_augment"])
    assert recipe.overlays == ("no_augment",)
    assert canonical(recipe) == canonical(load_recipe(home / "recipe.yaml"))
