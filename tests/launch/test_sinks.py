"""Sinks: the stored pixels as files, where the template says and nowhere else, listed and proved."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import DataError, ErrorGroup, RefineryError
from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.prepare import check_recipe
from refinery_beam.recipe import digest_of_recipe
from refinery_beam.record.sinks import MAX_NAME, BadPath, escape, sink_path
from support.recipes import Run, more, write_recipe

PNG = '{name: pictures, stage: post_pipeline, field: image, format: png_per_record, path_template: "{split}/{label|upper}/{path|stem}.png"}'
NPY = '{name: arrays, stage: post_Transformations, splits: [val], field: image, format: npy_per_record, path_template: "{record_id}.npy"}'


FLOATS = {"image": {"dtype": "float32"}}


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("sinks")
    return rb.run(write_recipe(class_folders, folder, sinks=[PNG, NPY]), cache_root=folder / "cache")


def test_files_hold_the_stored_pixels(built: RunResult) -> None:
    instance = rb.open_instance(built.path)
    for split in instance.splits:
        for row in instance.split(split, raw=True):
            stem = Path(row["path"]).stem
            with Image.open(f"{built.path}/sinks/pictures/{split}/{row['label'].upper()}/{stem}.png") as picture:
                assert np.array_equal(np.asarray(picture), row["image"])
            if split == "val":
                array = np.load(f"{built.path}/sinks/arrays/{row['record_id'].replace('/', '%2F')}.npy", allow_pickle=False)
                assert array.dtype == np.float32 and np.array_equal(array, row["image"].astype(np.float32))
    entries = built.manifest.raw["sinks"]
    assert {name: (e["files"], e["field"], e["splits"]) for name, e in entries.items()} == {
        "pictures": (36, "image", ["train", "val", "test"]),
        "arrays": (6, "image", ["val"]),
    }


def test_the_table_lists_every_file(built: RunResult) -> None:
    for name in ("pictures", "arrays"):
        root = Path(built.path) / "sinks" / name
        rows = pq.read_table(root / "files.parquet").to_pylist()
        assert [r["path"] for r in rows] == sorted(p.relative_to(root).as_posix() for p in root.rglob("*.*") if p.suffix != ".parquet")
        for row in rows:
            data = (root / row["path"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (row["bytes"], row["sha256"])
    listed = [f.path for f in built.manifest.files if f.path.startswith("sinks/")]
    assert listed == ["sinks/arrays/files.parquet", "sinks/pictures/files.parquet"]


def test_verify_proves_them(built: RunResult, tmp_path: Path) -> None:
    assert verify(built.path, deep=True, recipe_digest=digest_of_recipe).ok
    copy = Path(shutil.copytree(built.path, tmp_path / "copy"))
    victim, other = sorted((copy / "sinks/pictures").rglob("*.png"))[:2]
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    other.unlink()
    (copy / "sinks/pictures/stray.png").write_bytes(b"stray")
    found = {(f.code, Path(f.path).name) for f in verify(str(copy)).findings}
    assert found == {("wrong-digest", victim.name), ("missing", other.name), ("unlisted", "stray.png")}
    (copy / "sinks/arrays/files.parquet").write_bytes(b"")
    assert {"unreadable", "wrong-size"} <= {f.code for f in verify(str(copy)).findings}


def test_normalized_values_when_they_are_stored(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path, sinks=[NPY], fields=FLOATS))
    for row in rb.open_instance(result.path).split("val"):
        array = np.load(f"{result.path}/sinks/arrays/{row['record_id'].replace('/', '%2F')}.npy")
        assert array.tobytes() == row["image"].tobytes()


def test_numbers_as_arrays(class_folders: Path, tmp_path: Path, run: Run) -> None:
    sizes = '{name: sizes, stage: post_Featurizations, field: size, format: npy_per_record, path_template: "s-{path}.npy"}'
    feature = "{name: z, op: image_size_stats, inputs: [image], output_field: size, splits: [train, val, test]}"
    fields = {"size": {"dtype": "int64", "shape": [3]}}
    result = run(write_recipe(class_folders, tmp_path, sinks=[sizes], featurizations=[feature], fields=fields))
    first = sorted(Path(result.path, "sinks/sizes").glob("*.npy"))[0]
    assert np.load(first).tolist() == [32.0, 32.0, 3.0]


def test_untouched_files_can_be_shown_too(class_folders: Path, tmp_path: Path, run: Run) -> None:
    untouched = {"fields": {"image": {"shape": [None, None, 3]}}, "output": {"encoding": "source"}, "transformations": None}
    result = run(write_recipe(class_folders, tmp_path, sinks=[PNG], **untouched))
    assert result.manifest.raw["sinks"]["pictures"]["files"] == 36


def test_colliding_paths(class_folders: Path, tmp_path: Path, run: Run) -> None:
    item = more(PNG, path_template="{label}.png")
    with pytest.raises(ErrorGroup) as caught:
        run(write_recipe(class_folders, tmp_path, sinks=[item]))
    errors = caught.value.errors()
    assert {e.code for e in errors} == {"sink-collision"} and len(errors) == 10
    assert errors[0].message.count("photos/") == 2
    assert not (tmp_path / "cache" / "instances").exists()


def test_letter_case_collides(tmp_path: Path, run: Run) -> None:
    images = tmp_path / "images"
    for i, name in enumerate(["a/One.png", "b/one.png", "b/two.png", "a/three.png", "a/four.png", "b/five.png"]):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (i, 10 * i, 0)).save(images / name)
    item = more(PNG, path_template="{path|stem}.png")
    with pytest.raises(DataError, match=r"a/One\.png and photos/b/one\.png|b/one\.png and photos/a/One\.png") as caught:
        run(write_recipe(images, tmp_path, sinks=[item]))
    assert caught.value.code == "sink-collision"


def test_no_value_no_file(class_folders: Path, tmp_path: Path, run: Run) -> None:
    item = more(PNG, path_template="{partition}/{path}.png")
    with pytest.raises(RefineryError, match="field 'partition' has no value") as caught:
        run(write_recipe(class_folders, tmp_path, sinks=[item]))
    assert {(type(e), e.code) for e in caught.value.errors()} == {(DataError, "sink_path")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        ("a b:c", "a%20b%3Ac"),
        ("..\\x", "%2E.%5Cx"),
        ("\x00", "%00"),
        ("naïve", "naïve"),
        ("nai\u0308ve", "naïve"),
        ("50%", "50%25"),
    ],
)
def test_values_are_escaped(value: str, expected: str) -> None:
    assert escape(value) == expected


@pytest.mark.parametrize("value", ["con", "x" * (MAX_NAME + 1), "", None, "files.parquet"])
def test_paths_that_cannot_be(value: str | None) -> None:
    with pytest.raises(BadPath):
        sink_path("{label}", {"label": value}, "train")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (more(PNG, path_template="/tmp/{label}/{path|stem}.png"), "bad-template"),
        (more(PNG, path_template="../{label}/{path|stem}.png"), "bad-template"),
        (more(PNG, field="label"), "sink-field"),
        (more(NPY, field="label"), "sink-field"),
        (more(PNG, stage="post_Splits"), "not-executed-yet"),
        (more(PNG, stage="post_InputContracts"), "not-executed-yet"),
        (more(NPY, splits=["_records"]), "unknown-split"),
    ],
)
def test_refused_before_work(class_folders: Path, tmp_path: Path, item: dict[str, Any], code: str) -> None:
    recipe = write_recipe(class_folders, tmp_path, sinks=[item])
    errors: list[RefineryError] = check_recipe(recipe, Settings(cache_root=str(tmp_path / "cache")))[3]
    assert [e.code for e in errors] == [code] and "recipe.yaml:" in errors[0].at


def test_png_of_floats_is_refused(class_folders: Path, tmp_path: Path) -> None:
    recipe = write_recipe(class_folders, tmp_path, sinks=[PNG], fields=FLOATS)
    errors = check_recipe(recipe, Settings(cache_root=str(tmp_path / "cache")))[3]
    assert [e.code for e in errors] == ["sink-field"]
