"""Stored rows: fields and their types, where they come from, and the encoding of the content."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.planning.output import METADATA_FIELDS
from refinery_beam.plugins.base import FieldType
from support.plans import plan_of, refused
from support.recipes import SMALL

HASH = "{name: hash, op: perceptual_hash, inputs: [image], output_field: hash, splits: [train, test]}"
RESIZE = SMALL["Transformations"][0]


def test_fields_stand_in_the_order_of_their_names() -> None:
    """Their order in the recipe means nothing, so it changes no row."""
    fields = {"hash": "{dtype: str}", "path": "{dtype: str}", "record_id": "{dtype: str}", "partition": "{dtype: str}"}
    plan = plan_of(featurizations=[HASH], fields=fields)
    assert [name for name, _ in plan.output.fields] == ["hash", "image", "label", "partition", "path", "record_id"]
    assert dict(plan.output.fields)["image"] == FieldType("uint8", (16, 16, 3))
    assert plan.output.schema()["image"] == {"dtype": "uint8", "shape": [16, 16, 3]}
    assert plan.output.schema()["hash"] == {"dtype": "str", "shape": None}
    assert set(METADATA_FIELDS) == {"record_id", "path", "partition"}


def test_sizes_that_only_files_know_are_open() -> None:
    plan = plan_of(transformations=None, fields={"image": {"shape": [None, None, 3]}})
    assert plan.output.schema()["image"] == {"dtype": "uint8", "shape": [None, None, 3]}


@pytest.mark.parametrize(
    ("parts", "encoding"),
    [
        ({}, "tensor"),
        ({"transformations": None, "fields": {"image": {"shape": [None, None, 3]}}}, "png"),
        ({"transformations": None, "fields": {"image": {"shape": [None, None, 3]}}, "output": {"encoding": "source"}}, "source"),
        ({"output": {"encoding": "jpeg"}}, "jpeg"),
        ({"fields": {"image": None}}, "none"),
    ],
)
def test_the_encoding(parts: dict[str, Any], encoding: str) -> None:
    output = plan_of(**parts).output
    assert output.encoding == encoding
    assert output.content_field == (None if encoding == "none" else "image")


def test_numbers_of_the_output() -> None:
    output = plan_of(output={"encoding": "jpeg", "quality": 80, "shard_records": 5}).output
    assert (output.quality, output.shard_records, output.shard_bytes) == (80, 5, None)
    assert (plan_of().output.quality, plan_of().output.shard_records) == (95, None)


def test_columns_of_a_table_may_be_stored_under_any_name() -> None:
    table = {"path": "/labels.csv", "join": "by_id", "id_field": "filename", "label_field": "class"}
    plan = plan_of(source={"type": "image_flat", "label_from": table}, fields={"year": "{dtype: int64}"})
    assert dict(plan.output.fields)["year"] == FieldType("int64")
    assert refused(fields={"year": "{dtype: int64}"}) == [("schema-reachable", "year")]


def test_made_records_bring_fields() -> None:
    fog = {
        "name": "fog",
        "op": "imagecorruptions_apply",
        "inputs": ["image"],
        "output_schema": "matches_input",
        "seed": 1,
        "splits": ["test"],
        "params": {"corruption_types": ["fog"], "severities": [1], "tag_fields": {"kind": "corruption"}},
    }
    plan = plan_of(generation=[fog], fields={"kind": "{dtype: str}", "source_record_id": "{dtype: str}"})
    assert plan.generated_fields == ("kind", "source_record_id")
    flip = "{name: flip, op: horizontal_flip, splits: [train], materialization: aggressive}"
    assert plan_of(augmentations=[flip]).output.fields[-1] == ("augmentation", FieldType("str"))


@pytest.mark.parametrize(
    ("parts", "refusal"),
    [
        ({"fields": {"colour": "{dtype: str}"}}, ("schema-reachable", "colour")),
        ({"featurizations": ["{name: h, op: perceptual_hash, inputs: [image], output_field: h, splits: [train]}"],
          "fields": {"h": "{dtype: str}"}}, ("schema-reachable", "h")),
        ({"fields": {"sample_per_class_tags": "{dtype: str}"}}, ("schema-reachable", "str")),
        ({"fields": {"sample_per_class_tags": "{dtype: int64, shape: [null]}"}}, ("schema-reachable", "int64")),
        ({"output": {"encoding": "source"}}, ("output-options", "source")),
        ({"transformations": None, "fields": {"image": {"shape": [None, None, 3]}}, "output": {"encoding": "tensor"}},
         ("output-options", "tensor")),
    ],
)  # fmt: skip
def test_what_no_row_can_hold(parts: dict[str, Any], refusal: tuple[str, str]) -> None:
    assert refused(**parts) == [refusal]
