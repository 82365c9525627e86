"""The digests of rows, shards and datasets: what a stored row *is*, apart from the file format. No other module computes them.

A file digest answers "are these the same bytes"; it changes when Parquet's writer changes. The digests here answer "is this the same
dataset": they cover ids, field names, dtypes and values, but no codec, compression, row group or library version.

Four digests, each a SHA-256 under its own domain word (`identity.digest` prefixes every part with its length):

* row: the record id, then every field in name order as (name, dtype word, canonical value);
* shard: its row digests in stored order;
* dataset (`logical_digest`): its shards in split order, then shard order;
* files (`files_digest`): path, size and sha256 of every file, sorted by path. This one *is* about bytes.

The canonical value of a field
------------------------------
Scalars and (nested) lists are written as canonical JSON *after* being brought to the declared dtype: a float32 field is rounded to float32
first, so that the digest of what goes in equals the digest of what is read back. What JSON lacks is spelled out: ``{"float": "nan"}``,
``{"float": "inf"}``, ``{"bytes": "<hex>"}``. Pixels are the digest of (NumPy dtype name, shape as JSON, raw bytes in C order). An image
stored as its untouched source file is the file's sha256. The last two carry a prefix that no JSON text begins with, so no two kinds
can ever meet.

This module knows no NumPy: an array is anything with ``dtype``, ``shape`` and ``tobytes``.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from refinery_beam.dtypes import FLOATS, INTEGERS, normal_dtype
from refinery_beam.identity import canonical_bytes, digest

_FORMS = {"float16": "<e", "float32": "<f", "float64": "<d"}


class Pixels(NamedTuple):
    """An image value without NumPy: dtype name, shape, and the raw bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class SourceBytes(NamedTuple):
    """An image value stored as the untouched bytes of its source file, known by their raw 32-byte sha256."""

    sha256: bytes

    @classmethod
    def of(cls, data: bytes) -> SourceBytes:
        """From the bytes themselves."""
        return cls(hashlib.sha256(data).digest())


def canonical_value(dtype: str, value: Any) -> bytes:
    """The bytes a field value is hashed as.

    ``dtype`` is the declared word ('str', 'int64', 'float32', 'bool', 'uint8', ...). ``value`` is None, a scalar (NumPy scalars too), a
    nested list of them, an array (always pixels, whatever its rank), `Pixels` or `SourceBytes`. Raises TypeError for a value that is not of
    the dtype: an int field does not take 5.0, a float field takes 5 as 5.0.

    >>> canonical_value("float32", 0.1), canonical_value("int64", [1, None]), canonical_value("float64", float("inf"))
    (b'0.10000000149011612', b'[1,null]', b'{"float":"inf"}')
    """
    if isinstance(value, SourceBytes):
        return b"source:" + value.sha256
    if isinstance(value, Pixels):
        return _pixels(value.dtype, value.shape, value.data)
    if hasattr(value, "tobytes") and getattr(value, "shape", ()) != ():
        return _pixels(str(value.dtype), value.shape, value.tobytes())
    return canonical_bytes(_plain(dtype, value))


def row_digest(record_id: str, fields: Iterable[tuple[str, str, Any]]) -> bytes:
    """The 32-byte digest of one row; ``fields`` are (name, dtype word, value) in any order, without ``record_id`` itself.

    >>> a = row_digest("s/1.png", [("label", "str", "cat"), ("n", "int64", 5)])
    >>> a == row_digest("s/1.png", [("n", "int64", 5), ("label", "str", "cat")])
    True
    >>> a == row_digest("s/1.png", [("label", "str", "cat"), ("n", "str", "5")])
    False
    """
    parts: list[bytes | str] = [record_id]
    # Names are unique in a schema, so the dtype and the value never take part in this comparison.
    for name, dtype, value in sorted(fields, key=lambda field: field[0]):
        parts += (name, dtype, canonical_value(dtype, value))
    return digest("row", *parts)


def shard_digest(row_digests: Iterable[bytes]) -> str:
    """The hex ``rows_digest`` of a shard from its row digests in stored order.

    >>> shard_digest([])[:16]
    '68292aa4b1a45544'
    """
    return digest("shard", *row_digests).hex()


def logical_digest(files: Iterable[Mapping[str, Any]], splits: Sequence[str]) -> str:
    """The hex digest of a dataset from its manifest's file entries (entries without ``split`` do not count) and the order of its splits."""
    order = {split: position for position, split in enumerate(splits)}
    shards = [entry for entry in files if "split" in entry]
    shards.sort(key=lambda entry: (order[entry["split"]], entry["shard"]))
    return digest("rows", *(f"{e['split']}\0{e['shard']}\0{e['records']}\0{e['rows_digest']}" for e in shards)).hex()


def files_digest(files: Iterable[Mapping[str, Any]]) -> str:
    """The hex digest of a set of files from their entries {path, bytes, sha256}; their order does not matter.

    >>> one = {"path": "a", "bytes": 1, "sha256": "00"}; two = {"path": "b", "bytes": 2, "sha256": "11"}
    >>> files_digest([one, two]) == files_digest([two, one])
    True
    """
    entries = sorted(files, key=lambda entry: str(entry["path"]))
    return digest("files", *(f"{e['path']}\0{e['bytes']}\0{e['sha256']}" for e in entries)).hex()


def _pixels(dtype: str, shape: Iterable[int], data: bytes) -> bytes:
    return b"pixels:" + digest("pixels", dtype, _shape_text(tuple(shape)), data)


@lru_cache(maxsize=1024)
def _shape_text(shape: tuple[int, ...]) -> bytes:
    return canonical_bytes([int(n) for n in shape])


def _plain(dtype: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [_plain(dtype, item) for item in value]
    if hasattr(value, "item") and hasattr(value, "dtype"):
        value = value.item()
    meant = normal_dtype(dtype)
    if meant == "bool" and isinstance(value, bool):
        return value
    if meant in INTEGERS and isinstance(value, int) and not isinstance(value, bool):
        return value
    if meant in FLOATS and isinstance(value, int | float) and not isinstance(value, bool):
        return _rounded(float(value), _FORMS[meant])
    if meant == "str" and isinstance(value, str):
        return value
    if meant == "bytes" and isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"{type(value).__name__} {value!r} is not a value of dtype {dtype!r}")


def _rounded(value: float, form: str) -> float | dict[str, str]:
    if math.isfinite(value):
        try:
            value = struct.unpack(form, struct.pack(form, value))[0]
        except OverflowError:
            # As a cast to the narrow type does it: a value that is too large becomes infinite.
            value = math.copysign(math.inf, value)
    return value if math.isfinite(value) else {"float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
