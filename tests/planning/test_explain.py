"""The plan in words, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.planning.explain import explain, split_rule
from support.plans import plan_of
from support.recipes import SMALL

RESIZE = SMALL["Transformations"][0]
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
SINK = "{name: shown, stage: post_pipeline, splits: [test], field: image, format: npy_per_record, path_template: '{record_id}.npy'}"


def text(**parts: Any) -> list[str]:
    return explain(plan_of(**parts), records=1234, sources=[("photos", "image_folder"), ("more", "image_flat")]).splitlines()


def test_every_stage_has_its_line() -> None:
    assert text(
        transformations=[RESIZE, NORMALIZE],
        filters=[
            "{name: few, op: random_sample, params: {n: 5}}",
            "{name: image_size, op: image_size, params: {min_width: 2}, stages: [post_split], splits: [test]}",
        ],
        augmentations=["{name: flip, op: horizontal_flip, splits: [train]}"],
        generation=["{name: even, op: duplicate_minority_class, seed: 5, output_schema: matches_input, splits: [train]}"],
        featurizations=["{name: c, op: categorical_encode, inputs: [label], output_field: c, fit_source: train, splits: [train, test]}"],
        fields={"c": "{dtype: int64}"},
        sample="{selector: {n: 4, kind: per_class}}",
        sinks=[
            "{name: shown, stage: post_pipeline, field: image, format: npy_per_record, path_template: '{record_id}.npy', splits: [test]}"
        ],
        contracts=["{field: label, assertion: {kind: required_field}}"],
        expectations=["{assertion: {kind: record_count_in_range, min: 1}, severity: warning}"],
    ) == [
        "Input: 1,234 files from photos (image_folder), more (image_flat)",
        "Filter before splits: few (random_sample)",
        "Splits: train 0.75, test 0.25 (exact, seed 3), stratified by label, identical files together",
        "Filter in test: image_size, in a pass of its own that reads every file's header",
        "Make records in train: even (duplicate_minority_class)",
        "Fit normalize on train: while shards are written, from the stored pixels",
        "Fit c on train: over references, nothing is decoded",
        "Content of train, test: decode uint8[?, ?, 3] -> resize uint8[16, 16, 3] -> stored as uint8[16, 16, 3]",
        "  applied when reading: normalize float32[16, 16, 3]",
        "Augment train: flip (horizontal_flip), when reading",
        "Field c: categorical_encode of label",
        "Output: c int64, image uint8[16, 16, 3], label str",
        "image: encoding tensor",
        "Parquet: compression lz4 (image), zstd:1 (others), row groups of 8 rows and 256 KiB, 1,024 KiB at most",
        "InputContracts: required_field of label (error)",
        "OutputExpectations: record_count_in_range (warning)",
        "Sample: 4 records of each class of train, test (seed 0)",
        "Sink shown: image of test to sinks/shown/{record_id}.npy",
    ]


def test_statistics_of_stored_floats_need_a_pass() -> None:
    lines = text(transformations=[RESIZE, NORMALIZE], fields={"image": {"dtype": "float32"}})
    assert "Fit normalize on train: in a pass of its own over train" in lines


def test_metadata_alone_says_so() -> None:
    assert text(transformations=None, fields={"image": None})[-2:] == [
        "image: not stored; nothing is decoded",
        "Parquet: compression zstd:1",
    ]


def test_codecs_and_row_groups_are_said() -> None:
    words = {"compression": "zstd:3", "row_group_bytes": 1 << 21}
    assert "Parquet: compression zstd:3, row groups of 2,048 KiB" in text(output=words)


def test_stored_augmentations_say_how_many() -> None:
    flip = "{name: flip, op: horizontal_flip, splits: [train], materialization: aggressive, expansion: 3}"
    assert "Augment train: flip (horizontal_flip), stored, 3 of each" in text(augmentations=[flip])


SOURCES = [{"name": name, "type": "image_folder", "path": f"/{name}", "partition": name} for name in ("train", "test")]
MAPPING = {"key_assignment": {"field": "label", "mapping": {"circle": "train", "square": "test"}}}


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ({"splits": {}, "input": {"sources": SOURCES}}, "by the source's partition: train, test"),
        ({"splits": {}, "fields": {"image": None}}, "by the source's partition: found when listing"),
        ({"splits": MAPPING}, "by field label: circle to train, square to test"),
        (
            {"splits": {"ratios": {"train": 1.0}, "method": "hash", "seed": 4, "keep_duplicates_together": False}},
            "train 1 (hash, seed 4)",
        ),
        (
            {"splits": {"ratios": {"fit": 1.0}, "applies_to": "train", "seed": 4}, "input": {"sources": SOURCES}},
            "fit 1 (exact, seed 4), of partition train, identical files together",
        ),
        (
            {"splits": {"ratios": {"train": 1.0}, "group_by": "label", "keep_duplicates_together": "near", "seed": 4}},
            "train 1 (exact, seed 4), grouped by label, pictures within 4 bits together",
        ),
        (
            {"splits": {"ratios": {"train": 1.0}, "applies_to": "main", "seed": 4},
             "filters": ["{name: a, op: sample_per_class, params: {n_per_class: 3, label: main}}"]},
            "train 1 (exact, seed 4), of the records tagged main; others go where their tag says, identical files together",
        ),
    ],
)  # fmt: skip
def test_the_rule_of_splits(parts: dict[str, Any], rule: str) -> None:
    assert split_rule(plan_of(transformations=None, **parts)) == rule
