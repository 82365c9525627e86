"""Declared dtypes are kept, losslessly or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.plugins.base import ArrayType, FieldType
from refinery_beam.plugins.image_classification.encodings import ENCODINGS
from refinery_beam.record.columns import FieldMismatch, arrow_schema, coerce
from support.plans import STORAGE


@pytest.mark.parametrize(
    ("value", "dtype", "want"),
    [
        ("cat", "str", "cat"),
        ("007", "str", "007"),
        ("7", "int64", 7),
        ("-3", "int8", -3),
        (5, "uint8", 5),
        (5, "float32", 5.0),
        (True, "bool", True),
        (b"x", "bytes", b"x"),
    ],
)
def test_lossless(value: Any, dtype: str, want: Any) -> None:
    got = coerce("f", value, FieldType(dtype), optional=False)
    assert got == want
    assert type(got) is type(want)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("007", "int64"),
        ("1.0", "int64"),
        (" 7", "int64"),
        (True, "int64"),
        (256, "uint8"),
        (-1, "uint8"),
        (5, "str"),
        (1.5, "int64"),
        ("x", "float32"),
        (1, "bool"),
    ],
)
def test_lossy_is_refused(value: Any, dtype: str) -> None:
    with pytest.raises(FieldMismatch, match="field 'f' is"):
        coerce("f", value, FieldType(dtype), optional=False)


def test_absent_values() -> None:
    assert coerce("label", None, FieldType("str"), optional=True) is None
    with pytest.raises(FieldMismatch, match="field 'label' has no value"):
        coerce("label", None, FieldType("str"), optional=False)


def test_lists_have_their_declared_length() -> None:
    assert coerce("size", (3, 4, 3), FieldType("int64", (3,)), optional=False) == [3, 4, 3]
    assert coerce("size", [1, 2], FieldType("int64", (None,)), optional=False) == [1, 2]
    with pytest.raises(FieldMismatch, match="has 2 items, Output declares 3"):
        coerce("size", [1, 2], FieldType("int64", (3,)), optional=False)


def plan_of(encoding: str) -> OutputPlan:
    fields = (("image", FieldType("uint8", (4, 5, 3))), ("label", FieldType("str")), ("size", FieldType("int64", (3,))))
    return OutputPlan(
        fields=fields,
        content_field="image",
        encoding=encoding,
        quality=90,
        shard_records=None,
        shard_bytes=None,
        storage=STORAGE,
    )


def test_tensor_schema() -> None:
    schema = arrow_schema(plan_of("tensor"), ENCODINGS["tensor"])
    assert schema.names == ["record_id", "image", "label", "size"]
    assert str(schema.field("image").type) == "fixed_size_binary[60]"
    assert schema.field("image").metadata == {
        b"refinery:encoding": b"tensor",
        b"refinery:dtype": b"uint8",
        b"refinery:shape": b"[4,5,3]",
    }
    assert schema.metadata is None


def test_encoded_schema_says_image_to_others() -> None:
    schema = arrow_schema(plan_of("png"), ENCODINGS["png"])
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"_type": "Value", "dtype": "string"}


def test_the_bytes_of_a_tensor() -> None:
    assert ENCODINGS["tensor"].estimate(ArrayType("float32", (2, 3)), 0) == 24
