"""The perceptual hash: pinned values, the formula in fractions, and what it does and does not notice."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.ops.phash import _cosines, distance, phash


def picture(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A photo-like picture: smooth, and nothing like another seed's."""
    small = np.random.Generator(np.random.Philox(seed)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def test_pinned() -> None:
    ramp = (np.arange(48 * 64 * 3) * 7919 % 251).astype(np.uint8).reshape(48, 64, 3)
    steps = np.arange(100, dtype=np.uint8).repeat(70).reshape(100, 70)
    assert [f"{phash(a):016x}" for a in (ramp, steps, steps.T, ramp[:3, :5])] == PINNED


PINNED = ["f7e1c284aedcd482", "8000000000000000", "8000000000000000", "8d1292ed6ded9612"]


def by_fractions(array: np.ndarray[Any, Any]) -> int:
    """The formula, pixel by pixel, as its description says it."""
    height, width = array.shape[:2]

    def luma(y: int, x: int) -> int:
        r, g, b = (int(v) for v in array[y, x])
        return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16

    def shares(size: int, cell: int) -> list[tuple[int, Fraction]]:
        low, high = Fraction(cell * size, 32), Fraction((cell + 1) * size, 32)
        return [(p, min(high, Fraction(p + 1)) - max(low, Fraction(p))) for p in range(size) if p < high and p + 1 > low]

    cells = []
    for i in range(32):
        for j in range(32):
            total = sum(a * b * luma(y, x) for y, a in shares(height, i) for x, b in shares(width, j))
            cells.append(int(total * 1024 / (height * width) * 256 + Fraction(1, 2)))
    table = _cosines().tolist()
    found = [sum(table[v][i] * table[u][j] * cells[32 * i + j] for i in range(32) for j in range(32)) for v in range(8) for u in range(8)]
    middle = Fraction(sorted(found)[31] + sorted(found)[32], 2)
    return int("".join("1" if value > middle else "0" for value in found), 2)


@pytest.mark.parametrize("size", [(33, 20), (5, 3), (1, 1), (64, 32), (32, 96)])
def test_the_formula(size: tuple[int, int]) -> None:
    array = np.asarray(picture(3, size))
    assert phash(array) == by_fractions(array)


def test_what_it_does_not_notice() -> None:
    for seed in range(5):
        one = picture(seed)
        file = io.BytesIO()
        one.save(file, "JPEG", quality=60)
        others = [one.resize((97, 71)), Image.open(file), one.point(lambda v: v * 3 // 4 + 20)]
        assert [distance(phash(one), phash(o)) <= 4 for o in others] == [True] * 3


def test_what_it_notices() -> None:
    hashes = [phash(picture(seed)) for seed in range(30)]
    assert min(distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 10


def test_forms_of_one_image() -> None:
    one = picture(1)
    array = np.asarray(one)
    grey = np.asarray(one.convert("L"))
    assert phash(one) == phash(array) == phash(one.convert("RGBA")) == phash(np.asfortranarray(array))
    assert phash(grey) == phash(grey[:, :, None]) == phash(one.convert("L")) == phash(one.convert("L").convert("LA")) == phash(one)
    with pytest.raises(BadRecord, match="8-bit pixels, not float32"):
        phash(array.astype(np.float32))


def test_cosines_are_far_from_a_tie() -> None:
    import math

    values = [4096 * math.cos(math.pi * (2 * x + 1) * u / 64) for u in range(8) for x in range(32)]
    assert min(abs(abs(v - math.floor(v)) - 0.5) for v in values) > 1e-3
