"""The findings name exactly what was planted, in every file that speaks of them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import refinery_beam
from refinery_beam.errors import RefineryError
from refinery_beam.launch import RunResult
from support.planted import Planted, plant
from support.recipes import Run

RECIPE = """\
schema_version: 3
plugin: image_classification
Input:
  sources:
    - {{name: train, type: image_folder, path: {folder}/train, partition: train}}
    - {{name: test, type: image_folder, path: {folder}/test, partition: test}}
Labels: {{field: label, source: {{kind: direct}}}}
Output:
  record_schema:
    image: {{dtype: uint8, shape: [32, 32, 3]}}
    label: {{dtype: str}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 32, method: bilinear}}, splits: [train, test]}}
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    folder = tmp_path_factory.mktemp("planted")
    return folder, plant(folder)


def findings(result: RunResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(result.path) / "facts" / "findings.json").read_text())
    return found


def pairs(groups: list[list[dict[str, Any]]]) -> set[tuple[str, ...]]:
    return {tuple(sorted((record["record_id"] for record in group), key=lambda name: (name.startswith("test"), name))) for group in groups}


def test_exactly_what_was_planted_is_found(planted: tuple[Path, Planted], tmp_path: Path, run: Run) -> None:
    folder, made = planted
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder))
    result = run(recipe)
    found = findings(result)
    assert {word: flag["records"] for word, flag in found["quality"].items() if flag["records"]} == {"dark": 12, "blurry": 9}
    assert {r["record_id"] for r in found["quality"]["dark"]["first"]} == made.dark
    assert {r["record_id"] for r in found["quality"]["blurry"]["first"]} == made.blurry
    near = found["duplicates"]["near"]
    assert (near["groups"], near["crossing"], near["across"], near["within"]) == (12, 7, {"train,test": 7}, {"train": 10})
    assert pairs(near["leaks"]) == made.twins
    assert found["label_conflicts"]["near"]["pairs"] == 5
    assert pairs(found["label_conflicts"]["near"]["first"]) == made.conflicts == pairs(near["first"])
    assert found["duplicates"]["exact"]["groups"] == 0
    warned = {s["property"]: s for s in found["shortcuts"] if s["warned"]}
    assert set(warned) == {"format", "camera"}
    assert [(t["label"], t["value"], t["of_label"], t["of_others"]) for t in warned["format"]["tells"]] == [
        (made.png, "png", "1.0000", "0.0000")
    ]
    assert [(t["label"], t["value"]) for t in warned["camera"]["tells"]] == [(made.camera, "NIKON D90")]
    # 240 records, 2 values, 4 labels: sqrt((1 - 3/239) / ((2 - 1/239) - 1)).
    assert warned["format"]["cramers_v"] == "0.9958"
    assert "the file format 'png' gives label 'bee' away: 100% of its records have it, and 0% of the others" in warned["format"]["sentence"]
    codes = Counter(code for code, _ in result.warnings)
    assert codes == {"near-leak": 1, "near-label-conflict": 1, "shortcut": 2, "quality": 1}
    assert [(w["code"], w["message"]) for w in found["warnings"]] == list(result.warnings)
    flagged = pq.read_table(Path(result.path) / "facts" / "flagged.parquet").to_pylist()
    assert Counter(row["finding"] for row in flagged) == {"dark": 12, "blurry": 9, "near_duplicate": 24}
    report = (Path(result.path) / "report" / "report.md").read_text()
    assert all(name.split("/", 1)[1] in report for name in made.dark | made.blurry)


def test_expectations_gate_on_facts(planted: tuple[Path, Planted], tmp_path: Path, run: Run) -> None:
    folder, made = planted
    asked = "OutputExpectations:\n  - {{assertion: {{kind: fact_in_range, fact: high, min: 48, max_fraction: {share}}}}}\n"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder) + asked.format(share=0.04))
    with pytest.raises(RefineryError, match="fact_in_range does not hold: 12 of 240 records") as caught:
        run(recipe)
    assert caught.value.code == "contract"
    recipe.write_text(RECIPE.format(folder=folder) + asked.format(share=0.05))
    (entry,) = run(recipe).manifest.raw["expectations"]
    assert (entry["passed"], entry["observed"]["checked"], entry["observed"]["failed"]) == (True, 240, 12)
    assert set(entry["observed"]["records"]) <= made.dark
    recipe.write_text(RECIPE.format(folder=folder) + asked.format(share=0.05).replace("high", "hihg"))
    with pytest.raises(RefineryError, match="images have no fact 'hihg'") as caught:
        run(recipe)
    assert "high" in caught.value.remedy


def test_a_filter_by_facts_takes_what_they_say(planted: tuple[Path, Planted], tmp_path: Path, run: Run) -> None:
    folder, made = planted
    filters = "Filters:\n  - {name: light, op: fact_range, params: {fact: high, min: 48.0}, stages: [pre_split], splits: [train, test]}\n"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder) + filters)
    result = run(recipe)
    ledger = pq.read_table(Path(result.path) / "report" / "ledger.parquet").to_pylist()
    assert {row["record_id"] for row in ledger} == made.dark
    thumbnails = pq.read_table(Path(result.path) / "facts" / "thumbnails.parquet").to_pylist()
    dropped = {row["record_id"]: row for row in thumbnails if row["ledger"]}
    assert set(dropped) == made.dark, "who drops pictures wants to look at them"
    assert all((row["reason"], row["split"], row["width"], row["height"]) == ("filtered", "", 96, 96) for row in dropped.values())
    assert all(row["detail"].startswith("high ") and row["detail"].endswith("is below min 48") for row in ledger)
    assert "decodes every file once more" in str(refinery_beam.plan(recipe))
    facts = pq.read_table(Path(result.path) / "facts" / "records.parquet").to_pylist()
    assert min(row["high"] for row in facts) >= 48
