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

ALIASES = {"int": "int64", "float": "float64"}
"""Other words for a dtype, and the one it is stored as."""

SPELLINGS = {
    "string": "str",
    "str_": "str",
    "boolean": "bool",
    "bool_": "bool",
    "bytes_": "bytes",
    "int_": "int64",
    "integer": "int64",
    "uint": "uint64",
    "half": "float16",
    "single": "float32",
    "double": "float64",
}
"""What NumPy, Arrow and people call some dtypes, and the word a recipe has for it. Reading a recipe replaces them."""

WORDS: tuple[str, ...] = ("str", "bytes", "bool", "int", "float", *INTEGERS, *FLOATS, *LISTS)
"""Every dtype word of a record schema."""


def whole_number(text: str, dtype: str) -> int | None:
    """The number of an integer dtype that a text is the decimal form of; None if it is none.

    >>> whole_number("12", "uint8"), whole_number("012", "uint8"), whole_number("300", "uint8")
    (12, None, None)
    """
    try:
        number = int(text)
    except ValueError:
        return None
    low, high = integer_range(dtype)
    return number if str(number) == text and low <= number <= high else None


def integer_range(dtype: str) -> tuple[int, int]:
    """The least and the greatest number of an integer dtype."""
    bits = 8 * item_bytes(dtype)
    return (0, (1 << bits) - 1) if dtype.startswith("u") else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


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
