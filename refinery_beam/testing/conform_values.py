"""Values for the conformance kit: their digests, their types, and whether a value has its declared type."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np

from refinery_beam.identity import canonical_bytes, digest
from refinery_beam.plugins import kind
from refinery_beam.plugins.base import ArrayType, FieldType
from refinery_beam.testing import images


def copied(value: Any) -> Any:
    # The kit's own pickle, made a line before: nothing stored is ever read back this way.
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def plain(value: Any) -> Any:
    """A Pillow image as an array; any other value unchanged."""
    return np.ascontiguousarray(value) if hasattr(value, "getbands") else value


def print_of(value: Any) -> bytes:
    """A digest of any argument or result of an op."""
    if hasattr(value, "getbands") or hasattr(value, "dtype"):
        array = np.asarray(plain(value))
        return digest("array", type(value).__name__ == "Image", str(array.dtype), json.dumps(array.shape), array.tobytes())
    try:
        return digest("json", canonical_bytes(value))
    except (TypeError, ValueError):
        return digest("repr", repr(value))


def type_of(value: Any) -> ArrayType:
    return kind.type_of(plain(value))


def loosened(before: ArrayType) -> ArrayType:
    return ArrayType(before.dtype, (*(None for _ in before.shape[:2]), *before.shape[2:]))


def fits(have: ArrayType, want: ArrayType) -> bool:
    shapes = len(have.shape) == len(want.shape) and all(
        w is None or h is None or h == w for h, w in zip(have.shape, want.shape, strict=True)
    )
    return have.dtype == want.dtype and shapes


def field_type(value: Any) -> FieldType:
    if hasattr(value, "getbands") or hasattr(value, "dtype"):
        found = type_of(value)
        return FieldType(found.dtype, found.shape)
    if isinstance(value, list | tuple):
        inner = field_type(value[0]) if value else FieldType("int64")
        return FieldType(inner.dtype, (len(value), *(inner.shape or ())))
    words = {bool: "bool", int: "int64", float: "float64"}
    return FieldType(words.get(type(value), "str"))


def field_fits(have: FieldType, want: FieldType) -> bool:
    family = {"int64": ("int", "uint"), "float64": ("float",), "str": ("str",), "bool": ("bool",)}
    kinds = have.dtype == want.dtype or any(want.dtype.startswith(word) for word in family.get(have.dtype, ()))
    if have.shape is None or want.shape is None:
        return kinds and have.shape == want.shape
    return kinds and len(have.shape) == len(want.shape) and all(w is None or h == w for h, w in zip(have.shape, want.shape, strict=True))


def default_images() -> list[Any]:
    """Six drawn RGB pictures of two sizes, as Pillow images."""
    sizes = [(48, 36), (40, 40)]
    return [images.draw(label, k, size=sizes[k % 2]) for k, label in enumerate(("circle", "square", "triangle") * 2)]


def whole_version(version: Any) -> bool:
    return isinstance(version, int) and not isinstance(version, bool) and version >= 1
