"""Every pipeline of the suite, under an engine that does its worst: the plain run's bytes, and nothing large or pickled across a stage.

Three layers. The compat suite runs under hostility always, one seed a recipe, and its exact expectations hold. `make test-hostile` makes
every other run of the suite hostile too (`HOSTILE_SEED`, see the top conftest). Here hostile and plain runs are compared byte by byte: four
recipes that between them have every kind of stage, and in the slow tests the whole catalogue.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from refinery_beam.testing import images
from refinery_beam.testing.hostile import check_recipe

TESTS = Path(__file__).parents[1]


def load(path: str) -> ModuleType:
    """A module of the suite by its file, for the recipes in it."""
    name = "catalogue_" + Path(path).stem
    if name not in sys.modules:
        for folder in ("compat", "launch"):
            if str(TESTS / folder) not in sys.path:
                sys.path.insert(0, str(TESTS / folder))
        spec = importlib.util.spec_from_file_location(name, TESTS / path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


KITCHEN = load("compat/kitchen.py")
RUNNING = [name for name in KITCHEN.NAMES if not {"refused", "fails"} & KITCHEN.expectations(name).keys()]
QUICK = ("filter_twins", "generation_renamed_tags", "contracts_all")
"""Beside the recipe with everything: near duplicates, children and their tags, all contracts."""


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    load("compat/sets.py").draw_all(root)
    for recipe in KITCHEN.RECIPES.glob("*.yaml"):
        (root / recipe.name).write_bytes(recipe.read_bytes())
    return root


def check(kitchen: Path, name: str, seeds: list[int]) -> None:
    head = KITCHEN.expectations(name)
    before = [kitchen / f"{head['first']}.yaml"] if "first" in head else []
    check_recipe(kitchen / f"{name}.yaml", seeds=seeds, overlays=head.get("overlays", ()), before=before)


@pytest.mark.parametrize("name", QUICK)
def test_a_few(name: str, kitchen: Path) -> None:
    check(kitchen, name, [1])


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNING)
def test_the_whole_catalogue(name: str, kitchen: Path) -> None:
    check(kitchen, name, [1, 2])


SEEDS = {"main": images.class_folders, "sidecar": images.flat_with_csv, "partitioned": images.train_test, "unlabeled": images.unlabeled}
FOLDERS = {"main": "my-images"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_recipes_people_have(name: str, tmp_path: Path) -> None:
    SEEDS[name](tmp_path / FOLDERS.get(name, "my-dataset"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes((TESTS / "seed_recipes" / f"{name}.yaml").read_bytes())
    check_recipe(recipe, seeds=[4, 5, 6])


@pytest.mark.slow
def test_everything_at_once_under_twenty_seeds(class_folders: Path, tmp_path: Path) -> None:
    check_recipe(load("launch/test_everything.py").write_recipe(class_folders, tmp_path), seeds=20)
