"""The dtype words of record schemas: which there are, and which of them mean the same."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Integer: TypeAlias = Literal["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
Float: TypeAlias = Literal["float16", "float32", "float64"]
Dtype: TypeAlias = Literal["int", "float", "bool", "str", "bytes", Integer, Float]

INTEGERS: tuple[str, ...] = get_args(Integer)
FLOATS: tuple[str, ...] = get_args(Float)
LISTS = ("list[str]", "list[int64]", "list[float64]")
"""Words of lists of one dimension."""

ALIASES = {"string": "str", "int": "int64", "float": "float64", "boolean": "bool"}
"""Other words for a dtype, and the one it is stored as."""


def normal_dtype(word: str) -> str:
    """The dtype that a declaration means.

    >>> normal_dtype("int"), normal_dtype("uint8")
    ('int64', 'uint8')
    """
    return ALIASES.get(word, word)


def item_bytes(word: str) -> int:
    """The bytes of one number.

    >>> item_bytes("float16"), item_bytes("uint8"), item_bytes("bool")
    (2, 1, 1)
    """
    return int(normal_dtype(word).lstrip("abcdefghijklmnopqrstuvwxyz") or 8) // 8
