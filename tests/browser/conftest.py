"""A browser and pages for it: of three classes, of a thousand, and one on which every name is hostile."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.recipes import SMALL, write_recipe

if importlib.util.find_spec("playwright") is None:
    collect_ignore = ["test_page.py"]

CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

QUARANTINE = {"on_error": "quarantine", "max_bad_fraction": 0.9}
FLIP = "{name: flip, op: horizontal_flip, params: {p: 0.5}, materialization: lazy, splits: [train]}"
GRID = "{name: examples, op: sample_grid, params: {n: 4, per_class: true}, stage: post_pipeline, mode: reporting}"
HOSTILE = ("<script>document.title='x'<", "{{ 7 * 7 }}", "a](javascript:alert(1))", "\x1b[31mred", "\u202egnp", "long" * 50)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "there is no Chromium here: apt-get install chromium, or name one with CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of finished instances by name."""
    folder = tmp_path_factory.mktemp("pages")
    three = folder / "three"
    shutil.copytree(class_folders, three)
    (three / "circle" / "broken.png").write_bytes(b"no image")
    (three / "circle" / "notes.txt").write_text("a note")
    thousand = folder / "thousand"
    for i in range(1_000):
        (thousand / f"class-{i:04}").mkdir(parents=True)
        for n in range(2 + i % 3):
            Image.new("RGB", (16, 16), (i % 256, i * 7 % 256, n * 80)).save(thousand / f"class-{i:04}" / f"{n}.png")
    hostile = folder / "hostile"
    for number, name in enumerate(HOSTILE):
        below = hostile / name.replace("/", "_")
        below.mkdir(parents=True)
        for n in range(4):
            Image.new("RGB", (20, 16), (number * 40, 90, n * 60)).save(below / f"{name.replace('/', '_')[:120]}{n}.png")
        (below / "bad.png").write_bytes(b"no image")
    recipes = {
        "three": write_recipe(three, folder, name="three.yaml", input=QUARANTINE, augmentations=[FLIP], pictures=[GRID]),
        "thousand": write_recipe(thousand, folder, name="thousand.yaml", base=SMALL),
        "hostile": write_recipe(hostile, folder, name="hostile.yaml", base=SMALL, input=QUARANTINE),
    }
    return {name: _page(recipe, folder / "cache") for name, recipe in recipes.items()}


def _page(recipe: Path, cache: Path) -> Path:
    """The page of a run in a process of its own: a thousand classes in a shard make a larger row than the tests' engine lets through."""
    command = [sys.executable, "-m", "refinery_beam", "run", str(recipe), "--cache-root", str(cache), "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    return Path(json.loads(done.stdout)["report"])
