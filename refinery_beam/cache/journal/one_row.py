"""A Parquet file of one row, written without PyArrow.

A cache hit is journalled, and does not import PyArrow: that import alone takes half as long again as the whole hit (0.2 s of CPU time on
top of 0.4 s). What one row of flat columns needs of the format is little: a page for each column, uncompressed and plain, and a footer in
Thrift's compact protocol. Field numbers and enums are those of parquet.thrift in apache/parquet-format, release 2.10.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.cache.journal.schema import COLUMNS, Column, Form

_BOOL_TRUE, _BOOL_FALSE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 5, 6, 8, 9, 12
"""Types of Thrift's compact protocol."""

_PHYSICAL: dict[Form, int] = {"bool": 0, "int": 2, "time": 2, "float": 5, "text": 6, "json": 6}
_CONVERTED: dict[Form, int] = {"text": 0, "json": 0, "time": 10}
_PLAIN, _RLE, _OPTIONAL, _UNCOMPRESSED, _DATA_PAGE = 0, 3, 1, 0, 0
_MAGIC = b"PAR1"

Field = tuple[int, int, Any]
"""Number, type and value of a field of a Thrift structure."""


def row_bytes(values: Mapping[str, Any], *, columns: Sequence[Column] = COLUMNS) -> bytes:
    """The bytes of a Parquet file with one row. A column without a value, or with None, is null. ``time`` is an int of microseconds since
    1970, ``json`` text. OverflowError for an int of more than 64 bits.

    >>> row_bytes({"run": "ab"})[:4], row_bytes({"run": "ab"})[-4:]
    (b'PAR1', b'PAR1')
    """
    out = bytearray(_MAGIC)
    chunks = []
    total = 0
    for column in columns:
        value = values.get(column.name)
        page = _definition(value is not None) + (b"" if value is None else _plain(column.form, value))
        start = len(out)
        # A data page: its type, sizes, and header (values, encoding, how nulls and repetitions are encoded).
        header = [(1, _I32, 1), (2, _I32, _PLAIN), (3, _I32, _RLE), (4, _I32, _RLE)]
        out += _struct([(1, _I32, _DATA_PAGE), (2, _I32, len(page)), (3, _I32, len(page)), (5, _STRUCT, header)])
        out += page
        size = len(out) - start
        total += size
        facts: list[Field] = [
            (1, _I32, _PHYSICAL[column.form]),
            (2, _LIST, (_I32, [_PLAIN, _RLE])),
            (3, _LIST, (_BINARY, [column.name.encode()])),
            (4, _I32, _UNCOMPRESSED),
            (5, _I64, 1),
            (6, _I64, size),
            (7, _I64, size),
            (9, _I64, start),
        ]
        chunks.append([(2, _I64, start), (3, _STRUCT, facts)])
    group: list[Field] = [(1, _LIST, (_STRUCT, chunks)), (2, _I64, total), (3, _I64, 1)]
    root: list[Field] = [(4, _BINARY, b"schema"), (5, _I32, len(columns))]
    footer = _struct(
        [
            (1, _I32, 2),
            (2, _LIST, (_STRUCT, [root, *(_element(column) for column in columns)])),
            (3, _I64, 1),
            (4, _LIST, (_STRUCT, [group])),
            (6, _BINARY, b"refinery-beam"),
        ]
    )
    return bytes(out) + footer + struct.pack("<I", len(footer)) + _MAGIC


def _element(column: Column) -> list[Field]:
    """The column in the schema: its type, that it may be null, its name, and what its values mean."""
    found: list[Field] = [(1, _I32, _PHYSICAL[column.form]), (3, _I32, _OPTIONAL), (4, _BINARY, column.name.encode())]
    if column.form in _CONVERTED:
        found.append((6, _I32, _CONVERTED[column.form]))
    if column.form in ("text", "json"):
        found.append((10, _STRUCT, [(1, _STRUCT, [])]))
    elif column.form == "time":
        found.append((10, _STRUCT, [(8, _STRUCT, [(1, _BOOL_TRUE, True), (2, _STRUCT, [(2, _STRUCT, [])])])]))
    return found


def _definition(present: bool) -> bytes:
    """Whether one value is there, as `definition` says it in the format: a run of one, of width one."""
    return struct.pack("<I", 2) + bytes([1 << 1, int(present)])


def _plain(form: Form, value: Any) -> bytes:
    if form == "bool":
        return bytes([bool(value)])
    if form == "float":
        return struct.pack("<d", value)
    if form in ("int", "time"):
        return int(value).to_bytes(8, "little", signed=True)
    data = str(value).encode("utf-8", "backslashreplace")
    return struct.pack("<I", len(data)) + data


def _struct(fields: Sequence[Field]) -> bytes:
    out = bytearray()
    last = 0
    for number, kind, value in fields:
        out.append((number - last) << 4 | kind)
        last = number
        if kind not in (_BOOL_TRUE, _BOOL_FALSE):
            out += _value(kind, value)
    return bytes(out) + b"\0"


def _value(kind: int, value: Any) -> bytes:
    if kind in (_I32, _I64):
        return _varint(value << 1 if value >= 0 else (-value << 1) - 1)
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == _STRUCT:
        return _struct(value)
    member, items = value
    head = bytes([len(items) << 4 | member]) if len(items) < 15 else bytes([0xF0 | member]) + _varint(len(items))
    return head + b"".join(_value(member, item) for item in items)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
