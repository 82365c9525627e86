"""unsharp_mask keeps the rules, does its arithmetic, and gives the bytes of its version."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from refinery_beam_unsharp.plugin import UnsharpMask, UnsharpMaskParams

from refinery_beam.plugins.base import ArrayType, OpTypeError
from refinery_beam.testing.conformance import check_op, default_images

GOLDEN = {1: "a7ece08fc9138273d17979af5fa72e943acd2a3f6955b6f127f122538013c6fd"}
"""Digest of the results by op version: other bytes need another version."""


def apply(array: np.ndarray, **params: int) -> np.ndarray:
    before = ArrayType(str(array.dtype), array.shape)
    return UnsharpMask().apply(array, UnsharpMaskParams(**params), None, before)


def test_it_conforms() -> None:
    check_op(UnsharpMask(), {"radius": 2, "percent": 150})


@pytest.mark.parametrize(("radius", "percent"), [(1, 100), (2, 150), (3, 0), (5, 500)])
def test_it_is_the_formula(radius: int, percent: int) -> None:
    array = np.asarray(default_images()[0])[:9, :7, 0].copy()
    height, width = array.shape
    want = array.copy()
    for y in range(height):
        for x in range(width):
            reach = range(-radius, radius + 1)
            box = [int(array[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]) for dy in reach for dx in reach]
            value = int(array[y, x]) + Fraction(percent, 100) * (int(array[y, x]) - Fraction(sum(box), len(box)))
            want[y, x] = min(255, max(0, floor(value + Fraction(1, 2))))
    assert np.array_equal(apply(array, radius=radius, percent=percent), want)


def test_floats_are_refused() -> None:
    with pytest.raises(OpTypeError, match="takes uint8 images"):
        UnsharpMask().infer(ArrayType("float32", (4, 4, 3)), UnsharpMaskParams())


def test_golden_bytes() -> None:
    results = b"".join(apply(np.asarray(image), radius=2, percent=150).tobytes() for image in default_images())
    assert GOLDEN[UnsharpMask.spec.version] == hashlib.sha256(results).hexdigest()
