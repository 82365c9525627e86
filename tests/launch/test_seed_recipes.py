"""Recipes people already have, verbatim, end to end on drawn images: counts, labels, splits; hold-outs pass through; unlabeled is null."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.launch import RunResult
from refinery_beam.testing import images
from support.seeds import MAIN, PARTITIONED, SIDECAR, UNLABELED

PARTITIONS = re.sub(r"Splits:\n(?: .*\n)+", "", PARTITIONED)
"""Two partitions, and nothing said of splits."""

SHAPES = ("circle", "square", "triangle")


def go(folder: Path, text: str, **settings: object) -> RunResult:
    (folder / "recipe.yaml").write_text(text)
    return rb.run(folder / "recipe.yaml", cache_root=folder / "cache", **settings)  # type: ignore[arg-type]


def labels(result: RunResult, split: str) -> Counter[str | None]:
    return Counter(pq.read_table(f"{result.path}/dataset/{split}")["label"].to_pylist())


def ids(result: RunResult, split: str) -> set[str]:
    return set(pq.read_table(f"{result.path}/dataset/{split}")["record_id"].to_pylist())


def report(result: RunResult) -> str:
    return (Path(result.path) / "report/report.md").read_text()


def test_main(tmp_path: Path) -> None:
    images.class_folders(tmp_path / "my-images")
    result = go(tmp_path, MAIN)
    assert result.counts == {"train": 25, "val": 6, "test": 5}
    for split, share in (("train", 8.4), ("val", 1.8), ("test", 1.8)):
        assert all(abs(labels(result, split)[shape] - share) < 1 for shape in SHAPES)
    assert [d["name"] for d in result.manifest.raw["deferred"]] == ["normalize"]
    row = rb.open_instance(result.path).split("val", raw=True)[0]
    want = Image.open(tmp_path / "my-images" / row["path"]).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(row["image"], np.asarray(want))
    assert list(result.pictures) == ["class_distribution", "samples"]
    with Image.open(result.pictures["samples"]) as drawn:
        assert drawn.format == "PNG" and drawn.width > 500
    assert go(tmp_path, MAIN, overlays=["no_augment"]).status == "hit", "a variant that changes nothing is the same recipe"


def test_flat_with_sidecar(tmp_path: Path) -> None:
    images.flat_with_csv(tmp_path / "my-dataset")
    result = go(tmp_path, SIDECAR)
    assert result.counts == {"train": 29, "test": 7}
    with (tmp_path / "my-dataset/labels.csv").open() as file:
        want = {row["filename"]: row["class"] for row in csv.DictReader(file)}
    found = 0
    for split in ("train", "test"):
        for row in rb.open_instance(result.path).split(split, raw=True):
            stem = Path(row["record_id"]).stem
            assert row["label"] == want[stem]
            (file_of,) = (tmp_path / "my-dataset/images").glob(f"{stem}.*")
            assert np.array_equal(row["image"], np.asarray(Image.open(file_of).convert("RGB")))
            found += 1
    assert found == 36
    assert result.manifest.raw["output"]["encoding"] == "png", "images of any shape are stored as PNG"


def test_partitions_with_val_carved_from_train(tmp_path: Path) -> None:
    images.train_test(tmp_path / "my-dataset")
    result = go(tmp_path, PARTITIONED)
    assert result.counts == {"train": 31, "val": 5, "test": 9}
    assert list(result.counts) == ["train", "val", "test"]
    assert sorted(labels(result, "val").values()) == [1, 2, 2]
    held_out = {f"test_data/{p.relative_to(tmp_path / 'my-dataset/test')}" for p in (tmp_path / "my-dataset/test").rglob("*.*")}
    assert ids(result, "test") == held_out
    assert all(i.startswith("train_data/") for i in ids(result, "train") | ids(result, "val"))


@pytest.mark.parametrize("splits", ["", "Splits: {}\n"])
def test_partitions_alone_are_the_splits(tmp_path: Path, splits: str) -> None:
    images.train_test(tmp_path / "my-dataset", per_class=4)
    result = go(tmp_path, PARTITIONS + splits)
    assert result.counts == {"train": 12, "test": 3}
    assert result.manifest.raw["ledger"] == {}


def test_unlabeled_hold_out(tmp_path: Path) -> None:
    images.unlabeled(tmp_path / "my-dataset")
    result = go(tmp_path, UNLABELED)
    assert result.counts == {"train": 31, "val": 5, "test": 9}
    assert labels(result, "test") == {None: 9}
    assert sorted(labels(result, "train").values()) == [10, 10, 11]  # type: ignore[type-var]
    assert "| test *(unlabeled)* | 9 |" in report(result)
    row = rb.open_instance(result.path).split("test")[0]
    assert row["label"] is None and row["image"].shape == (72, 96, 3)


def test_unlabeled_hold_out_is_resized_and_normalized_by_trains_statistics(tmp_path: Path) -> None:
    images.unlabeled(tmp_path / "my-dataset", per_class=4)
    operations = MAIN[MAIN.index("Transformations:") : MAIN.index("Featurizations:")]
    result = go(tmp_path, UNLABELED.replace("shape: null", "shape: [32, 32, 3]") + operations)
    instance = rb.open_instance(result.path)
    statistics = instance.statistics("normalize")
    train = np.stack([row["image"] for row in instance.split("train", raw=True)]).astype(np.int64)
    assert [c["sum"] for c in statistics["channels"]] == train.sum(axis=(0, 1, 2)).tolist()
    for raw, row in zip(instance.split("test", raw=True), instance.split("test"), strict=True):
        want = ((raw["image"] - np.array(statistics["mean"])) / np.array(statistics["std"])).astype(np.float32)
        assert np.array_equal(row["image"], want)
