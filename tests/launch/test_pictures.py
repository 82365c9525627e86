"""Pictures: drawn after the dataset, from its rows; once for a key; and never at the dataset's cost."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cli.app import call
from refinery_beam.identity import rank, record_key
from refinery_beam.plugins.common.canvas import COLOURS, SIDE
from refinery_beam.reading.view import View
from refinery_beam.testing.engine import hostile
from support.recipes import Run, more, write_recipe

GRID = "{name: grid, op: sample_grid, params: {n: 3, per_class: true}, stage: post_pipeline, mode: reporting}"
MEANS = "{name: means, op: mean_image_per_class, stage: post_pipeline, mode: reporting}"
BARS = "{name: bars, op: class_distribution_histogram, stage: post_pipeline, mode: reporting}"
LADDER = "{name: ladder, op: severity_ladder, params: {n_examples: 1, corruption_type: fog}, stage: post_pipeline, mode: exploration}"
LEFT, TOP = 24, 72
"""Where the first tile of a sheet without left column begins."""


def digests(pictures: Any) -> dict[str, str]:
    return {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in pictures.items()}


def test_a_hit_draws_nothing_and_an_edit_draws_only_itself(class_folders: Path, tmp_path: Path, run: Run) -> None:
    first = run(write_recipe(class_folders, tmp_path, pictures=[GRID, MEANS]))
    assert (first.status, list(first.pictures), first.notes) == ("built", ["grid", "means"], ())
    assert {Path(path).parent for path in first.pictures.values()} == {Path(first.path) / "report" / "pictures"}
    before = digests(first.pictures)
    for path in first.pictures.values():
        os.utime(path, (1, 1))
    assert digests(run(write_recipe(class_folders, tmp_path, pictures=[GRID, MEANS])).pictures) == before
    edited = run(write_recipe(class_folders, tmp_path, pictures=[more(GRID, params={"n": 2}), MEANS, BARS]))
    assert (edited.status, edited.path) == ("hit", first.path)
    assert [name for name, path in edited.pictures.items() if os.stat(path).st_mtime != 1] == ["grid", "bars"]
    os.remove(edited.pictures["means"])
    again = run(write_recipe(class_folders, tmp_path, pictures=[MEANS]))
    assert digests(again.pictures) == {"means": before["means"]}


@pytest.mark.slow
def test_workers_and_bundles_change_no_picture(class_folders: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(class_folders, tmp_path, pictures=[GRID, MEANS, BARS])
    ways = ({"workers": 1}, {"workers": 2, "runner_factory": hostile(5)})
    drawn = [digests(run(recipe, cache=f"cache{i}", **how).pictures) for i, how in enumerate(ways)]
    assert drawn[0] == drawn[1]


def test_means_are_exact(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """32 pixels are enlarged three times, so every third pixel of a tile is one of the mean image."""
    result = run(write_recipe(class_folders, tmp_path, pictures=[MEANS]))
    sheet = np.asarray(Image.open(result.pictures["means"]))
    instance, edge = rb.open_instance(result.path), (SIDE - 96) // 2
    for location, label in enumerate(("circle", "square", "triangle")):
        images = [r["image"].astype(np.int64) for s in instance.splits for r in instance.split(s, raw=True) if r["label"] == label]
        want = (2 * sum(images) + len(images)) // (2 * len(images))  # type: ignore[operator]
        left = LEFT + location * (SIDE + 8) + edge
        tile = sheet[TOP + edge : TOP + edge + 96 : 3, left : left + 96 : 3]
        assert len(images) == 12 and (tile == want).all()


def test_bars_have_the_lengths_of_their_counts(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """6 in train, 3 in val and test, of each of three classes: the longest bar is 420 pixels."""
    splits = {"ratios": {"train": 0.5, "val": 0.25, "test": 0.25}, "stratify_by": "label"}
    result = run(write_recipe(class_folders, tmp_path, pictures=[BARS], splits=splits))
    pixels = np.asarray(Image.open(result.pictures["bars"]))
    lengths = {}
    for split, colour in zip(("train", "val", "test"), COLOURS, strict=False):
        is_colour = (pixels == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=2)
        rows = is_colour.sum(axis=1)
        lengths[split] = sorted({int(n) for n in rows if n > 50})
    assert lengths == {"train": [420], "val": [210], "test": [210]}


def test_records_are_chosen_by_rank(class_folders: Path, tmp_path: Path, run: Run) -> None:
    instance = rb.open_instance(run(write_recipe(class_folders, tmp_path)).path)
    sampled = View(instance, name="grid", seed=0).sample(3, per_class=True)
    rows = {r["record_id"]: (s, r["label"], r["image"]) for s in instance.splits for r in instance.split(s, raw=True)}
    want = []
    for label in ("circle", "square", "triangle"):
        ids = [i for i, (_, of, _) in rows.items() if of == label]
        want += sorted(ids, key=lambda i: rank("picture", 0, "grid", record_key(i)))[:3]
    assert [shown.record_id for shown in sampled] == want
    assert all((shown.split, shown.label) == rows[shown.record_id][:2] for shown in sampled)
    assert all((shown.pixels == rows[shown.record_id][2]).all() for shown in sampled)


def test_what_augmentation_makes(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """Lazy variants are those a reader would give; aggressive ones are those that are stored."""
    lazy = "{name: flip, op: horizontal_flip, params: {p: 0.5}}"
    instance = rb.open_instance(run(write_recipe(class_folders, tmp_path, augmentations=[lazy])).path)
    for shown, variants in View(instance, name="seen", seed=0).variants(3, 4):
        assert shown is not None and [name for name, _ in variants.images] == [f"epoch {k}" for k in range(4)]
        for number, (_, pixels) in enumerate(variants.images):
            (row,) = [r for r in instance.split("train", raw=True, epoch=number) if r["record_id"] == shown.record_id]
            assert (pixels == row["image"]).all()
    stored = more(lazy, materialization="aggressive", expansion=2)
    instance = rb.open_instance(run(write_recipe(class_folders, tmp_path, augmentations=[stored])).path)
    for base, variants in View(instance, name="seen", seed=0).variants(2, 5):
        assert base is None and [name for name, _ in variants.images] == ["flip:0", "flip:1"]


def test_one_that_cannot_be_drawn_is_a_note(class_folders: Path, tmp_path: Path, run: Run) -> None:
    drawn = "{name: seen, op: augmented_sample_grid, stage: post_pipeline, mode: reporting}"
    result = run(write_recipe(class_folders, tmp_path, pictures=[drawn, BARS]))
    assert (list(result.pictures), result.notes) == (["bars"], ("the picture 'seen' is not drawn: the recipe has no augmentations",))
    assert run(write_recipe(class_folders, tmp_path, pictures=[BARS])).status == "hit", "the dataset is complete all the same"


@pytest.mark.parametrize(
    "parts",
    [{"fields": {"image": {"dtype": "float32"}}}, {"fields": {"image": {"shape": [None, None, 3]}}, "transformations": None}],
    ids=["floats", "any size"],
)
def test_floats_and_images_of_any_size(parts: dict[str, Any], class_folders: Path, tmp_path: Path, run: Run) -> None:
    values = "{name: values, op: pixel_distribution, params: {bins: 9}, stage: post_pipeline, mode: reporting}"
    result = run(write_recipe(class_folders, tmp_path, pictures=[GRID, MEANS, values], **parts))
    assert list(result.pictures) == ["grid", "means", "values"] and result.notes == ()
    for path in result.pictures.values():
        with Image.open(path) as picture:
            assert len(set(picture.convert("L").tobytes())) > 20


def test_the_verb(class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(write_recipe(class_folders, tmp_path, pictures=[BARS, LADDER]))
    location = ["--cache-root", str(tmp_path / "cache")]
    assert call(["draw", recipe, *location]) == 3, "nothing is built"
    assert "there is no instance" in capsys.readouterr().err
    assert call(["run", recipe, *location]) == 0
    assert "/0/report/pictures  (bars)\n" in capsys.readouterr().out
    assert call(["draw", recipe, "ladder", "--json", *location]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (list(body["pictures"]), body["notes"]) == (["ladder"], []) and Path(body["pictures"]["ladder"]).is_file()
    assert call(["draw", recipe, "laddr", *location]) == 2
    assert "did you mean 'ladder'?" in capsys.readouterr().err


PLUGIN = """
from PIL import Image
from refinery_beam.plugins.base import AssertionSpec, Extension, OpSpec, Params

