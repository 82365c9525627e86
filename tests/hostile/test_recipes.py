"""Every pipeline of the suite, under an engine that does its worst: the plain run's bytes, and nothing large or pickled across a stage.

Three layers. The compat suite runs under hostility always, one seed a recipe, and its exact expectations hold. `make test-hostile` makes
every other run of the suite hostile too (`HOSTILE_SEED`, see the top conftest). Here hostile and plain runs are compared byte by byte: four
recipes that between them have every kind of stage, and in the slow tests the whole catalogue.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from refinery_beam.testing import images
from refinery_beam.testing.hostile import check_recipe
from support import seeds
from support.everything import write_everything
from support.kitchen import NAMES, Kitchen, expectations

RUNNING = [name for name in NAMES if not {"refused", "fails"} & expectations(name).keys()]
QUICK = ("filter_twins", "generation_renamed_tags", "contracts_all")
"""Beside the recipe with everything: near duplicates, children and their tags, all contracts."""


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Kitchen.stocked(tmp_path_factory.mktemp("hostile")).root


def check(kitchen: Path, name: str, seeds: list[int]) -> None:
    head = expectations(name)
    before = [kitchen / f"{head['first']}.yaml"] if "first" in head else []
    check_recipe(kitchen / f"{name}.yaml", seeds=seeds, overlays=head.get("overlays", ()), before=before)


@pytest.mark.parametrize("name", QUICK)
def test_a_few(name: str, kitchen: Path) -> None:
    check(kitchen, name, [1])


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNING)
def test_the_whole_catalogue(name: str, kitchen: Path) -> None:
    check(kitchen, name, [2])


SEEDS = {"main": images.class_folders, "sidecar": images.flat_with_csv, "partitioned": images.train_test, "unlabeled": images.unlabeled}
FOLDERS = {"main": "my-images"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_recipes_people_have(name: str, tmp_path: Path) -> None:
    SEEDS[name](tmp_path / FOLDERS.get(name, "my-dataset"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes((seeds.FOLDER / f"{name}.yaml").read_bytes())
    check_recipe(recipe, seeds=[4, 5, 6])


@pytest.mark.slow
def test_everything_at_once_under_twenty_seeds(class_folders: Path, tmp_path: Path) -> None:
    check_recipe(write_everything(class_folders, tmp_path), seeds=20)
