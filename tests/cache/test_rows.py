import hashlib
import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.rows import Pixels, SourceBytes, canonical_value, files_digest, logical_digest, row_digest, shard_digest

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())


def word(value: Any) -> str:
    return {bool: "bool", int: "int64", float: "float64", str: "str", type(None): "str"}[type(value)]


def by_hand(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).digest()


def test_the_law_is_what_it_was() -> None:
    """Golden: a change here changes the logical digest of every dataset."""
    pixels = by_hand(b"pixels", b"uint8", b"[1,2]", bytes([3, 4]))
    expected = by_hand(b"row", b"s/1", b"image", b"uint8", b"pixels:" + pixels, b"label", b"str", b'"cat"')
    assert row_digest("s/1", [("label", "str", "cat"), ("image", "uint8", np.array([[3, 4]], np.uint8))]) == expected
    assert expected.hex() == "ed359b4599bf00141fe3effc33fa4d033e680b87ddae42775634460c11bae021"
    assert shard_digest([expected]) == by_hand(b"shard", expected).hex()


@given(st.dictionaries(st.text(min_size=1), scalars, max_size=5), st.randoms(use_true_random=False))
def test_order_of_fields_does_not_matter(values: dict[str, Any], random: Any) -> None:
    fields = [(name, word(value), value) for name, value in values.items()]
    shuffled = fields[:]
    random.shuffle(shuffled)
    assert row_digest("r", fields) == row_digest("r", shuffled)


@given(scalars, scalars)
def test_values_are_equal_exactly_when_their_bytes_are(a: Any, b: Any) -> None:
    same = type(a) is type(b) and json.dumps(a) == json.dumps(b)
    assert (canonical_value(word(a), a) == canonical_value(word(b), b)) == same


def test_kinds_never_meet() -> None:
    data = b"12"
    found = {
        canonical_value("uint8", Pixels("uint8", (2,), data)),
        canonical_value("uint8", Pixels("int8", (2,), data)),
        canonical_value("uint8", Pixels("uint8", (1, 2), data)),
        canonical_value("uint8", SourceBytes.of(data)),
        canonical_value("bytes", data),
        canonical_value("str", "12"),
        canonical_value("int64", 12),
        canonical_value("int64", [12]),
        canonical_value("float64", 12),
    }
    assert len(found) == 9


@given(st.floats(width=32))
def test_float32_is_hashed_as_it_is_stored(value: float) -> None:
    assert canonical_value("float32", value) == canonical_value("float32", float(np.float32(value)))
    assert canonical_value("float32", np.float32(value)) == canonical_value("float32", value)


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_a_double_in_a_float32_field_is_rounded_first(value: float) -> None:
    with np.errstate(over="ignore"):
        assert canonical_value("float32", value) == canonical_value("float32", float(np.float32(value)))


def test_float16_is_rounded() -> None:
    assert canonical_value("float16", 0.1) == str(struct.unpack("<e", struct.pack("<e", 0.1))[0]).encode()


@pytest.mark.parametrize(("value", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_what_json_lacks_is_spelled_out(value: float, text: str) -> None:
    assert canonical_value("float64", value) == json.dumps({"float": text}, separators=(",", ":")).encode()


@pytest.mark.parametrize(("dtype", "value"), [("int64", 5.0), ("int64", True), ("str", 5), ("bool", 1), ("float32", "1"), ("odd", "x")])
def test_a_value_of_another_type_is_refused(dtype: str, value: Any) -> None:
    with pytest.raises(TypeError, match="is not a value of dtype"):
        canonical_value(dtype, value)


def test_pixels_are_the_same_however_they_lie_in_memory() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    turned = np.asfortranarray(array)
    assert canonical_value("uint8", array) == canonical_value("uint8", turned)
    assert canonical_value("uint8", array) == canonical_value("uint8", Pixels("uint8", (2, 4, 3), array.tobytes()))
    assert canonical_value("uint8", array) != canonical_value("uint8", array.reshape(4, 2, 3))


def test_dataset_digests() -> None:
    a = {"path": "d/a", "bytes": 1, "sha256": "aa", "split": "train", "shard": 0, "shards": 1, "records": 2, "rows_digest": "r0"}
    b = {"path": "d/b", "bytes": 2, "sha256": "bb", "split": "val", "shard": 0, "shards": 1, "records": 3, "rows_digest": "r1"}
    other = {"path": "recipe.yaml", "bytes": 3, "sha256": "cc"}
    assert logical_digest([b, other, a], ["train", "val"]) == by_hand(b"rows", b"train\x000\x002\x00r0", b"val\x000\x003\x00r1").hex()
    assert logical_digest([a, b], ["train", "val"]) != logical_digest([a, b], ["val", "train"])
    assert files_digest([other, b, a]) == by_hand(b"files", b"d/a\x001\x00aa", b"d/b\x002\x00bb", b"recipe.yaml\x003\x00cc").hex()
