"""Colour profiles, deep samples and odd formats are the same pixels on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.launch import RunResult
from refinery_beam.launch.run import run_with
from refinery_beam.plugins.image_classification.codecs.calibration import wide_profile
from support.clusters import flags
from support.engine_runs import same, settings
from support.recipes import SMALL, write_recipe

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures: JPEG and PNG with a wide profile, 12 bits in PNG and TIFF, and files that are damaged."""
    folder = tmp_path_factory.mktemp("pixels")
    draw = np.random.default_rng(5)
    for label in ("a", "b"):
        home = folder / "photos" / label
        home.mkdir(parents=True)
        for n in range(3):
            colours = Image.fromarray(draw.integers(0, 256, (20, 24, 3), np.uint8))
            colours.save(home / f"wide{n}.jpg", icc_profile=wide_profile(), quality=95)
            colours.save(home / f"wide{n}.png", icc_profile=wide_profile())
            deep = Image.fromarray(draw.integers(0, 4096, (20, 24), np.uint16))
            deep.save(home / f"deep{n}.png")
            deep.save(home / f"deep{n}.tif")
        (home / "cut.jpg").write_bytes((home / "wide0.jpg").read_bytes()[:-200])
    odd = {"on_error": "quarantine", "max_bad_fraction": 0.2, "decode": {"bits": 12}}
    return write_recipe(folder / "photos", folder, base=SMALL, input=odd, output={"shard_records": 5})


@pytest.fixture(scope="module")
def expected(recipe: Path) -> RunResult:
    result = rb.run(recipe, cache_root=recipe.parent / "reference", workers=1, mode="threads")
    assert (sum(result.counts.values()), result.manifest.raw["ledger"]) == (24, {"truncated": 2})
    return result


@pytest.mark.parametrize("name", ["processes", "hostile bundles", "prism", "flink", "spark"])
def test_one_digest_of_pixels(
    name: str, recipe: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    result = run_with(recipe, settings(name, cache_root=str(tmp_path / "cache"), beam_options=flags(name)))
    same(result, expected, reported, f"{name}, colour and depth")
