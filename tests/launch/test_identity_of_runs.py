"""What is a hit, what is a miss, and one digest whatever the engine does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.launch import RunResult
from refinery_beam.testing.engine import hostile, replayed
from support.recipes import NORMALIZE, RESIZE, SPLITS, Run, more, write_recipe


@pytest.fixture
def images(class_folders: Path, copy_of: Callable[[Path], Path]) -> Path:
    return copy_of(class_folders)


# Edits of the text: what they change is how it is written.
COSMETIC: dict[str, Callable[[str], str]] = {
    "remarks": lambda t: "# a remark\n\n" + t.replace("seed: 0", "seed:    0  # zero"),
    "key-order": lambda t: t.replace("plugin: image_classification\nseed: 0\n", "seed: 0\nplugin: image_classification\n"),
    "param-order": lambda t: t.replace("params: {size: 32, method: bilinear}", "params: {method: bilinear, size: 32}"),
    "written-default": lambda t: t.replace("method: bilinear}", "method: bilinear, mode: stretch}"),
    "written-empty": lambda t: t + "InputContracts: []\n",
    "schema-version": lambda t: t.replace("schema_version: 3", "schema_version: 2"),
    "unused-overlay": lambda t: t + "overlays: {unused: {Filters: []}}\n",
}

MEANINGFUL: dict[str, dict[str, Any]] = {
    "ratio": {"splits": {**SPLITS, "ratios": {"train": 0.8, "val": 0.1, "test": 0.1}}},
    "ratio-order": {"splits": {**SPLITS, "ratios": {"train": 0.7, "test": 0.15, "val": 0.15}}},
    "op-parameter": {"transformations": [more(RESIZE, params={"method": "bicubic"}), NORMALIZE]},
    "split-seed": {"splits": {**SPLITS, "seed": 12}},
    "seed": {"seed": 1},
    "source-name": {"source": {"name": "pictures"}},
}


def test_cosmetic_edits_hit_and_meaningful_ones_miss(images: Path, tmp_path: Path, run: Run) -> None:
    plain = write_recipe(images, tmp_path).read_text()
    first = run(write_recipe(images, tmp_path))
    assert first.status == "built"
    for name, edit in COSMETIC.items():
        assert edit(plain) != plain, name
        (tmp_path / f"{name}.yaml").write_text(edit(plain))
        second = run(tmp_path / f"{name}.yaml")
        assert (name, second.status, second.path) == (name, "hit", first.path)
    keys = {first.manifest.recipe_hash + str(first.manifest.seed)}
    for name, parts in MEANINGFUL.items():
        planned = rb.plan(write_recipe(images, tmp_path, name=f"{name}.yaml", **parts), cache_root=tmp_path / "cache")
        assert (name, planned.status, planned.recipe_hash + str(planned.seed) in keys) == (name, "miss", False)
        keys.add(planned.recipe_hash + str(planned.seed))


def test_files_decide_by_content(images: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(images, tmp_path)
    first = run(recipe)
    victim = sorted((images / "circle").iterdir())[0]
    os.utime(victim, (time.time() - 100, time.time() - 100))
    (images / "circle" / ".DS_Store").write_bytes(b"stray")
    (images / "notes.txt").write_text("stray")
    assert run(recipe).status == "hit"
    with Image.open(victim) as picture:
        changed = picture.convert("RGB")
    changed.putpixel((0, 0), (1, 2, 3))
    changed.save(victim)
    assert run(recipe).status == "built"
    victim.rename(images / "square" / "moved.png")
    third = run(recipe)
    assert (third.status, third.path == first.path) == ("built", False)


def test_moving_everything_is_a_hit(images: Path, tmp_path: Path, run: Run) -> None:
    first = run(write_recipe(images, tmp_path))
    moved = images.rename(images.parent / "elsewhere")
    second = run(write_recipe(moved, tmp_path, name="moved.yaml"))
    assert (second.status, second.path) == ("hit", first.path)


def test_a_hit_imports_no_engine(images: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(images, tmp_path)
    run(recipe)
    code = (
        "import sys\n"
        "from refinery_beam.cli.app import call\n"
        f"code = call(['run', {str(recipe)!r}, '--cache-root', {str(tmp_path / 'cache')!r}, '--json'])\n"
        "heavy = [m for m in ('apache_beam', 'numpy', 'pyarrow', 'pandas', 'fsspec') if m in sys.modules]\n"
        "print(code, heavy)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert json.loads(out[0])["status"] == "hit"
    assert out[1] == "0 []"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")
def test_a_build_imports_the_engine_in_its_child_alone(images: Path, tmp_path: Path) -> None:
    """The parent is told of the end by values: importing Beam again would cost as much as the run of a few records, and say things."""
    recipe = write_recipe(images, tmp_path)
    code = (
        "import sys\n"
        "from refinery_beam.cli.app import call\n"
        f"code = call(['run', {str(recipe)!r}, '--cache-root', {str(tmp_path / 'cache')!r}, '--json', '--workers', '1'])\n"
        "print(code, 'apache_beam' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    out = done.stdout.splitlines()
    assert (json.loads(out[0])["status"], out[1]) == ("built", "0 False")


SETTINGS: dict[str, dict[str, object]] = {
    "one thread": {"workers": 1, "mode": "threads"},
    "two threads": {"workers": 2, "mode": "threads"},
    "four threads": {"workers": 4, "mode": "threads"},
    "two processes": {"workers": 2, "mode": "processes"},
    "every bundle twice": {"workers": 1, "mode": "threads", "runner_factory": replayed(1)},
    **{f"hostile bundles {seed}": {"workers": 1, "mode": "threads", "runner_factory": hostile(seed)} for seed in range(4)},
}


@pytest.fixture(scope="module")
def expected(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    from refinery_beam.launch.run import run as launch

    folder = tmp_path_factory.mktemp("reference")
    return launch(write_recipe(class_folders, folder, fields=FLOATS), cache_root=folder / "cache", workers=1)


FLOATS = {"image": {"dtype": "float32"}}
"""Stored normalized: statistics come from a pass of their own."""

# Two of them every time; in processes among the slow tests.
MARKED = [name if name in ("two threads", "hostile bundles 0") else pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS]


@pytest.mark.parametrize("name", MARKED)
def test_one_digest(name: str, class_folders: Path, tmp_path: Path, run: Run, expected: RunResult) -> None:
    result = run(write_recipe(class_folders, tmp_path, fields=FLOATS), **SETTINGS[name])
    assert result.status == "built"
    for key in ("files_digest", "logical_digest"):
        assert result.manifest.raw[key] == expected.manifest.raw[key]
    assert (Path(result.path) / "manifest.json").read_bytes() == (Path(expected.path) / "manifest.json").read_bytes()


def test_order_of_listing_does_not_matter(
    class_folders: Path, tmp_path: Path, run: Run, expected: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    import refinery_beam.launch.build.attempt as build

    make = build.make_refs

    def shuffled(entries: list[object], plan: object, plugin: object) -> object:
        refs, grouped = make(entries, plan, plugin)  # type: ignore[arg-type]
        return iter(sorted(refs, key=lambda r: r.digest)), grouped

    monkeypatch.setattr(build, "make_refs", shuffled)
    result = run(write_recipe(class_folders, tmp_path, fields=FLOATS))
    assert result.manifest.raw["files_digest"] == expected.manifest.raw["files_digest"]


def test_a_damaged_instance_is_rebuilt(images: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(images, tmp_path)
    first = run(recipe)
    next((Path(first.path) / "dataset" / "train").iterdir()).unlink()
    again = run(recipe)
    assert (again.status, again.path) == ("built", first.path)
    assert again.manifest.raw == first.manifest.raw
