"""A 64-bit perceptual hash of an image, in integers from end to end: pictures that look alike get hashes that differ in few bits.

The formula is that of the DCT hash ("pHash": C. Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions*, 2010), with
every step exact, so the hash is the same on every machine and with every library:

1. Luma, ``(19595 R + 38470 G + 7471 B + 32768) >> 16`` (ITU-R 601). Grey stays; alpha is not looked at.
2. The mean of each cell of a 32 x 32 grid over the image, weighted by area (a pixel on a border belongs to both cells in its shares), in
   units of 1/256, rounded half up.
3. A two-dimensional DCT-II of the grid with cosines rounded to 1/4096; the 8 x 8 lowest frequencies, row by row.
4. Bit i (the first is the most significant) is 1 where coefficient i is above the median of the 64.

Changing any of it needs a new `PHASH_VERSION`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from refinery_beam.plugins.image_classification.pixels import Pixels, as_array
from refinery_beam.plugins.kind import BadRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PHASH_VERSION = 1
"""The version of the formula: the version of every op whose result rests on it."""

BITS = 64
GRID = 32
LOW = 8
_COSINE_UNIT = 4096


def phash(pixels: Pixels) -> int:
    """The hash of a uint8 image, (h, w) or (h, w, c), as an integer in [0, 2**64). Raises BadRecord unsupported_mode for other dtypes.

    >>> from PIL import Image
    >>> phash(Image.new("RGB", (50, 40), (9, 9, 9))) == phash(Image.new("RGB", (100, 80), (9, 9, 9)))
    True
    """
    array = as_array(pixels)
    if str(array.dtype) != "uint8":
        raise BadRecord("unsupported_mode", f"a perceptual hash is made of 8-bit pixels, not {array.dtype}")
    coefficients = _lowest(_cells(array))
    ordered = sorted(coefficients)
    twice_median = ordered[BITS // 2 - 1] + ordered[BITS // 2]
    found = 0
    for value in coefficients:
        found = found << 1 | (2 * value > twice_median)
    return found


def phashes(luma: npt.NDArray[np.uint8]) -> list[int]:
    """The hashes of many grey images of one size, (n, h, w), as signed numbers of 64 bits: those of `phash`, image by image.

    >>> import numpy as np
    >>> picture = np.arange(40 * 50, dtype=np.uint64).reshape(40, 50).astype(np.uint8)
    >>> phashes(picture[None])[0] % (1 << 64) == phash(picture)
    True
    """
    import numpy as np

    table = _cosines()
    coefficients = (table @ _all_cells(luma) @ table.T).reshape(len(luma), BITS)
    ordered = np.sort(coefficients, axis=1)
    above = 2 * coefficients > (ordered[:, BITS // 2 - 1] + ordered[:, BITS // 2])[:, None]
    found: list[int] = np.packbits(above, axis=1).view(">i8")[:, 0].tolist()
    return found


def _all_cells(luma: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """`_cells` of many grey images, (n, 32, 32). Sums up to a border of a cell come from running sums, so the work does not grow by the
    number of cells.
    """
    import numpy as np

    _, height, width = luma.shape
    area = height * width
    # The greatest running sum is 255 * 32 * area.
    sums = _up_to_borders(_up_to_borders(luma.astype(np.int32 if area <= 1 << 17 else np.int64), height), width)
    means: npt.NDArray[np.int64] = (sums.astype(np.int64) * 512 + area) // (2 * area)
    return means


def _up_to_borders(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The sums of (n, size, m) in each of 32 cells along its second axis, in units of 1/32, as (n, m, 32)."""
    import numpy as np

    if size % GRID == 0:  # no border lies inside a pixel
        whole_cells = values.reshape(len(values), GRID, size // GRID, values.shape[2]).sum(axis=2, dtype=values.dtype)
        cells: npt.NDArray[Any] = (whole_cells * GRID).transpose(0, 2, 1)
        return cells
    whole, rest = np.divmod(np.arange(GRID + 1, dtype=values.dtype) * size, GRID)
    running = np.zeros((values.shape[0], size + 1, values.shape[2]), values.dtype)
    np.cumsum(values, axis=1, out=running[:, 1:])
    # A border inside a pixel takes its share of it; behind the last pixel there is none to share.
    shares = values[:, np.minimum(whole, size - 1)] * rest[:, None]
    borders = running[:, whole] * GRID + shares
    cells = np.diff(borders, axis=1).transpose(0, 2, 1)
    return cells


def distance(one: int, other: int) -> int:
    """In how many bits two hashes differ.

    >>> distance(0b1100, 0b1010)
    2
    """
    return (one ^ other).bit_count()


def _luma(rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """int64 luma of some rows, (h, w) or (h, w, c)."""
    import numpy as np

    if rows.ndim == 2:
        return rows.astype(np.int64)
    if rows.shape[2] < 3:
        return rows[:, :, 0].astype(np.int64)
    wide = rows[:, :, :3].astype(np.int64)
    return (wide[:, :, 0] * 19595 + wide[:, :, 1] * 38470 + wide[:, :, 2] * 7471 + 32768) >> 16


def _cells(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The 32 x 32 means in units of 1/256, int64. Only the rows of one cell are in memory as luma at a time."""
    import numpy as np

    height, width = array.shape[:2]
    across = _overlaps(width)
    sums = np.empty((GRID, GRID), np.int64)
    for i in range(GRID):
        first, last = i * height // GRID, -(-(i + 1) * height // GRID)
        # In units of 1/32 of a row: the cell covers [i * height, (i + 1) * height), row y covers [32 y, 32 y + 32).
        share = [min((i + 1) * height, GRID * (y + 1)) - max(i * height, GRID * y) for y in range(first, last)]
        sums[i] = (np.array(share, np.int64) @ _luma(array[first:last])) @ across
    area = height * width
    means: npt.NDArray[np.int64] = (sums * 512 + area) // (2 * area)
    return means


def _overlaps(size: int) -> npt.NDArray[np.int64]:
    """(size, 32): how many 1/32 of pixel x lie in cell j."""
    import numpy as np

    x = np.arange(size, dtype=np.int64)[:, None] * GRID
    j = np.arange(GRID, dtype=np.int64)[None, :] * size
    shares: npt.NDArray[np.int64] = np.maximum(np.minimum(x + GRID, j + size) - np.maximum(x, j), 0)
    return shares


@cache
def _cosines() -> npt.NDArray[np.int64]:
    """(8, 32): round(4096 cos(pi (2x + 1) u / 64)). No value lies near a half, so no library rounds it otherwise."""
    import numpy as np

    return np.array(
        [[round(_COSINE_UNIT * math.cos(math.pi * (2 * x + 1) * u / (2 * GRID))) for x in range(GRID)] for u in range(LOW)], np.int64
    )


def _lowest(cells: npt.NDArray[np.int64]) -> list[int]:
    """The 64 lowest DCT coefficients, row by row. The largest possible is below 2**51."""
    table = _cosines()
    found: list[int] = (table @ cells @ table.T).ravel().tolist()
    return found