class NoParams(Params):
    pass

class Swatch:
    spec = OpSpec(name="swatch", section="Visualizations", version=1, params=NoParams, summary="One colour.")
    needs_pixels = False
    def draw(self, view, params):
        if view.name == "broken":
            return 1 / 0
        return Image.new("RGB", (view.records, 10), "#123456")

class Lower:
    spec = AssertionSpec(kind="lower_case", version=1, params=NoParams, summary="Text in lower case.", field=True)
    def offence(self, value, params):
        return "" if value == value.lower() else "not in lower case"

PLUGIN = Extension(name="more", version=1, ops=[Swatch()], assertions=[Lower()])
"""


@pytest.mark.slow
def test_a_plugins_picture_and_assertion(class_folders: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "more.py").write_text(PLUGIN)
    swatch = "{name: %s, op: swatch, stage: post_pipeline, mode: reporting}"
    lower = "{field: label, assertion: {kind: lower_case}}"
    recipe = write_recipe(class_folders, tmp_path, expectations=[lower], pictures=[swatch % "mine", swatch % "broken"])
    result = run(recipe, plugin_paths=(str(tmp_path / "more.py"),), mode="processes", workers=2)
    with Image.open(result.pictures["mine"]) as picture:
        assert picture.size == (36, 10)
    assert result.notes == ("the picture 'broken' is not drawn: division by zero",)
    assert [(e["kind"], e["passed"]) for e in result.manifest.raw["expectations"]] == [("lower_case", True)]
    assert "more" in result.manifest.raw["plugin"]["sources"], "what judges a dataset is part of its key"
    upper = write_recipe(class_folders, tmp_path, source={"name": "Photos"}, expectations=[more(lower, field="path")])
    assert "more.py" not in sys.modules and run(upper, plugin_paths=(str(tmp_path / "more.py"),)).counts == result.counts
