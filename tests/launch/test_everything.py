"""The whole language in one recipe: its parts were built one by one, here they meet. One digest, whatever the engine does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.launch import RunResult
from refinery_beam.recipe import digest_of_recipe
from refinery_beam.runners.local import constructed_runner
from refinery_beam.testing.engine import hostile
from support.everything import write_everything
from support.recipes import Run

SETTINGS: dict[str, dict[str, object]] = {
    "two threads": {"workers": 2, "mode": "threads"},
    "two processes": {"workers": 2, "mode": "processes"},
    "as users run it": {"workers": 2, "mode": "threads", "runner_factory": constructed_runner},
    "hostile": {"workers": 1, "mode": "threads", "runner_factory": hostile(11)},
}


QUICK = ("hostile", "as users run it")
"""Pipelines of other tests are measured, so their refs are written in full; those of users are interned."""


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("everything")
    return rb.run(write_everything(class_folders, folder), cache_root=folder / "cache", workers=1)


def test_counts(built: RunResult) -> None:
    assert built.counts == {"train": 36, "test": 36}
    raw = built.manifest.raw
    assert raw["ledger"] == {"filtered": 6}
    assert [e["passed"] for e in raw["expectations"]] == [True] * 5


def test_rows(built: RunResult) -> None:
    instance = rb.open_instance(built.path)
    test = list(instance.split("test", raw=True))
    assert Counter((row["corruption"], row["severity"]) for row in test) == {("fog", 2): 12, ("gaussian_noise", 2): 12, ("none", 0): 12}
    assert {(row["label"], row["number"]) for row in test} == {("circle", 0), ("square", 1), ("triangle", 2)}
    train = list(instance.split("train", raw=True))
    assert len({row["record_id"] for row in train}) == 36
    assert {row["corruption"] for row in train} == {None}
    flips = Counter(json.loads(row["augmentation"])[0]["sampled"]["flip"] for row in train)
    assert set(flips) == {True, False}


def test_it_verifies_and_has_its_sample(built: RunResult) -> None:
    report = verify(built.path, deep=True, recipe_digest=digest_of_recipe)
    assert report.ok, report.findings
    instance = rb.open_instance(built.path)
    assert {len(instance.sample(split)) for split in instance.splits} == {4}
    ledger = pq.read_table(Path(built.path) / "report" / "ledger.parquet").to_pylist()
    assert {row["op"] for row in ledger} == {"ten"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name not in QUICK else name for name in SETTINGS])
def test_one_digest(name: str, class_folders: Path, tmp_path: Path, run: Run, built: RunResult, copy_of: Callable[[Path], Path]) -> None:
    result = run(write_everything(class_folders, tmp_path), **SETTINGS[name])
    assert (Path(result.path) / "manifest.json").read_bytes() == (Path(built.path) / "manifest.json").read_bytes()
