"""The main job, end to end: what is stored equals a few lines of Pillow, statistics equal integer arithmetic, quotas are exact."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.exact import sqrt_float
from refinery_beam.identity import record_key
from refinery_beam.launch import RunResult
from refinery_beam.recipe import digest_of_recipe
from support.recipes import Run, write_recipe


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("main")
    return rb.run(write_recipe(class_folders, folder), cache_root=folder / "cache")


def by_pillow(path: Path) -> np.ndarray:
    """The bare way."""
    return np.asarray(Image.open(path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))


def test_stored_pixels_are_pillows_pixels(built: RunResult, class_folders: Path) -> None:
    found = 0
    for split in ("train", "val", "test"):
        for row in rb.open_instance(built.path).split(split, raw=True):
            assert row["image"].dtype == np.uint8
            assert np.array_equal(row["image"], by_pillow(class_folders / row["path"]))
            assert row["label"] == row["path"].split("/")[0]
            assert row["record_id"] == f"photos/{row['path']}"
            found += 1
    assert found == 36


def test_counts_are_exact_quotas(built: RunResult) -> None:
    assert built.counts == {"train": 25, "val": 6, "test": 5}
    assert built.manifest.raw["classes"] == {
        "train": {"circle": 8, "square": 8, "triangle": 9},
        "val": {"circle": 2, "square": 2, "triangle": 2},
        "test": {"circle": 2, "square": 2, "triangle": 1},
    }
    assert built.manifest.raw["ledger"] == {}


def test_statistics_are_exact(built: RunResult, class_folders: Path) -> None:
    train = [by_pillow(class_folders / row["path"]) for row in rb.open_instance(built.path).split("train", raw=True)]
    values = np.stack(train).reshape(-1, 3).astype(np.int64)
    count, total, squares = len(values), values.sum(axis=0), (values * values).sum(axis=0)
    got = json.loads((Path(built.path) / "fitted_statistics/normalize.json").read_text())
    for i in range(3):
        n, s, q = count, int(total[i]), int(squares[i])
        assert got["channels"][i] == {
            "count": n,
            "sum": s,
            "sum_squares": q,
            "min": int(values[:, i].min()),
            "max": int(values[:, i].max()),
        }
        assert got["mean"][i] == float(Fraction(s, n))
        assert got["std"][i] == sqrt_float(Fraction(q, n) - Fraction(s, n) ** 2)


def test_readers_normalize(built: RunResult) -> None:
    instance = rb.open_instance(built.path)
    statistics = instance.statistics("normalize")
    mean, std = np.array(statistics["mean"]), np.array(statistics["std"])
    for raw, row in zip(instance.split("val", raw=True), instance.split("val"), strict=True):
        assert row["image"].dtype == np.float32
        assert np.array_equal(row["image"], ((raw["image"] - mean) / std).astype(np.float32))


def test_replay_serves_the_same_pixels(built: RunResult, class_folders: Path) -> None:
    replay = rb.Replay.from_instance(built.path)
    for row in rb.open_instance(built.path).split("test"):
        assert replay(class_folders / row["path"]).tobytes() == row["image"].tobytes()


def test_rows_are_sorted_and_shards_follow_the_data(built: RunResult) -> None:
    shards = [f for f in built.manifest.files if f.split == "train"]
    assert len(shards) == 4  # ceil(25 / 7)
    for shard in shards:
        ids = pq.read_table(Path(built.path) / shard.path).column("record_id").to_pylist()
        keys = [record_key(i) for i in ids]
        assert keys == sorted(keys)
        assert len(ids) == shard.records


def test_others_read_it_without_us(built: RunResult) -> None:
    pattern = f"{built.path}/dataset/train/*.parquet"
    rows = duckdb.sql(f"select label, count(*) from '{pattern}' group by label").fetchall()
    assert dict(rows) == {"circle": 8, "square": 8, "triangle": 9}
    frame = pd.read_parquet(f"{built.path}/dataset/train")
    assert Counter(frame["label"]) == {"circle": 8, "square": 8, "triangle": 9}
    assert np.frombuffer(frame["image"][0], np.uint8).reshape(32, 32, 3).shape == (32, 32, 3)


def test_layout(built: RunResult) -> None:
    location = Path(built.path)
    recipe16, input16, seed = location.parts[-3:]
    assert (recipe16, input16, seed) == (built.manifest.recipe_hash[:16], built.manifest.input_hash[:16], "0")
    names = {str(p.relative_to(location)) for p in location.rglob("*") if p.is_file()}
    assert names == {f.path for f in built.manifest.files} | {"manifest.json", "recipe.yaml", "selection.json", "report/report.html"}
    assert {n for n in names if not n.startswith("dataset/")} == {
        "recipe.yaml",
        "selection.json",
        "manifest.json",
        "input.parquet",
        "facts/counts.json",
        "facts/findings.json",
        "facts/flagged.parquet",
        "facts/histograms.parquet",
        "facts/thumbnails.parquet",
        "report/drift.json",
        "facts/records.parquet",
        "README.md",
        "fitted_statistics/normalize.json",
        "report/report.html",
        "report/report.md",
        "report/ledger.parquet",
    }


def test_it_verifies(built: RunResult) -> None:
    report = verify(built.path, deep=True, recipe_digest=digest_of_recipe)
    assert report.ok, report.findings
    assert report.records_checked == 36


def test_the_stored_recipe_is_a_recipe(built: RunResult, tmp_path: Path) -> None:
    cache = Path(built.path).parents[3]
    again = rb.run(Path(built.path) / "recipe.yaml", cache_root=cache)
    assert (again.status, again.path) == ("hit", built.path)


def test_png_is_an_image_to_hugging_face(class_folders: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    recipe = write_recipe(class_folders, tmp_path, output={"encoding": "png", "shard_records": None})
    result = run(recipe)
    found = datasets.load_dataset(
        "parquet", data_files={"val": f"{result.path}/dataset/val/*.parquet"}, split="val", cache_dir=str(tmp_path / "hf")
    )
    assert isinstance(found.features["image"], datasets.Image)
    for row in found:
        assert np.array_equal(np.asarray(row["image"]), by_pillow(class_folders / row["path"]))


def test_eager_and_deferred_agree(class_folders: Path, tmp_path: Path, run: Run) -> None:
    deferred = run(write_recipe(class_folders, tmp_path))
    eager = run(write_recipe(class_folders, tmp_path, name="eager.yaml", fields={"image": {"dtype": "float32"}}))
    assert eager.manifest.raw["deferred"] == []
    one = {r["record_id"]: r["image"].tobytes() for r in rb.open_instance(deferred.path).split("train")}
    two = {r["record_id"]: r["image"].tobytes() for r in rb.open_instance(eager.path).split("train")}
    assert one == two
    statistics = "fitted_statistics/normalize.json"
    assert (Path(deferred.path) / statistics).read_bytes() == (Path(eager.path) / statistics).read_bytes()
