"""Why a run is a hit or a miss: one instance, and every kind of edit that can part a recipe from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cache.manifest import manifest_bytes, sealed
from refinery_beam.testing import images
from support.recipes import position

RECIPE = """\
schema_version: 3
plugin: image_classification
seed: 1
Input:
  sources:
    - {name: photos, type: image_flat, path: data/images, label_from: {path: data/labels.csv, label_field: class, id_field: filename, join:
    by_id}}
Labels: {field: label, source: {kind: direct}}
Output: {record_schema: {image: {dtype: uint8, shape: [16, 16, 3]}, label: {dtype: str}}}
Splits: {ratios: {train: 0.75, test: 0.25}}
Transformations:
  - {name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train, test]}
overlays:
  big:
    Output: {record_schema: {image: {dtype: uint8, shape: [24, 24, 3]}, label: {dtype: str}}}
    Transformations:
      - {name: resize, op: resize, params: {size: 24, method: nearest}, splits: [train, test]}
"""


class Bench:
    """A folder with a recipe, its data and a cache that holds the instance of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = folder / "flowers.yaml"
        self.data = folder / "data"
        self.cache = folder / "cache"

    def edit(self, old: str, new: str) -> None:
        text = self.recipe.read_text()
        assert old in text
        self.recipe.write_text(text.replace(old, new, 1))

    def relabel(self, old: str, new: str) -> None:
        table = self.data / "labels.csv"
        text = table.read_text()
        assert old in text
        table.write_text(text.replace(old, new, 1))

    def files(self) -> list[Path]:
        return sorted((self.data / "images").iterdir())

    def why(self, **options: Any) -> rb.WhyResult:
        return rb.why(self.recipe, cache_root=self.cache, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("why")
    images.flat_with_csv(folder / "data")
    (folder / "flowers.yaml").write_text(RECIPE)
    assert rb.run(folder / "flowers.yaml", cache_root=folder / "cache", workers=1).status == "built"
    return folder


@pytest.fixture
def bench(built: Path, tmp_path: Path) -> Bench:
    shutil.copytree(built, tmp_path / "bench")
    return Bench(tmp_path / "bench")


def restated(bench: Bench, change: Callable[[dict[str, Any]], None]) -> None:
    """The same instance as another release or machine would have made it."""
    (manifest,) = bench.cache.glob("instances/*/*/*/manifest.json")
    raw = json.loads(manifest.read_text())
    change(raw)
    raw["recipe_hash"] = "f" * 64
    manifest.write_bytes(manifest_bytes(sealed(raw)))
    top = bench.cache / "instances"
    (old,) = top.iterdir()
    old.rename(top / ("f" * 16))


def test_a_comment_is_a_hit(bench: Bench) -> None:
    bench.edit("seed: 1", "# nothing new\nseed:   1")
    found = bench.why()
    assert (found.status, found.differences) == ("hit", ())
    (note,) = found.notes
    assert note.startswith("the recipe's text is another than that of ") and note.endswith("comments, order or spelling changed")
    assert str(found).startswith("hit: the recipe means the same, and its 36 files, seed and codecs are those of ")


def test_ratios(bench: Bench) -> None:
    bench.edit("train: 0.75, test: 0.25", "train: 0.5, test: 0.5")
    found = bench.why()
    assert found.status == "miss"
    assert [(d.name, d.before, d.after) for d in found.differences] == [
        ("Splits.ratios.train", 0.75, 0.5),
        ("Splits.ratios.test", 0.25, 0.5),
    ]
    at = position(bench.recipe, "0.5, test")
    assert found.differences[0].at == at
    assert found.sentences()[0] == f"Splits.ratios.train changed from 0.75 to 0.5 ({at})"
    assert found.instance.startswith(str(bench.cache)) and found.nearest in str(found)


def test_order_of_ratios(bench: Bench) -> None:
    bench.edit("train: 0.75, test: 0.25", "test: 0.25, train: 0.75")
    (difference,) = bench.why().differences
    assert difference.sentence.startswith("the order of Splits.ratios is test, train; it was train, test (")


def test_a_parameter(bench: Bench) -> None:
    bench.edit("method: nearest", "method: bicubic")
    (sentence,) = bench.why().sentences()
    assert sentence == (f"Transformations.resize.params.method changed from nearest to bicubic ({position(bench.recipe, 'bicubic')})")


def test_a_step_that_is_new_and_one_that_is_gone(bench: Bench) -> None:
    bench.edit("overlays:", "  - {name: colours, op: to_rgb, splits: [train, test]}\noverlays:")
    bench.edit("name: resize, op", "name: smaller, op")
    found = bench.why()
    assert [(d.change, d.name) for d in found.differences] == [
        ("added", "Transformations.smaller"),
        ("added", "Transformations.colours"),
        ("removed", "Transformations.resize"),
    ]
    assert found.sentences()[1].startswith("Transformations has a new step, colours (to_rgb)")
    assert found.sentences()[2].startswith("Transformations has no step resize any more")


def test_an_op_of_another_version(bench: Bench) -> None:
    def older(raw: dict[str, Any]) -> None:
        raw["op_versions"]["resize"] -= 1

    restated(bench, older)
    (difference,) = bench.why().differences
    assert (difference.part, difference.name, difference.after - difference.before) == ("op", "resize", 1)
    assert difference.sentence == f"the op resize is version {difference.after} here, and was version {difference.before}"


def test_another_law(bench: Bench) -> None:
    restated(bench, lambda raw: raw["identity"].update(storage=1))
    (difference,) = bench.why().differences
    assert difference.part == "law" and difference.sentence.startswith("how rows become files is version ")


def test_a_codec(bench: Bench) -> None:
    def other(raw: dict[str, Any]) -> None:
        raw["codec_fingerprint"] = "0" * 64
        raw["codec_parts"]["decode-webp"] = "0" * 16
        raw["environment"]["codecs"]["webp"] = "0.1"

    restated(bench, other)
    (difference,) = bench.why().differences
    assert (difference.part, difference.name, difference.before) == ("codec", "decode-webp", {"webp": "0.1"})
    here = difference.after["webp"]
    assert difference.sentence == (f"the codecs of this machine give other results in decode-webp; other versions: webp 0.1 -> {here}")


def test_a_codec_without_another_version(bench: Bench) -> None:
    restated(bench, lambda raw: raw.update(codec_fingerprint="0" * 64, codec_parts={}))
    (sentence,) = bench.why().sentences()
    assert sentence.endswith("give other results; no recorded version is another, so it is another build of one")


def test_another_release_and_nothing_else(bench: Bench) -> None:
    restated(bench, lambda raw: raw.update(refinery_beam="0.0.1"))
    (difference,) = bench.why().differences
    assert (difference.part, difference.before, difference.after) == ("release", "0.0.1", rb.__version__)


def test_a_pixel(bench: Bench) -> None:
    file = next(f for f in bench.files() if f.suffix == ".png")
    with Image.open(file) as picture:
        changed = picture.convert("RGB")
    changed.putpixel((0, 0), (1, 2, 3))
    changed.save(file)
    (difference,) = bench.why().differences
    assert (difference.part, difference.change, difference.name) == ("file", "changed", f"photos/{file.name}")
    assert difference.sentence == f"photos/{file.name} has other bytes"


def test_a_label(bench: Bench) -> None:
    name = bench.files()[0].name
    bench.relabel("img_000,circle", "img_000,square")
    (difference,) = bench.why().differences
    assert (difference.part, difference.name, difference.before, difference.after) == ("label", f"photos/{name}", "circle", "square")
    assert difference.sentence == f"the label of photos/{name} changed from circle to square"


def test_an_added_file(bench: Bench) -> None:
    Image.new("RGB", (20, 20), (9, 9, 9)).save(bench.data / "images" / "zzz.png")
    bench.relabel("img_000,", "zzz,circle\nimg_000,")
    (difference,) = bench.why().differences
    assert (difference.change, difference.count) == ("added", 1)
    assert difference.sentence == "photos/zzz.png is a new file"


def test_removed_files(bench: Bench) -> None:
    gone = bench.files()[:5]
    for file in gone:
        file.unlink()
    kept = [line for line in (bench.data / "labels.csv").read_text().splitlines() if not any(f.stem in line for f in gone)]
    (bench.data / "labels.csv").write_text("\n".join(kept) + "\n")
    (difference,) = bench.why().differences
    assert (difference.change, difference.count, len(difference.examples)) == ("removed", 5, 5)
    assert difference.sentence.startswith("5 files are there no more: photos/") and difference.sentence.endswith(" and 2 more")


def test_a_renamed_file(bench: Bench) -> None:
    file = bench.files()[0]
    file.rename(file.with_name("other.png"))
    bench.relabel("img_000,", "other,")
    (difference,) = bench.why().differences
    assert (difference.change, difference.before, difference.after) == ("renamed", f"photos/{file.name}", "photos/other.png")
    assert difference.sentence == f"photos/{file.name} is called photos/other.png now"


def test_a_label_table_that_changed_elsewhere(bench: Bench) -> None:
    table = bench.data / "labels.csv"
    table.write_text(table.read_text() + "\n")
    (difference,) = bench.why().differences
    assert difference.part == "label table"


def test_the_seed(bench: Bench) -> None:
    (difference,) = bench.why(seed=7).differences
    assert (difference.part, difference.before, difference.after, difference.at) == ("seed", 1, 7, "--seed")
    bench.edit("seed: 1", "seed: 3")
    assert bench.why().sentences() == [f"the seed changed from 1 to 3 ({bench.recipe}:3:7)"]


def test_an_overlay(bench: Bench) -> None:
    found = bench.why(overlays=["big"])
    assert found.sentences()[0] == "this run is with the overlay big; the instance was made without an overlay"
    sizes = next(d for d in found.differences if d.name == "Transformations.resize.params.size")
    assert (sizes.before, sizes.after, sizes.overlay) == (16, 24, "big")
    assert sizes.sentence.endswith("), by the overlay big")


def test_everything_at_once_is_said_once_each(bench: Bench) -> None:
    bench.edit("0.75, test: 0.25", "0.5, test: 0.5")
    bench.files()[0].write_bytes(bench.files()[1].read_bytes())
    found = bench.why(seed=9)
    assert [d.part for d in found.differences] == ["seed", "recipe", "recipe", "file"]
    body = found.to_dict()
    assert body["contract"] == 1 and [d["sentence"] for d in body["differences"]] == found.sentences()
    json.dumps(body, allow_nan=False)


def test_what_an_instance_does_not_hold_is_said(bench: Bench) -> None:
    def old(raw: dict[str, Any]) -> None:
        from refinery_beam.rows import files_digest

        raw["files"] = [f for f in raw["files"] if f["path"] != "input.parquet"]
        raw["files_digest"] = files_digest(raw["files"])

    restated(bench, old)
    bench.relabel("img_000,circle", "img_000,square")
    found = bench.why()
    assert "which files changed is not known: an instance of format 2 keeps no input.parquet" in found.notes


def test_an_empty_cache(bench: Bench) -> None:
    found = rb.why(bench.recipe, cache_root=bench.folder / "elsewhere")
    assert (found.status, found.instance, str(found)) == ("miss", "", "miss: the cache holds no instance to compare with")


def test_the_nearest_of_several(bench: Bench) -> None:
    """One field is nearer than two, whatever is newer; and another recipe's instance is none while there is one of this recipe."""
    bench.edit("nearest", "bilinear")
    two = bench.recipe.read_text().replace("train: 0.75, test: 0.25", "train: 0.5, test: 0.5")
    other = bench.folder / "stones.yaml"
    other.write_text(bench.recipe.read_text())
    rb.run(other, cache_root=bench.cache, workers=1)
    bench.recipe.write_text(two)
    found = bench.why()
    assert {d.name for d in found.differences} >= {"Transformations.resize.params.method", "Splits.ratios.train"}
    bench.recipe.rename(bench.folder / "pebbles.yaml")
    found = rb.why(bench.folder / "pebbles.yaml", cache_root=bench.cache)
    assert {d.name for d in found.differences} == {"Splits.ratios.train", "Splits.ratios.test"}
    assert "the nearest instance is that of a recipe called stones; none is of one called pebbles" in found.notes


def test_plan_says_the_short_form(bench: Bench) -> None:
    bench.edit("method: nearest", "method: bicubic")
    planned = rb.plan(bench.recipe, cache_root=bench.cache)
    assert str(planned).endswith(f"bicubic ({position(bench.recipe, 'bicubic')}): refinery-beam why {bench.recipe}")
    assert planned.to_dict()["why"] == bench.why().sentences()
