"""What a run will warn of is said by `plan`, from the first files; and by the run, from all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from support.recipes import SMALL, write_recipe


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty files of 12 bits in 16, and one that fills them."""
    root = tmp_path_factory.mktemp("scans")
    for label in ("a", "b"):
        (root / label).mkdir()
        for k in range(10):
            values = np.linspace(0, 4095 - k, 40 * 30).astype(np.uint16).reshape(30, 40)
            Image.fromarray(values).save(root / label / f"{k}.png")
    Image.fromarray(np.full((30, 40), 65_535, np.uint16)).save(root / "b" / "full.png")
    (root / "b" / "broken.png").write_bytes(b"no image")
    return root


def test_plan_and_run_warn_of_samples_that_do_not_fill_sixteen_bits(scans: Path, tmp_path: Path) -> None:
    recipe = write_recipe(scans, tmp_path, base=SMALL, input="{on_error: quarantine, max_bad_fraction: 0.5}")
    planned = dict(rb.plan(recipe, cache_root=tmp_path / "cache").warnings)
    assert planned["low-bits"].startswith("of the first 16 files: ")
    assert "with samples of 16 bits have none above 4,09" in planned["low-bits"]
    assert planned["low-bits"].endswith("if samples have 12 bits, write Input.decode.bits: 12")
    built = rb.run(recipe, cache_root=tmp_path / "cache", workers=1)
    assert dict(built.warnings)["low-bits"].startswith("20 files of 21 with samples of 16 bits have none above 4,095")
    assert "no-end-marker" not in dict(built.warnings)
