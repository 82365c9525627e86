"""The recipes people already have load verbatim, pass every check and mean what they meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.recipe import canonical, effective_yaml, load_recipe, refuse_unexecuted, run_checks
from support.seeds import MAIN, PARTITIONED, SIDECAR, UNLABELED


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("my-images", "my-dataset/images", "my-dataset/train", "my-dataset/test"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "my-dataset/labels.csv").write_text("filename,class\nimg_001,cat\n")
    return tmp_path


@pytest.mark.parametrize("text", [MAIN, SIDECAR, PARTITIONED, UNLABELED], ids=["main", "sidecar", "partitioned", "unlabeled"])
def test_seed_recipes(text: str, home: Path) -> None:
    plugin = find_plugin("image_classification")
    (home / "recipe.yaml").write_text(text)
    recipe = load_recipe(home / "recipe.yaml")
    results = run_checks(recipe, plugin, cache_root=str(home / "cache"))
    assert {r.number: [e.render() for e in r.errors] for r in results if r.status not in ("pass", "skip")} == {}
    refused = [e.message for e in refuse_unexecuted(recipe, plugin)]
    assert refused == []
    (home / "effective.yaml").write_text(effective_yaml(recipe, plugin))
    assert canonical(load_recipe(home / "effective.yaml"), plugin) == canonical(recipe, plugin)


def test_the_variant_changes_nothing_here_but_can_be_selected(home: Path) -> None:
    (home / "recipe.yaml").write_text(MAIN)
    recipe = load_recipe(home / "recipe.yaml", overlays=["no_augment"])
    assert recipe.overlays == ("no_augment",)
    assert canonical(recipe) == canonical(load_recipe(home / "recipe.yaml"))
