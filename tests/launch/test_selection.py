"""Who goes where, end to end: duplicates, groups, assignments, the hash method, what is left over, and filters before and after splits."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.launch import RunResult
from refinery_beam.testing import images

FOLDERS = """\
schema_version: 3
plugin: image_classification
Input: {sources: [{name: photos, type: image_folder, path: photos}]}
Labels: {field: label, source: {kind: direct}}
Output: {record_schema: {label: {dtype: str}, path: {dtype: str}}}
"""
FLAT = """\
schema_version: 3
plugin: image_classification
Input:
  sources:
    - {name: photos, type: image_flat, path: flat/images, label_from: {path: table.csv, join: by_id, id_field: name, label_field: class}}
Labels: {field: label, source: {kind: direct}}
Output: {record_schema: {label: {dtype: str}, patient: {dtype: str}, path: {dtype: str}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/ with 36 pictures, 6 circles of which also lie in square/ (other names); flat/images with a table of patients."""
    root = tmp_path_factory.mktemp("selection")
    files = images.class_folders(root / "photos")
    for i, path in enumerate([p for p in files if p.parent.name == "circle"][:6]):
        shutil.copy(path, root / f"photos/square/copy_{i}{path.suffix}")
    flat = images.flat_with_csv(root / "flat")
    with (root / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "class", "patient", "fold"])
        # Five patients of seven pictures and one of one; folds 0..3.
        table.writerows([p.name, "ab"[i % 2], f"p{i // 7}", i % 4] for i, p in enumerate(flat))
    return root


class Built:
    """Where every record of a run went: {record_id: split}, the ledger, the warnings."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        self.split: dict[str, str] = {}
        self.label: dict[str, str] = {}
        for name in result.counts:
            for row in pq.read_table(f"{result.path}/dataset/{name}").to_pylist():
                assert row["record_id"] not in self.split, "in two splits"
                self.split[row["record_id"]] = name
                self.label[row["record_id"]] = row["label"]
        self.ledger = {r["record_id"]: r for r in pq.read_table(f"{result.path}/report/ledger.parquet").to_pylist()}
        assert not self.ledger.keys() & self.split.keys()
        self.warnings = [w["code"] for w in result.manifest.raw["warnings"]]

    @property
    def counts(self) -> dict[str, int]:
        return self.result.counts


def go(folder: Path, text: str, **settings: Any) -> Built:
    (folder / "recipe.yaml").write_text(text)
    return Built(rb.run(folder / "recipe.yaml", cache_root=folder / "cache", **settings))


def contents(folder: Path, built: Built) -> dict[bytes, set[str]]:
    """The splits in which each file content is found."""
    found: dict[bytes, set[str]] = {}
    for record_id, split in built.split.items():
        found.setdefault((folder / record_id).read_bytes(), set()).add(split)
    return found


HALVES = "Splits: {{ratios: {{train: 0.5, test: 0.5}}{}}}\n".format


def test_identical_files_never_straddle_splits(folder: Path) -> None:
    built = go(folder, FOLDERS + HALVES(""))
    assert len(built.split) == 42 and not built.ledger
    found = contents(folder, built)
    assert len(found) == 36
    assert {len(splits) for splits in found.values()} == {1}
    assert "label-conflict" in built.warnings, "the copies have other labels"


def test_they_do_when_told_so(folder: Path) -> None:
    """By any seed nearly: six pairs are in one split by chance once in 64."""
    built = go(folder, FOLDERS + HALVES(", keep_duplicates_together: false"))
    assert built.counts == {"train": 21, "test": 21}
    assert any(len(splits) > 1 for splits in contents(folder, built).values())


def test_a_group_is_never_divided(folder: Path) -> None:
    built = go(folder, FLAT + HALVES(", group_by: patient"))
    patients: dict[str, set[str]] = {}
    for split in built.counts:
        for row in pq.read_table(f"{built.result.path}/dataset/{split}").to_pylist():
            patients.setdefault(row["patient"], set()).add(split)
    assert set(patients) == {f"p{i}" for i in range(6)}
    assert all(len(splits) == 1 for splits in patients.values())
    by_split = Counter(next(iter(splits)) for splits in patients.values())
    assert by_split == {"train": 3, "test": 3}


def test_key_assignment(folder: Path) -> None:
    assignment = 'key_assignment: {field: fold, mapping: {"0": test, "1": train, "2": train}}'
    built = go(folder, FLAT + f"Splits: {{{assignment}}}\n")
    with (folder / "table.csv").open() as file:
        folds = {f"photos/{row['name']}": row["fold"] for row in csv.DictReader(file)}
    want = {"0": "test", "1": "train", "2": "train"}
    assert built.split == {i: want[f] for i, f in folds.items() if f in want}
    assert {i: r["reason"] for i, r in built.ledger.items()} == {i: "unassigned" for i, f in folds.items() if f == "3"}
    assert built.result.manifest.raw["ledger"] == {"unassigned": 9}
    assert {r["detail"] for r in built.ledger.values()} == {"fold '3' is mapped to no split"}
    said = {w["code"]: w["message"] for w in built.result.manifest.raw["warnings"]}
    assert said["key-unmapped"] == "9 records are in no split: fold '3' is mapped to no split (9)"


def test_the_hash_method_never_moves_an_old_record(folder: Path, tmp_path: Path) -> None:
    text = FOLDERS + "Splits: {ratios: {train: 0.6, test: 0.4}, method: hash}\n"
    before = go(folder, text)
    shutil.copytree(folder / "photos", tmp_path / "photos")
    images.class_folders(tmp_path / "photos", classes=("ring", "cross"), per_class=10)
    after = go(tmp_path, text)
    assert len(after.split) == 62
    assert {i: after.split[i] for i in before.split} == before.split
    assert set(before.split.values()) == {"train", "test"}


def test_the_rest_is_unassigned(folder: Path) -> None:
    built = go(folder, FLAT + "Splits: {ratios: {train: 0.5, test: 0.25}, stratify_by: label}\n")
    # 18 of each label: 9, 4.5 and a rest of 4.5. One label rounds up, the other down.
    assert built.counts == {"train": 18, "test": 9}
    assert built.result.manifest.raw["ledger"] == {"unassigned": 9}
    assert {(r["split"], r["stage"], r["reason"]) for r in built.ledger.values()} == {("", "Splits", "unassigned")}
    assert "ratios-below-one" in built.warnings


def test_stratified_quotas_are_exact(folder: Path) -> None:
    built = go(folder, FLAT + "Splits: {ratios: {train: 0.5, val: 0.25, test: 0.25}, stratify_by: label}\n")
    classes = Counter((built.split[i], built.label[i]) for i in built.split)
    # 18 of each: 9, 4.5, 4.5. The label that comes first by seeded rank rounds val up, the other one test.
    assert classes == {("train", "a"): 9, ("val", "a"): 5, ("test", "a"): 4, ("train", "b"): 9, ("val", "b"): 4, ("test", "b"): 5}


def test_filter_by_label(folder: Path) -> None:
    keep = "Filters: [{name: round, op: filter_by_label, params: {labels: [circle]}}]\n"
    drop = "Filters: [{name: edgy, op: filter_by_label, params: {labels: [circle], action: exclude}}]\n"
    kept, dropped = go(folder, FOLDERS + HALVES("") + keep), go(folder, FOLDERS + HALVES("") + drop)
    assert set(kept.label.values()) == {"circle"} and len(kept.split) == 12
    assert set(dropped.label.values()) == {"square", "triangle"} and len(dropped.split) == 30
    assert kept.split.keys() == dropped.ledger.keys()
    assert {(r["stage"], r["op"], r["reason"]) for r in kept.ledger.values()} == {("Filters", "round", "filtered")}


def test_random_sample_before_splits(folder: Path) -> None:
    text = "Filters: [{{name: some, op: random_sample, params: {{fraction: 0.5}}, seed: {}}}]\n".format
    one, same, other = (go(folder, FLAT + HALVES("") + text(seed)) for seed in (1, 1, 2))
    assert one.counts == {"train": 9, "test": 9} and len(one.ledger) == 18
    assert one.split == same.split and one.split.keys() != other.split.keys()
    assert all(r["split"] == "" for r in one.ledger.values()), "splits were not made yet"


def test_filters_after_splits_act_in_their_splits(folder: Path) -> None:
    filters = "Filters: [{name: some, op: random_sample, params: {fraction: 0.5}, stages: [post_split], splits: [train]}]\n"
    plain, built = go(folder, FLAT + HALVES("")), go(folder, FLAT + HALVES("") + filters)
    assert built.counts == {"train": 9, "test": 18}
    assert {i for i, s in built.split.items() if s == "test"} == {i for i, s in plain.split.items() if s == "test"}
    assert {i for i, s in built.split.items() if s == "train"} < {i for i, s in plain.split.items() if s == "train"}
    assert {r["split"] for r in built.ledger.values()} == {"train"}
