"""A kind of data that is not images, from one folder: `text.py` is all there is of it, and nothing else was changed for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.plugins.discovery import find_plugin, read_plugin_paths
from refinery_beam.testing.conformance import check_op
from refinery_beam.testing.hostile import check_recipe

TEXT = str(Path(__file__).with_name("text.py"))

RECIPE = """
schema_version: 3
plugin: plain_text
seed: 1
Input:
  sources: [{name: letters, type: text_folder, path: ./texts}]
  on_error: quarantine
  max_bad_fraction: 0.1
Labels: {field: label, source: {kind: direct}}
Filters:
  - {name: some, op: random_sample, params: {n: 24}}
Splits: {ratios: {train: 0.5, test: 0.5}, stratify_by: label}
Transformations:
  - {name: lower, op: lower, splits: [train, test]}
  - {name: common, op: keep_common_words, fit_source: train, params: {most: 2}, splits: [train, test]}
InputContracts:
  - {field: text, assertion: {kind: required_field}}
OutputExpectations:
  - {field: text, assertion: {kind: dtype_equals, expected: str}}
SampleData: {selector: {n: 2}}
Output: {record_schema: {text: {dtype: str}, label: {dtype: str}}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """24 texts of two classes, and one that is no UTF-8."""
    for label, words in (("farewell", "Bye world"), ("greeting", "Hello world")):
        folder = tmp_path / "texts" / label
        folder.mkdir(parents=True)
        for i in range(12):
            (folder / f"{i}.txt").write_text(f"{words} {'The' if i % 2 else 'a'} number{i}")
    (tmp_path / "texts/greeting/bad.txt").write_bytes(b"Hello \xff")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, cache: str, **options: Any) -> rb.RunResult:
    return rb.run(recipe, cache_root=recipe.parent / cache, plugin_paths=[TEXT], **options)


def test_a_dataset_of_texts_is_built_reported_verified_and_served(recipe: Path) -> None:
    built = run(recipe, "cache")
    assert sum(built.counts.values()) == 23  # of 25 files the sample leaves 24, and the bad one is among them
    assert built.manifest.raw["ledger"] == {"filtered": 1, "not_utf8": 1}

    instance = rb.open_instance(built.path, plugin_paths=[TEXT])
    statistics = json.loads((Path(built.path) / "fitted_statistics/common.json").read_text())
    assert {word for row in instance.split("train") for word in row["text"].split()} == set(statistics["words"])

    report = (Path(built.path) / "report/report.md").read_text()
    for line in (
        "Stored texts: str, encoding plain.",
        "| words | \\[world,",
        "| OutputExpectations | dtype_equals | text | expected=str | error | holds |",
        "| `letters/greeting/bad.txt` | not_utf8 | byte 6 is no UTF-8 |",
    ):
        assert line in report

    proof = verify(built.path, deep=True, code=read_plugin_paths([TEXT]))
    assert proof.findings == () and proof.notes == () and proof.records_checked == 23 + 4  # the sample's two a split are checked, too

    serve = rb.Replay.from_instance(built.path, plugin_paths=[TEXT])
    for row in (*instance.split("train"), *instance.split("test")):
        assert serve(recipe.parent / "texts" / row["record_id"].removeprefix("letters/")) == row["text"]
    with pytest.raises(rb.errors.DataError) as caught:
        serve(b"\xff")
    assert caught.value.code == "not_utf8"


def test_plan_says_what_texts_cost(recipe: Path) -> None:
    cost = rb.plan(recipe, cache_root=recipe.parent / "cache", plugin_paths=[TEXT]).cost
    assert cost is not None and (cost.files, cost.rows, cost.passes) == (24, 25, 2) and cost.disk["content"] > 0


def test_a_second_run_is_a_hit(recipe: Path) -> None:
    assert [run(recipe, "cache").status for _ in range(2)] == ["built", "hit"]


def test_the_files_themselves_can_be_stored(recipe: Path) -> None:
    text = RECIPE.split("Transformations:")[0] + "Output: {encoding: source, record_schema: {text: {dtype: str}, label: {dtype: str}}}\n"
    recipe.write_text(text)
    built = run(recipe, "cache")
    assert built.manifest.raw["ledger"]["not_utf8"] == 1
    instance = rb.open_instance(built.path, plugin_paths=[TEXT])
    for row in instance.split("train"):
        assert row["text"] == (recipe.parent / "texts" / row["record_id"].removeprefix("letters/")).read_text()


@pytest.mark.slow
def test_processes_give_the_same_bytes(recipe: Path) -> None:
    threads, processes = run(recipe, "threads"), run(recipe, "processes", mode="processes")
    assert threads.manifest.files_digest == processes.manifest.files_digest


@pytest.mark.slow
def test_a_hostile_engine_gives_the_same_bytes(recipe: Path) -> None:
    check_recipe(recipe, seeds=2, plugin_paths=[TEXT])


def test_its_ops_keep_the_rules() -> None:
    plugin = find_plugin("plain_text", paths=read_plugin_paths([TEXT]))
    texts = ["Hello the World", "Bye", "the world the end", ""]
    assert "inexact-fit" in check_op(plugin.ops["keep_common_words"], {"most": 1}, texts)
    check_op(plugin.ops["lower"], {}, texts)
