"""One folder with every image set and every recipe of the suite, and one cache, for each worker of the test run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import RECIPES, Kitchen
from sets import draw_all


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    root = tmp_path_factory.mktemp("compat")
    draw_all(root)
    for recipe in RECIPES.glob("*.yaml"):
        (root / recipe.name).write_bytes(recipe.read_bytes())
    return Kitchen(root)
