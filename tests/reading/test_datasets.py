"""Instances in the `datasets` library: every encoding opens with the right splits and columns, whatever lies in the folder besides.

`make test-datasets` runs this with an older major release of the library too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from refinery_beam.launch import RunResult, Settings
from refinery_beam.launch.run import run_with
from refinery_beam.testing import images
from support.recipes import SMALL, Run, write_recipe

PICTURES = "{name: shown, stage: post_pipeline, field: image, format: png_per_record, path_template: '{record_id}.png', splits: [train]}"
SAMPLE = "{selector: {n: 2, kind: per_class}}"
SIZE = "{name: size, op: image_size_stats, inputs: [image], output_field: size, splits: [train, test]}"
VARYING: dict[str, Any] = {"transformations": None, "fields": {"image": {"shape": [None, None, 3]}}}
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"

RECIPES: dict[str, dict[str, Any]] = {
    "tensor": {"sinks": [PICTURES], "featurizations": [SIZE], "fields": {"size": {"dtype": "int64", "shape": [3]}}},
    "png": {"output": {"encoding": "png"}, "sinks": [PICTURES]},
    "jpeg": {"output": {"encoding": "jpeg"}},
    "webp": {"output": {"encoding": "webp"}},
    "source": VARYING | {"output": {"encoding": "source"}},
    "float32": {"transformations": [*SMALL["Transformations"], NORMALIZE], "fields": {"image": {"dtype": "float32"}}},
    "none": {"transformations": None, "fields": {"image": None, "path": "{dtype: str}"}},
}


@pytest.fixture(autouse=True)
def no_warnings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The library finds nothing to warn of in a card."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.disable_progress_bars()
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.name.startswith("datasets")] == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The library's own cache."""
    return tmp_path / "hf"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def go(recipe: Path, **settings: Any) -> RunResult:
        return run_with(recipe, Settings(cache_root=str(tmp_path / ".hidden" / "cache"), **settings))

    return go


def load(path: str, home: Path, *view: str, streaming: bool = False) -> Any:
    return datasets.load_dataset(path, *view, cache_dir=str(home), streaming=streaming)


def pixels_of(cell: Any, like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if isinstance(cell, bytes):
        return np.frombuffer(cell, like.dtype).reshape(like.shape)
    assert isinstance(cell, Image.Image)
    return np.asarray(cell)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in ("tensor", "png") else pytest.mark.slow) for n in RECIPES])
def test_every_encoding_opens(name: str, class_folders: Path, tmp_path: Path, run: Run, home: Path) -> None:
    built = run(write_recipe(class_folders, tmp_path, base=SMALL, sample=SAMPLE, **RECIPES[name]))
    found = load(built.path, home)
    assert {split: rows.num_rows for split, rows in found.items()} == built.counts == {"train": 27, "test": 9}
    for split in built.splits:
        ours = built.split(split, raw=True)
        names = found[split].features["label"].int2str
        for row, want in zip(found[split], ours, strict=True):
            assert list(row) == list(want)
            assert names(row["label"]) == want["label"]
            if "image" in want:
                assert (pixels_of(row["image"], want["image"]) == want["image"]).all()
            assert {k: v for k, v in row.items() if k not in ("image", "label")} == {
                k: v for k, v in want.items() if k not in ("image", "label")
            }
    streamed = load(built.path, home, streaming=True)
    assert {split: sum(1 for _ in rows) for split, rows in streamed.items()} == built.counts
    sample = load(built.path, home, "sample")
    assert [row["record_id"] for row in sample["train"]] == [row["record_id"] for row in built.sample("train")]
    assert sample["train"].features == found["train"].features
    sinks = ["sink-shown"] if "sinks" in RECIPES[name] else []
    assert datasets.get_dataset_config_names(built.path) == ["default", "sample", *sinks]
    if sinks:
        assert sorted(load(built.path, home, "sink-shown")["files"]["record_id"]) == sorted(r["record_id"] for r in built["train"])


def test_names_that_the_library_does_not_take(class_folders: Path, tmp_path: Path, run: Run, home: Path) -> None:
    ratios = {"hold-out": 0.5, "hold_out": 0.25, "all": 0.25, "v1.0": 0}
    resize = "{name: resize, op: resize, params: {size: 16}, splits: [hold-out, hold_out, all, v1.0]}"
    built = run(write_recipe(class_folders, tmp_path, base=SMALL, splits={"ratios": ratios}, transformations=[resize]))
    found = load(built.path, home)
    assert {split: rows.num_rows for split, rows in found.items()} == {"hold_out_2": 18, "hold_out": 9, "all_": 9}
    assert found["hold_out_2"]["record_id"][:] == [row["record_id"] for row in built["hold-out"]]
    card = Path(built.path, "README.md").read_text(encoding="utf-8")
    assert re.search(r"\| hold-out \| 18 \| [\d,]+ \| `dataset/hold-out` \| `hold_out_2` \|", card)
    assert "`load_dataset` leaves out what is empty: `v1.0`." in card


def test_labels_are_read_as_they_are(tmp_path: Path, run: Run, home: Path) -> None:
    """Odd names of classes, numbers as text, and a split without labels."""
    odd = ["10", "2", "null", "a: b", "été", "x\u2028y", "-"]
    for label in odd:
        images.class_folders(tmp_path / "drawn", per_class=1)
        (tmp_path / "images" / label).mkdir(parents=True)
        (tmp_path / "drawn" / "circle" / "circle_000.png").rename(tmp_path / "images" / label / "one.png")
    images.flat_with_csv(tmp_path / "blind")
    sources = [
        {"name": "photos", "type": "image_folder", "partition": "train"},
        {"name": "blind", "type": "image_flat", "partition": "test", "unlabeled": True},
    ]
    recipe = write_recipe(tmp_path / "images", tmp_path, base={**SMALL, "Input": {"sources": sources}}, splits={})
    recipe.write_text(recipe.read_text().replace(str(tmp_path / "images"), "$").replace("$", "images", 1).replace("$", "blind/images", 1))
    built = run(recipe)
    found = load(built.path, home)
    label = found["train"].features["label"]
    assert label.names == sorted(odd)
    assert [label.int2str(n) for n in found["train"]["label"]] == [row["label"] for row in built["train"]]
    assert set(found["test"]["label"]) == {None}


@pytest.mark.slow
def test_declared_numbers_stay_numbers(tmp_path: Path, run: Run, home: Path) -> None:
    images.class_folders(tmp_path / "drawn", per_class=4)
    for number, name in enumerate(["circle", "square", "triangle"]):
        (tmp_path / "drawn" / name).rename(tmp_path / "drawn" / str(number * 5))
    built = run(write_recipe(tmp_path / "drawn", tmp_path, base=SMALL, fields={"label": {"dtype": "int16"}}))
    found = load(built.path, home)["train"]
    assert found.features["label"] == datasets.Value("int16")
    assert list(found["label"]) == [row["label"] for row in built["train"]]


@pytest.mark.slow
def test_a_lost_shard_is_noticed(class_folders: Path, tmp_path: Path, run: Run, home: Path) -> None:
    built = run(write_recipe(class_folders, tmp_path, base=SMALL, output={"shard_records": 5}))
    next(Path(built.path).glob("dataset/train/part-00001-*")).unlink()
    with pytest.raises(datasets.exceptions.NonMatchingSplitsSizesError):
        load(built.path, home)
