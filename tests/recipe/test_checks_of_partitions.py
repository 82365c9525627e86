"""The numbered checks where sources are partitions, and what of them has no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refinery_beam.plugins.base import Plugin
from refinery_beam.plugins.image_classification import PLUGIN
from support.outcomes import failing, outcome

PARTS = """\
schema_version: 3
plugin: image_classification
Input:
  sources:
    - {name: a, type: image_folder, path: images, partition: train}
    - {name: b, type: image_flat, path: images, partition: test, unlabeled: true}
Output: {record_schema: {label: {dtype: str}}}
Labels: {field: label, source: {kind: direct}}
Splits:
  ratios: {train: 0.8, val: 0.2}
  applies_to: train
  stratify_by: label
Transformations:
  - {name: r, op: to_rgb, splits: [train, val, test]}
"""


def test_partitions_count_as_splits(folder: Path, plugin: Plugin) -> None:
    assert failing(outcome(PARTS, folder, plugin)) == []
    whole = PARTS.replace("  ratios: {train: 0.8, val: 0.2}\n  applies_to: train\n  stratify_by: label\n", "  seed: 1\n").replace(
        "val, ", ""
    )
    assert failing(outcome(whole, folder, plugin)) == []


def test_split_layouts_count_as_splits(folder: Path, plugin: Plugin) -> None:
    text = PARTS.split("Splits:")[0] + "Transformations:\n  - {name: r, op: to_rgb, splits: [train, whatever]}\n"
    text = text.replace(
        "type: image_folder, path: images, partition: train", "type: image_tree, path: images, layout: '{split}/{label}/{file}'"
    )
    text = text.replace("    - {name: b, type: image_flat, path: images, partition: test, unlabeled: true}\n", "")
    assert failing(outcome(text, folder, plugin)) == []


def test_tags_count_as_splits(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    text = edit(base, "Filters:\n", "Filters:\n  - {name: t, op: sample_per_class, params: {n_per_class: 5, label: probe}}\n")
    text = edit(text, "Filters:\n", "Filters:\n  - {name: u, op: sample_per_class, params: {n_per_class: 5, label: rest}}\n")
    text = edit(text, "  stratify_by: label\n", "  stratify_by: label\n  applies_to: rest\n")
    text = edit(text, "splits: [train, val, test]", "splits: [train, val, test, probe]")
    assert failing(outcome(text, folder, plugin)) == []


PART_RULES: list[tuple[int, str, str, str]] = [
    (20, "unknown-partition", "applies_to: train", "applies_to: §trian"),
    (20, "split-name-collision", "val: 0.2", "§test: 0.2"),
    (20, "applies-to-without-ratios", "  ratios: {train: 0.8, val: 0.2}\n  applies_to: train", "  applies_to: §train"),
    (20, "key-assignment-with-partitions", "  stratify_by: label\n", "  key_assignment: §{field: label, mapping: {a: val}}\n"),
    (20, "partition-twice", "partition: train}", "partition: §train, layout: '{split}/{file}'}"),
    (21, "label-of-unlabeled", "  applies_to: train\n  stratify_by: label", "  applies_to: test\n  stratify_by: §label"),
    (
        21,
        "unlabeled-with-labels",
        "unlabeled: true}",
        "unlabeled: true, label_from: §{path: labels.csv, join: by_row_order, label_field: class}}",
    ),
    (21, "unlabeled-type", "type: image_flat", "type: §image_folder"),
    (21, "unlabeled-without-partition", "partition: test, unlabeled: true", "unlabeled: §true"),
    (
        21,
        "label-of-unlabeled",
        "Transformations:\n",
        "Filters:\n  - {name: f, op: filter_by_label, params: {labels: [a]}, stages: [post_split], splits: §[test]}\nTransformations:\n",
    ),
    (
        21,
        "label-of-unlabeled",
        "Transformations:\n",
        "Filters:\n  - §{name: f, op: filter_by_label, params: {labels: [a]}}\nTransformations:\n",
    ),
    (15, "unknown-split", "splits: [train, val, test]", "splits: [train, val, §tset]"),
]


LABEL_READERS = {
    "filter_by_label": "Filters:\n  - {name: f, op: filter_by_label, params: {labels: [a]}, stages: [post_split], splits: §[val]}\n",
    "filter_by_field": (
        "Filters:\n  - {name: f, op: filter_by_field, params: {field: label, in: [a]}, stages: [post_split], splits: §[train, val]}\n"
    ),
    "sample_per_class": "Filters:\n  - {name: f, op: sample_per_class, params: {n_per_class: 2}, stages: [post_split], splits: §[final]}\n",
    "categorical_encode": (
        "Featurizations:\n"
        "  - {name: f, op: categorical_encode, inputs: [label], output_field: n, fit_source: train, splits: §[train, val]}\n"
    ),
    "per_class_count_per_split": ("OutputExpectations:\n  - {field: §label, assertion: {kind: per_class_count_per_split, per_class: 2}}\n"),
    "duplicate_minority_class": (
        "Generation:\n  - {name: f, op: duplicate_minority_class, seed: 1, output_schema: matches_input, splits: §[val]}\n"
    ),
}


@pytest.mark.parametrize("reader", LABEL_READERS)
def test_parts_of_an_unlabeled_partition_are_unlabeled(reader: str, marked: Any, folder: Path) -> None:
    whole = "{train: 0.8, val: 0.2}\n  applies_to: train\n  stratify_by: label"
    divided = PARTS.replace(whole, "{val: 0.5, final: 0.5}\n  applies_to: test").replace("[train, val, test]", "[train, val, final]")
    assert failing(outcome(divided, folder, PLUGIN)) == []
    case = marked(divided.replace("Transformations:\n", f"{LABEL_READERS[reader]}Transformations:\n"), file=str(folder / "r.yaml"))
    result = outcome(case.text, folder, PLUGIN)[21]
    assert [(e.code, e.at) for e in result.errors] == [("label-of-unlabeled", case.at)]
    on_train = case.text
    for splits in ("[val]", "[train, val]", "[final]"):
        on_train = on_train.replace(f"splits: {splits}", "splits: [train]")
    if reader != "per_class_count_per_split":
        assert outcome(on_train, folder, PLUGIN)[21].status == "pass"


@pytest.mark.parametrize(("number", "code", "old", "new"), PART_RULES)
def test_partition_rules(number: int, code: str, old: str, new: str, edit: Any, marked: Any, folder: Path, plugin: Plugin) -> None:
    case = marked(edit(PARTS, old, new), file=str(folder / "r.yaml"))
    result = outcome(case.text, folder, plugin)[number]
    assert (code, case.at) in {(e.code, e.at) for e in result.errors}
