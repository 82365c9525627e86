"""Bad and odd files, end to end: each named, counted and explained; in = out + ledger; pixels are what Pillow says."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import DataError, RefineryError
from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.build.build import build
from refinery_beam.launch.prepare import prepare
from refinery_beam.recipe import digest_of_recipe
from refinery_beam.testing.awkward import awkward_folders

RECIPE = """\
schema_version: 3
plugin: image_classification
Input:
  sources:
    - {{name: photos, type: image_folder, path: {path}}}
  on_error: {on_error}
  max_bad_fraction: {budget}
  decode: {{mode: {mode}}}
Labels: {{field: label, source: {{kind: direct}}}}
Output:
  record_schema: {{{image} label: {{dtype: str}}, path: {{dtype: str}}}}
  {output}
Splits: {{ratios: {{train: 0.8, test: 0.2}}, keep_duplicates_together: false, allow_empty: true}}
{operations}
"""
RESIZE = "  - {name: resize, op: resize, params: {size: 32, method: bilinear}, splits: [train, test]}\n"
NORMALIZE = "  - {name: normalize, op: normalize, fit_source: train, splits: [train, test]}\n"
SMALL = "image: {dtype: uint8, shape: [32, 32, 3]},"

REASONS = {
    "bomb.png": "too_many_pixels",
    "cut.png": "truncated",
    "empty.png": "empty_file",
    "floats.tiff": "unsupported_mode",
    "page.jpg": "not_an_image",
    "picture.svg.png": "unsupported_format",
    "text.png": "not_an_image",
    "truncated.jpg": "truncated",
}
NAMES = (
    "new\nline.png",
    "tab\there.PnG",
    "quote'\"`|*.png",
    "日本語 😀.jpg",
    "-dash.png",
    "percent%20#.png",
    "back\\slash.png",
    "a..dots.png",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """plain/ with ordinary pictures; odd/ with one of each awkward file and what no tidy generator would draw."""
    root = tmp_path_factory.mktemp("bad") / "photos"
    awkward_folders(root)
    odd = root / "odd"
    picture = Image.open(odd / "UPPER.PNG").convert("RGB")
    for name in NAMES:
        picture.save(odd / name)
    (odd / "cut.png").write_bytes((odd / "UPPER.PNG").read_bytes()[:200])
    (odd / "page.jpg").write_bytes(b"<html></html>")
    (odd / "picture.svg.png").write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    Image.fromarray(np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32)).save(odd / "floats.tiff")
    picture.convert("LAB").save(odd / "lab.tif")
    picture.save(odd / "web.webp")
    picture.save(odd / "bitmap.bmp")
    os.symlink("nowhere.png", odd / "broken link.png")
    (odd / ".hidden.png").write_bytes(b"never selected")
    (odd / "notes.txt").write_text("never selected")
    return root


@pytest.fixture(scope="module")
def records(photos: Path) -> int:
    """The images the folder holds: no hidden file, no text, no link to nowhere."""
    return sum(1 for p in photos.rglob("*") if p.is_file() and not p.name.startswith(".") and p.suffix != ".txt")


class Runner:
    """Runs variants of the recipe over one folder with one cache."""

    def __init__(self, photos: Path, folder: Path) -> None:
        self.photos, self.folder, self.cache = photos, folder, folder / "cache"

    def recipe(
        self,
        *,
        on_error: str = "quarantine",
        budget: float = 0.5,
        mode: str = "RGB",
        image: str = SMALL,
        output: str = "",
        operations: str = RESIZE,
        photos: Path | None = None,
    ) -> Path:
        text = RECIPE.format(
            path=photos or self.photos,
            on_error=on_error,
            budget=budget,
            mode=mode,
            image=image,
            output=output,
            operations=f"Transformations:\n{operations}" if operations else "",
        )
        path = self.folder / "recipe.yaml"
        path.write_text(text)
        return path

    def __call__(self, **changes: Any) -> RunResult:
        return rb.run(self.recipe(**changes), cache_root=self.cache)

    def failure(self, **changes: Any) -> RefineryError:
        before = sorted(self.cache.glob("instances/*/*/*"))
        with pytest.raises(RefineryError) as caught:
            self(**changes)
        assert sorted(self.cache.glob("instances/*/*/*")) == before, "a failed run promoted something"
        return caught.value


@pytest.fixture(scope="module")
def go(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(photos, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def built(go: Runner) -> RunResult:
    return go()


def ledger(result: RunResult) -> dict[str, dict[str, Any]]:
    return {row["record_id"]: row for row in pq.read_table(f"{result.path}/report/ledger.parquet").to_pylist()}


def reasons(result: RunResult) -> dict[str, str]:
    return {name.removeprefix("photos/odd/"): row["reason"] for name, row in ledger(result).items()}


def rows(result: RunResult) -> list[dict[str, Any]]:
    instance = rb.open_instance(result.path)
    return [row for split in ("train", "test") for row in instance.split(split, raw=True)]


def accounted(result: RunResult, records: int) -> None:
    """in = out + ledger, in every place that says so, and the instance verifies."""
    lost = ledger(result)
    out = rows(result)
    assert len(out) + len(lost) == records == result.manifest.raw["records_in"]
    assert {row["record_id"] for row in out}.isdisjoint(lost)
    assert result.manifest.raw["ledger"] == dict(Counter(row["reason"] for row in lost.values()))
    assert sum(result.counts.values()) == len(out)
    report = verify(result.path, deep=True, recipe_digest=digest_of_recipe)
    assert report.ok, report.findings


def upright(path: Path) -> Image.Image:
    """What the decode policy promises, by Pillow alone: first frame, EXIF applied, transparency over white, 16 bits to the upper 8, RGB."""
    image: Image.Image = Image.open(path)
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        clear = image.convert("RGBA")
        ground.paste(clear, (0, 0), clear)
        image = ground
    return image.convert("RGB")


def test_each_bad_file_is_named_and_counted(built: RunResult, records: int) -> None:
    assert reasons(built) == REASONS
    accounted(built, records)
    assert all(row["stage"] == "Input" and row["op"] == "decode" and row["detail"] for row in ledger(built).values())
    assert {row["split"] for row in ledger(built).values()} <= {"train", "test"}


def test_the_report_and_the_ledger_agree(built: RunResult, records: int) -> None:
    text = (Path(built.path) / "report/report.md").read_text()
    assert f"{records} records in, {records - 8} out, 8 in the ledger." in text
    for name, reason in REASONS.items():
        assert f"| `photos/odd/{name}` | {reason} |" in text


def test_stored_pixels_are_pillows_pixels(built: RunResult, photos: Path) -> None:
    found = set()
    for row in rows(built):
        if row["path"] == "odd/lab.tif":
            continue  # LAB needs colour management; the plugin's own tests cover it
        want = np.asarray(upright(photos / row["path"]).resize((32, 32), Image.Resampling.BILINEAR))
        assert np.array_equal(row["image"], want), row["path"]
        found.add(row["path"])
    assert {f"odd/exif_{i}.jpg" for i in range(1, 9)} <= found
    assert {f"odd/{name}" for name in NAMES} <= found


def test_upright_is_upright(built: RunResult) -> None:
    """All eight orientations show one picture, up to what JPEG does to a turned one."""
    images = {row["path"]: row["image"].astype(int) for row in rows(built)}
    for i in range(2, 9):
        assert np.abs(images[f"odd/exif_{i}.jpg"] - images["odd/exif_1.jpg"]).mean() < 4


def test_record_ids_are_nfc_and_labels_are_folders(built: RunResult) -> None:
    found = {row["record_id"]: row["label"] for row in rows(built)}
    assert found["photos/odd/composé.png"] == found["photos/odd/décomposé.png"] == "odd"
    assert found["photos/odd/new\nline.png"] == "odd"


def test_what_was_not_selected_is_said(built: RunResult) -> None:
    assert any("broken_link" in note and "hidden" in note and ".txt" in note for note in built.notes), built.notes


def test_fail_stops_and_names_the_file(go: Runner, photos: Path) -> None:
    error = go.failure(on_error="fail")
    assert error.exit_code == 1
    for one in error.errors():
        name = os.path.basename(one.at)
        assert one.at == str(photos / "odd" / name)
        assert one.code == REASONS[name]
        assert one.message.startswith(f"{REASONS[name]}: ") and f"(record photos/odd/{name})" in one.message
        assert "on_error: quarantine" in one.remedy


def test_past_the_budget_nothing_is_promoted(go: Runner, records: int) -> None:
    error = go.failure(budget=0.1)
    assert (error.code, error.exit_code, error.value) == ("too-many-bad-records", 1, 8 / records)
    assert error.at == f"{go.folder / 'recipe.yaml'}:7:21"
    assert error.message.startswith(f"8 of {records} records are bad (1 empty_file, 2 not_an_image, 1 too_many_pixels, 2 truncated, ")


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_encodings_lose_the_same_records(go: Runner, built: RunResult, records: int, encoding: str) -> None:
    result = go(output=f"encoding: {encoding}")
    assert reasons(result) == REASONS
    accounted(result, records)
    if encoding == "png":
        pixels = {row["record_id"]: row["image"] for row in rows(built)}
        for row in rows(result):
            assert np.array_equal(row["image"], pixels[row["record_id"]])


def test_source_bytes_are_untouched_and_still_checked(go: Runner, photos: Path, records: int) -> None:
    result = go(output="encoding: source", image="image: {dtype: uint8},", operations="")
    assert reasons(result) == REASONS
    accounted(result, records)
    table = pq.read_table(f"{result.path}/dataset/train")
    for path, image in zip(table["path"].to_pylist(), table["image"].to_pylist(), strict=True):
        assert image["bytes"] == (photos / path).read_bytes()


def test_metadata_only_looks_at_no_pixel(go: Runner, records: int) -> None:
    result = go(image="", operations="")
    assert (sum(result.counts.values()), result.manifest.raw["ledger"]) == (records, {})


def test_a_fit_without_stored_images_loses_the_same_records_in_every_split(go: Runner, records: int) -> None:
    result = go(image="", operations=RESIZE + NORMALIZE)
    assert reasons(result) == REASONS
    assert sum(result.counts.values()) == records - len(REASONS)


def test_kept_modes_without_statistics(go: Runner, records: int) -> None:
    result = go(mode="keep", image="image: {dtype: uint8, shape: [32, 32, null]},")
    assert reasons(result) == REASONS | {"floats.tiff": "schema:image", "sixteen_bit.png": "schema:image"}
    accounted(result, records)
    shapes = {row["path"]: row["image"].shape for row in rows(result)}
    assert shapes["odd/grey.png"] == (32, 32, 1)
    assert shapes["odd/rgba.png"] == (32, 32, 4)
    assert shapes["odd/UPPER.PNG"] == (32, 32, 3)


@pytest.mark.parametrize("image", ["image: {dtype: uint8, shape: [32, 32, 3]},", "image: {dtype: float32, shape: [32, 32, 3]},"])
def test_declared_channels_decide_who_is_fitted_on(go: Runner, built: RunResult, records: int, image: str) -> None:
    """Whether applied now or when reading: other channels than the declared ones make a bad record, not a broken statistic."""
    result = go(mode="keep", image=image, operations=RESIZE + NORMALIZE)
    others = {"floats.tiff", "grey.png", "grey_clear.png", "one_bit.png", "palette_clear.png", "rgba.png", "sixteen_bit.png"}
    assert set(reasons(result)) == set(REASONS) | others
    accounted(result, records)


@pytest.mark.parametrize("image", ["", "image: {dtype: uint8, shape: [32, 32, null]},"])
def test_mixed_channels_are_the_datas_fault(go: Runner, image: str) -> None:
    error = go.failure(mode="keep", image=image, operations=RESIZE + NORMALIZE)
    assert (error.code, error.exit_code) == ("mixed-channels", 1)
    assert "normalize cannot be fitted on images of different numbers of channels" in error.message
    assert "Input.decode.mode" in error.remedy


def test_too_small_to_crop_and_too_long_for_jpeg(go: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "some"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64), (9, 8, 7)).save(folder / "a.png")
    Image.new("RGB", (64, 8), (9, 8, 7)).save(folder / "b.png")
    Image.new("RGB", (66_000, 1), (9, 8, 7)).save(folder / "c.png")
    crop = "  - {name: crop, op: center_crop, params: {size: 32}, splits: [train, test]}\n"
    result = go(photos=tmp_path / "photos", operations=crop, budget=0.9)
    assert {k: (v["stage"], v["op"], v["reason"]) for k, v in ledger(result).items()} == {
        "photos/some/b.png": ("Transformations", "crop", "wrong_size"),
        "photos/some/c.png": ("Transformations", "crop", "wrong_size"),
    }
    result = go(photos=tmp_path / "photos", operations="", image="image: {dtype: uint8, shape: [null, null, 3]},", output="encoding: jpeg")
    assert {k: (v["stage"], v["op"], v["reason"]) for k, v in ledger(result).items()} == {
        "photos/some/c.png": ("Output", "encode", "wrong_size")
    }


def test_a_shape_that_never_holds(go: Runner, records: int) -> None:
    error = go.failure(image="image: {dtype: uint8, shape: [31, 31, 3]},", operations="")
    assert error.code == "too-many-bad-records"
    assert "schema:image: the image is uint8[72, 96, 3], Output declares uint8[31, 31, 3]" in error.message


@pytest.mark.parametrize("on_error", [pytest.param("fail", marks=pytest.mark.slow), "quarantine"])
@pytest.mark.parametrize("fault", ["truncated", pytest.param("replaced", marks=pytest.mark.slow), "removed"])
def test_a_fault_that_passes_is_no_instance(go: Runner, photos: Path, tmp_path: Path, fault: str, on_error: str) -> None:
    """What is stored follows from the bytes in the key. Once the files are as they were, a run builds what it would have built."""
    own = tmp_path / "photos"
    shutil.copytree(photos / "plain", own / "plain")
    settings = Settings(cache_root=str(tmp_path / "cache"))
    prepared = prepare(go.recipe(photos=own, on_error=on_error), settings)
    victims = [own / "plain/plain_000.png", own / "plain/plain_001.jpg", own / "plain/plain_003.jpg"]
    whole = {path: path.read_bytes() for path in victims}
    for path, data in whole.items():
        if fault == "removed":
            path.unlink()
        else:
            path.write_bytes(data[:-40] if fault == "truncated" else data[:-40] + bytes(40))
    with pytest.raises(RefineryError) as caught:
        build(prepared)
    if fault == "removed":
        assert {(e.code, e.exit_code) for e in caught.value.errors()} == {("source-unreadable", 3)}
    else:
        assert (caught.value.code, caught.value.exit_code) == ("changed-during-run", 1)
        assert caught.value.at in {str(path) for path in victims}
    if fault == "truncated":
        assert caught.value.message == (
            "3 files changed during the run: 'photos/plain/plain_000.png', 'photos/plain/plain_001.jpg', 'photos/plain/plain_003.jpg'"
        )
    assert prepared.lookup() == (None, None)
    for path, data in whole.items():
        path.write_bytes(data)
    again = prepare(go.recipe(photos=own, on_error=on_error), settings)
    assert again.key == prepared.key
    status, manifest, _ = build(again)
    assert (status, manifest.ledger, sum(manifest.counts.values())) == ("built", {}, 12)


def test_control_characters_never_reach_a_terminal(go: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "some"
    folder.mkdir(parents=True)
    (folder / "red\x1b[31m\n.png").write_bytes(b"no image")
    error = go.failure(photos=tmp_path / "photos", on_error="fail", operations=RESIZE)
    assert isinstance(error, DataError)
    said = error.render()
    assert "\x1b" not in said and "red\\x1b[31m\\n.png" in said
