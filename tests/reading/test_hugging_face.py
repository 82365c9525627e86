"""`to_hf`: the rows that readers serve, with the features of Hugging Face `datasets`."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from support.recipes import SMALL, write_recipe

NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
SIZE = "{name: size, op: image_size_stats, inputs: [image], output_field: size, splits: [train, test]}"
VARYING: dict[str, Any] = {"transformations": None, "fields": {"image": {"shape": [None, None, 3]}}}


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def built(class_folders: Path, tmp_path: Path, **changes: Any) -> rb.Instance:
    return rb.run(write_recipe(class_folders, tmp_path, base=SMALL, **changes), cache_root=tmp_path / "cache")


def test_arrays_and_class_labels(class_folders: Path, tmp_path: Path) -> None:
    data = built(
        class_folders,
        tmp_path,
        transformations=[*SMALL["Transformations"], NORMALIZE],
        featurizations=[SIZE],
        fields={"size": {"dtype": "int64", "shape": [3]}},
    )
    ours = data["train"]
    found = data.to_hf(cache_dir=str(tmp_path / "hf"))
    assert {split: rows.num_rows for split, rows in found.items()} == data.counts
    rows = found["train"]
    assert rows.features["label"] == datasets.ClassLabel(names=list(data.classes))
    assert rows.features["image"] == datasets.Array3D(ours[0]["image"].shape, "float32")
    assert rows.split == "train"
    rows = rows.with_format("numpy")
    for theirs, own in zip(rows, ours, strict=True):
        assert np.array_equal(theirs["image"], own["image"])
        assert (theirs["record_id"], theirs["size"].tolist(), data.classes[theirs["label"]]) == (
            own["record_id"],
            own["size"],
            own["label"],
        )
    # Written once: a second call reads the same file.
    (file,) = {entry["filename"] for entry in rows.cache_files}
    written = Path(file).stat().st_mtime_ns
    assert ours.to_hf(cache_dir=str(tmp_path / "hf")).num_rows == len(ours)
    assert Path(file).stat().st_mtime_ns == written
    # What is served decides: stored pixels lie in another file.
    raw = data.split("train", raw=True).to_hf(cache_dir=str(tmp_path / "hf"))
    assert raw.features["image"].dtype == "uint8"
    assert np.array_equal(np.array(raw[0]["image"]), data.split("train", raw=True)[0]["image"])


@pytest.mark.parametrize("encoding", ["png", "jpeg", "source"])
def test_images(encoding: str, class_folders: Path, tmp_path: Path) -> None:
    changes = VARYING if encoding == "source" else {}
    data = built(class_folders, tmp_path, output={"encoding": encoding}, **changes)
    rows = data["test"].with_label_ids().to_hf(cache_dir=str(tmp_path / "hf"))
    assert rows.features["image"] == datasets.Image()
    for theirs, own in zip(rows, data["test"].with_label_ids(), strict=True):
        assert isinstance(theirs["image"], Image.Image)
        assert np.array_equal(np.asarray(theirs["image"]), own["image"])
        assert theirs["label_id"] == own["label_id"] == theirs["label"]


@pytest.mark.parametrize("encoding", ["tensor", "png"])
def test_streams(encoding: str, class_folders: Path, tmp_path: Path) -> None:
    data = built(class_folders, tmp_path, output={"encoding": encoding, "shard_records": 10})
    rows = data["train"].to_hf(streaming=True)
    assert rows.num_shards == len(data.manifest.shards("train")) > 1
    found = list(rows)
    assert [row["record_id"] for row in found] == [row["record_id"] for row in data["train"]]
    for theirs, own in zip(found, data["train"], strict=True):
        assert np.array_equal(np.asarray(theirs["image"]), own["image"])
        assert data.classes[theirs["label"]] == own["label"]


def test_images_of_no_one_shape_are_refused(class_folders: Path, tmp_path: Path) -> None:
    data = built(
        class_folders, tmp_path, output={"encoding": "png"}, transformations=[NORMALIZE], fields={"image": {"shape": [None, None, 3]}}
    )
    with pytest.raises(rb.UsageError) as caught:
        data["train"].to_hf(cache_dir=str(tmp_path / "hf"))
    assert (caught.value.code, caught.value.value) == ("hf-shape", "float32")
    assert data.split("train", raw=True).to_hf(cache_dir=str(tmp_path / "hf")).num_rows == len(data["train"])


def test_without_the_library(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = built(class_folders, tmp_path)
    real = builtins.__import__

    def refuse(name: str, *args: Any, **more: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(rb.EnvironmentFault) as caught:
        data.to_hf()
    assert (caught.value.code, caught.value.remedy) == ("missing-extra", "pip install 'refinery-beam[hf]'")
