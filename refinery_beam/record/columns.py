"""Output fields as Arrow columns: declared dtype words, lossless coercion, and metadata by which other libraries read the files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refinery_beam.dtypes import FLOATS, INTEGERS, normal_dtype
from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.plugins.base import ArrayType, Encoding, FieldType

if TYPE_CHECKING:
    import pyarrow as pa


class FieldMismatch(ValueError):
    """A value does not have the declared dtype or shape; the message says both."""


def coerce(name: str, value: Any, declared: FieldType, *, optional: bool) -> Any:
    """`value` as the declared type, if the conversion loses nothing; else raises FieldMismatch. Text that is a whole number's own decimal
    text may become an integer.

    >>> coerce("label", "3", FieldType("int64"), optional=False)
    3
    """
    if value is None:
        if optional:
            return None
        raise FieldMismatch(f"field {name!r} has no value")
    if declared.shape is not None:
        return _coerce_list(name, value, declared)
    dtype = normal_dtype(declared.dtype)
    if dtype == "str" and isinstance(value, str):
        return value
    if dtype == "bool" and isinstance(value, bool):
        return value
    if dtype == "bytes" and isinstance(value, bytes):
        return value
    if dtype in INTEGERS:
        return _integer(name, value, dtype)
    if dtype in FLOATS and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise FieldMismatch(f"field {name!r} is {value!r} ({type(value).__name__}), Output declares {declared.dtype}")


def _integer(name: str, value: Any, dtype: str) -> int:
    if isinstance(value, str) and (number := _decimal(value)) is not None:
        value = number
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldMismatch(f"field {name!r} is {value!r} ({type(value).__name__}), Output declares {dtype}")
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    low, high = (0, (1 << bits) - 1) if dtype.startswith("u") else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    if not low <= value <= high:
        raise FieldMismatch(f"field {name!r} is {value}, outside {dtype}")
    return value


def _decimal(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text else None


def _coerce_list(name: str, value: Any, declared: FieldType) -> list[Any]:
    assert declared.shape is not None
    if not isinstance(value, list | tuple):
        raise FieldMismatch(f"field {name!r} is {value!r}, Output declares shape {list(declared.shape)}")
    if not declared.shape:
        raise FieldMismatch(f"field {name!r} is a list, Output declares a scalar shape []")
    if declared.shape[0] is not None and len(value) != declared.shape[0]:
        raise FieldMismatch(f"field {name!r} has {len(value)} items, Output declares {declared.shape[0]}")
    rest = FieldType(declared.dtype, declared.shape[1:] or None)
    return [coerce(name, item, rest, optional=False) for item in value]


def arrow_schema(output: OutputPlan, encoding: Encoding | None) -> pa.Schema:
    """The Arrow schema of a shard: record_id, then the declared fields in the recipe's order. `encoding` is the content's encoding, if
    content is stored.
    """
    import pyarrow as pa

    columns = [pa.field("record_id", pa.string())]
    for name, declared in output.fields:
        if name == "record_id":
            continue
        if encoding is not None and name == output.content_field:
            columns.append(encoding.arrow(name, ArrayType(declared.dtype, declared.shape or ())))
        else:
            columns.append(pa.field(name, arrow_type(declared)))
    feature = encoding.feature() if encoding is not None else None
    return pa.schema(columns, metadata=_huggingface(columns, output.content_field, feature) if feature else None)


def arrow_type(declared: FieldType) -> pa.DataType:
    """The Arrow type of a field's declared type."""
    import pyarrow as pa

    if declared.shape:
        return pa.list_(arrow_type(FieldType(declared.dtype, declared.shape[1:] or None)))
    words = {
        "str": pa.string(),
        "bool": pa.bool_(),
        "bytes": pa.binary(),
        "float16": pa.float16(),
        "float32": pa.float32(),
        "float64": pa.float64(),
    }
    dtype = normal_dtype(declared.dtype)
    return words[dtype] if dtype in words else getattr(pa, dtype)()


def features(output: OutputPlan, encoding: Encoding | None, classes: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, Any]]:
    """The columns of `arrow_schema` as a dataset card describes them to the `datasets` library: ``dataset_info.features``.

    `classes` are the values of text fields that become class labels, whose numbers follow the order of the values.
    """
    content = encoding.feature() if encoding is not None else None
    found: list[dict[str, Any]] = []
    for column in arrow_schema(output, encoding):
        if content is not None and column.name == output.content_field:
            found.append({"name": column.name, **_on_card(content)})
        elif classes and column.name in classes:
            names = {str(number): name for number, name in enumerate(classes[column.name])}
            found.append({"name": column.name, "dtype": {"class_label": {"names": names}}})
        else:
            found.append({"name": column.name, **_on_card(_feature(column.type))})
    return found


def _on_card(feature: Mapping[str, Any]) -> dict[str, Any]:
    """A feature in the form of cards, from the form of schema metadata."""
    kind = feature.get("_type")
    if kind == "Value":
        return {"dtype": feature["dtype"]}
    if kind == "Sequence":
        inner = _on_card(feature["feature"])
        return {"sequence": inner["dtype"] if set(inner) == {"dtype"} else inner}
    if kind is None:
        return {"struct": [{"name": name, **_on_card(inner)} for name, inner in feature.items()]}
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(kind)).lower()
    rest = {name: value for name, value in feature.items() if name != "_type"}
    return {"dtype": {word: rest} if rest else word}


def _huggingface(columns: list[pa.Field], content_field: str | None, content: dict[str, Any]) -> dict[bytes, bytes]:
    """The schema metadata that tells the `datasets` library the type of a struct<bytes, path> column."""
    features = {c.name: content if c.name == content_field else _feature(c.type) for c in columns}
    return {b"huggingface": json.dumps({"info": {"features": features}}, sort_keys=True, separators=(",", ":")).encode()}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_list(kind):
        return {"_type": "Sequence", "feature": _feature(kind.value_type)}
    if pa.types.is_struct(kind):
        return {child.name: _feature(child.type) for child in kind}
    if pa.types.is_fixed_size_binary(kind):
        return {"_type": "Value", "dtype": "binary"}  # older releases of the library have no word for it, and cast to this one
    words = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return {"_type": "Value", "dtype": words.get(str(kind), str(kind))}
