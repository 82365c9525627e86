"""SampleData: the records of lowest seeded rank of what was really stored, as a small dataset beside the dataset."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import UsageError
from refinery_beam.identity import derive_seed, record_key
from refinery_beam.launch import RunResult
from refinery_beam.planning.splits.quotas import position
from refinery_beam.recipe import digest_of_recipe
from support.recipes import Run, quarantine, write_recipe


def sample(selector: str) -> str:
    return f"{{selector: {{{selector}}}}}"


def expected(result: RunResult, split: str, quota: Any, *, seed: int, per_class: bool) -> list[str]:
    """The ids by hand: rank, stratum by stratum, then shard order is record key order (one shard)."""
    strata: dict[str, list[str]] = {}
    for row in rb.open_instance(result.path).split(split, columns=["record_id", "label"]):
        strata.setdefault(row["label"] if per_class else "", []).append(row["record_id"])
    sampled = []
    for ids in strata.values():
        ids.sort(key=lambda i: position("sample", seed, "SampleData", record_key(i)))
        sampled += ids[: quota(len(ids))]
    return sorted(sampled, key=record_key)


CASES = {
    "n: 5": (lambda n: min(5, n), 0, False),
    "n: 100": (lambda n: n, 0, False),
    "fraction: 0.3, seed: 4": (lambda n: n * 3 // 10, 4, False),
    "n: 1, kind: per_class": (lambda n: 1, 0, True),
    "fraction: 0.25, kind: per_class, seed: {from: master}": (lambda n: n // 4, derive_seed(0, "SampleData"), True),
}


QUICK = ("fraction: 0.3, seed: 4", "fraction: 0.25, kind: per_class, seed: {from: master}")


@pytest.mark.parametrize("selector", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_ranks_decide(class_folders: Path, tmp_path: Path, run: Run, selector: str) -> None:
    quota, seed, per_class = CASES[selector]
    result = run(write_recipe(class_folders, tmp_path, sample=sample(selector)))
    instance = rb.open_instance(result.path)
    for split in instance.splits:
        rows = instance.sample(split)
        assert sorted((r["record_id"] for r in rows), key=record_key) == expected(result, split, quota, seed=seed, per_class=per_class)
        assert result.manifest.raw["sample"]["counts"][split] == len(rows)
    assert verify(result.path, deep=True, recipe_digest=digest_of_recipe).ok


@pytest.mark.parametrize("dtype", [pytest.param("uint8", marks=pytest.mark.slow), "float32"])
def test_rows_are_those_of_the_dataset(class_folders: Path, tmp_path: Path, run: Run, dtype: str) -> None:
    """Also where statistics are fitted in a pass of their own, and applied before storing."""
    two = sample("n: 2, kind: per_class, splits: [train]")
    result = run(write_recipe(class_folders, tmp_path, sample=two, fields={"image": {"dtype": dtype}}))
    instance = rb.open_instance(result.path)
    whole = {row["record_id"]: row for row in instance.split("train")}
    rows = list(instance.sample("train"))
    assert Counter(row["label"] for row in rows) == {"circle": 2, "square": 2, "triangle": 2}
    for row in rows:
        assert row["image"].dtype == np.float32 and row["image"].tobytes() == whole[row["record_id"]]["image"].tobytes()
    part = next(Path(result.path, "sample/train").iterdir())
    other = next(Path(result.path, "dataset/train").iterdir())
    assert pq.read_schema(part).equals(pq.read_schema(other), check_metadata=True)
    with pytest.raises(UsageError, match="no sample of 'val'"):
        instance.sample("val")


def test_the_dataset_does_not_change(class_folders: Path, tmp_path: Path, run: Run) -> None:
    plain = run(write_recipe(class_folders, tmp_path, name="plain.yaml"))
    sampled = run(write_recipe(class_folders, tmp_path, name="sampled.yaml", sample=sample("n: 3")))
    assert sampled.path != plain.path
    assert sampled.manifest.logical_digest == plain.manifest.logical_digest
    with pytest.raises(UsageError, match="takes no sample"):
        rb.open_instance(plain.path).sample("train")


def test_a_sample_may_be_empty(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path, sample=sample("fraction: 0.1")))
    assert result.manifest.raw["sample"]["counts"] == {"train": 2, "val": 0, "test": 0}
    assert len(rb.open_instance(result.path).sample("val")) == 0


def test_bad_records_are_not_sampled(class_folders: Path, tmp_path: Path, run: Run, copy_of: Any) -> None:
    images = copy_of(class_folders)
    for path in sorted((images / "circle").iterdir())[:6]:
        path.write_bytes(b"no image" + path.name.encode())
    result = run(write_recipe(images, tmp_path, sample=sample("n: 100"), input=quarantine(0.5)))
    assert result.manifest.raw["sample"]["counts"] == result.counts and sum(result.counts.values()) == 30


def test_a_damaged_sample_is_found(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path, sample=sample("n: 3")))
    part = next(Path(result.path, "sample/train").iterdir())
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert [(f.code, f.path) for f in verify(result.path).findings] == [("wrong-digest", f"sample/train/{part.name}")]
