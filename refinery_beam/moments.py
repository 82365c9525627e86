"""The exact sums of one plane of pixels, as integers: the arithmetic under `exact.FloatMoments`.

Every finite double is an integer multiple of 2**-1074, so a sum of values is an integer in that unit and a sum of squares an integer in
units of 2**-2148. Adding them one by one in Python would take minutes for a photograph; here NumPy adds the mantissas of one exponent in
limbs small enough that every partial sum a double holds is itself an exact integer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]

SUM_UNIT = 1074
"""Sums are integers in units of 2**-1074, the least double above zero."""

SQUARE_UNIT = 2 * SUM_UNIT
"""Sums of squares are integers in units of 2**-2148."""

# 2**17 products of two 18-bit limbs stay below 2**53, so every partial sum a double holds is an exact integer.
_CHUNK = 1 << 17


class ExactError(ValueError):
    """Values that cannot be accumulated: another number of channels than before, a dtype without an exact sum, or NaN or infinity."""


@dataclass(frozen=True, slots=True)
class Moments:
    """The sums of one channel; `nan` and `inf` values are counted but not summed. `low` and `high` are None while no value is finite."""

    count: int
    nan: int
    inf: int
    sum: int
    squares: int
    low: Fraction | None
    high: Fraction | None


EMPTY = Moments(0, 0, 0, 0, 0, None, None)
"""The neutral element of `join`."""


def join(a: Moments, b: Moments) -> Moments:
    """The moments of both."""
    low = b.low if a.low is None else a.low if b.low is None else min(a.low, b.low)
    high = b.high if a.high is None else a.high if b.high is None else max(a.high, b.high)
    return Moments(a.count + b.count, a.nan + b.nan, a.inf + b.inf, a.sum + b.sum, a.squares + b.squares, low, high)


def one_value(value: float, times: int) -> Moments:
    """The moments of one value that occurs `times` times."""
    if not math.isfinite(value):
        nan = math.isnan(value)
        return Moments(times, times if nan else 0, 0 if nan else times, 0, 0, None, None)
    exact = Fraction(value)
    units = int(exact * (1 << SUM_UNIT))
    return Moments(times, 0, 0, units * times, units * units * times, exact, exact)


def moments_of(plane: Array) -> Moments:
    """The moments of an array of any real dtype except long doubles. Raises ExactError for another dtype."""
    import numpy as np

    flat = np.ascontiguousarray(plane).reshape(-1)
    total = EMPTY
    if flat.dtype == np.bool_:
        flat = flat.view(np.uint8)
    if not (np.issubdtype(flat.dtype, np.integer) or flat.dtype in (np.float16, np.float32, np.float64)):
        raise ExactError(f"{flat.dtype} has no exact sum; integers and float16, float32, float64 have")
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        total = join(total, _integers(chunk) if np.issubdtype(flat.dtype, np.integer) else _floats(chunk))
    return total


def _integers(values: Array) -> Moments:
    import numpy as np

    low, high = int(values.min()), int(values.max())
    negative = values < 0
    # ~v == -v - 1 never overflows, unlike -v for the least int64.
    magnitude = np.where(negative, ~values, values).astype(np.uint64) + negative.astype(np.uint64)
    sign = np.where(negative, -1, 1)
    limbs = [((magnitude >> np.uint64(16 * i)) & np.uint64(0xFFFF)).astype(np.int64) for i in range(max(1, values.dtype.itemsize // 2))]
    total = sum(int((limb * sign).sum()) << 16 * i for i, limb in enumerate(limbs))
    squares = 0
    for i, a in enumerate(limbs):
        for j, b in enumerate(limbs[: i + 1]):
            squares += int((a * b).sum()) << 16 * (i + j) + (i != j)
    return Moments(values.size, 0, 0, total << SUM_UNIT, squares << SQUARE_UNIT, Fraction(low), Fraction(high))


def _floats(values: Array) -> Moments:
    import numpy as np

    size, narrow = values.size, values.dtype != np.float64
    finite = np.isfinite(values)
    nan = inf = 0
    if not finite.all():
        nan = int(np.isnan(values).sum())
        inf = size - nan - int(finite.sum())
        values = values[finite]
        if not values.size:
            return Moments(size, nan, inf, 0, 0, None, None)
    low, high = Fraction(float(values.min())), Fraction(float(values.max()))
    bits = values.astype(np.float64).view(np.uint64)
    exponent = ((bits >> np.uint64(52)) & np.uint64(0x7FF)).astype(np.int64)
    mantissa = (bits & np.uint64((1 << 52) - 1)) | ((exponent > 0).astype(np.uint64) << np.uint64(52))
    sign = np.where(bits >> np.uint64(63), -1.0, 1.0)
    np.maximum(exponent, 1, out=exponent)
    # A value is sign * mantissa * 2**(exponent - 1) in units of 2**-1074. float16 and float32 leave the low 29 bits of a double empty.
    unused, width, pieces = (29, 12, 2) if narrow else (0, 18, 3)
    mask = np.uint64((1 << width) - 1)
    limbs = [((mantissa >> np.uint64(unused + width * i)) & mask).astype(np.float64) for i in range(pieces)]
    first = int(exponent.min())
    group = exponent - first
    total = squares = 0
    for i, a in enumerate(limbs):
        total += _gathered(group, a * sign, 1) << width * i
        for j, b in enumerate(limbs[: i + 1]):
            squares += _gathered(group, a * b, 2) << width * (i + j) + (i != j)
    base = first - 1 + unused
    return Moments(size, nan, inf, total << base, squares << 2 * base, low, high)


def _gathered(group: Array, weights: Array, power: int) -> int:
    """The sum of integer-valued weights, each times 2**(power * group)."""
    import numpy as np

    sums = np.bincount(group, weights=weights)
    return sum(int(sums[g]) << power * int(g) for g in np.flatnonzero(sums))
