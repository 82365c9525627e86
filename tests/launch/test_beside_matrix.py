"""Assertions, a sample and sinks together: one digest whatever the engine does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.launch import RunResult
from refinery_beam.testing.engine import hostile, replayed
from support.recipes import Run, quarantine, write_recipe

PARTS: dict[str, Any] = {
    "input": quarantine(0.5),
    "contracts": [
        "{field: label, assertion: {kind: value_in_set, value: [circle, square]}}",
        "{field: label, assertion: {kind: count_by_field, value_per_key: 12}}",
        "{field: image, assertion: {kind: value_range, max: 253}, severity: warning}",
    ],
    "expectations": [
        "{field: image, assertion: {kind: value_range, min: -1, max: 1}, severity: warning}",
        "{field: label, assertion: {kind: per_class_count_equals, value: 3}, severity: warning}",
        "{field: label, assertion: "
        "{kind: distributional, reference: {fractions: {circle: 0.5, square: 0.5}}, distance: jensen_shannon, max: 1}}",
    ],
    "sample": "{selector: {fraction: 0.3, kind: per_class, seed: {from: master}}}",
    "sinks": [
        '{name: png, stage: post_pipeline, field: image, format: png_per_record, path_template: "{split}/{path}.png"}',
        '{name: npy, stage: post_pipeline, splits: [test], field: image, format: npy_per_record, path_template: "{path|stem}.npy"}',
    ],
}

SETTINGS: dict[str, dict[str, object]] = {
    "four threads": {"workers": 4, "mode": "threads"},
    "two processes": {"workers": 2, "mode": "processes"},
    "every bundle twice": {"workers": 1, "mode": "threads", "runner_factory": replayed(1)},
    **{f"hostile bundles {seed}": {"workers": 1, "mode": "threads", "runner_factory": hostile(seed)} for seed in range(2)},
}


@pytest.fixture(scope="module")
def expected(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("reference")
    return rb.run(write_recipe(class_folders, folder, **PARTS), cache_root=folder / "cache", workers=1, mode="threads")


def test_the_reference_has_something_to_say(expected: RunResult) -> None:
    entries = expected.manifest.raw["expectations"]
    assert [e["passed"] for e in entries] == [False, True, False, False, False, True]
    assert expected.manifest.ledger == {"contract:value_in_set": 12}
    assert expected.manifest.raw["sample"]["counts"] == {"train": 4, "val": 0, "test": 0}
    assert {n: s["files"] for n, s in expected.manifest.raw["sinks"].items()} == {"png": 24, "npy": expected.counts["test"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_one_digest(name: str, class_folders: Path, tmp_path: Path, run: Run, expected: RunResult) -> None:
    result = run(write_recipe(class_folders, tmp_path, **PARTS), **SETTINGS[name])
    assert result.status == "built"
    mine, theirs = (
        {p.relative_to(r.path).as_posix(): p.read_bytes() for p in Path(r.path).rglob("*") if p.is_file() and p.name != "recipe.yaml"}
        for r in (result, expected)
    )
    assert mine.keys() == theirs.keys()
    assert [path for path in mine if mine[path] != theirs[path]] == []
