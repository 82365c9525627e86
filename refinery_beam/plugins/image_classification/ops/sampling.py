"""Float images under filters: blurs, shifts, zooms and displacements, by additions and multiplications in a stated order.

Images here are float64 arrays (h, w, c). Every sum is taken tap by tap, so no machine adds in another order and the result is the same to
the last bit everywhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from refinery_beam.randoms import gaussian_weights, sine_cosine

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

Border: TypeAlias = Literal["edge", "symmetric", "reflect"]


def gaussian(image: Array, sigma: float | tuple[float, float], *, truncate: float = 4.0, border: Border = "edge") -> Array:
    """The image under a Gaussian of `sigma` pixels (two: along columns, along rows), cut at ``truncate * sigma`` (rounded), first along
    columns, then along rows.

    >>> import numpy as np
    >>> gaussian(np.ones((5, 5, 1)), 1.0).round(12).min()
    np.float64(1.0)
    """
    done = image.copy()
    for axis, wide in enumerate(sigma if isinstance(sigma, tuple) else (sigma, sigma)):
        radius = int(truncate * wide + 0.5)
        if wide > 0 and radius > 0:
            done = _along(done, gaussian_weights(float(wide), radius), axis, border)
    return done


def _along(image: Array, weights: tuple[float, ...], axis: int, border: Border) -> Array:
    import numpy as np

    radius, n = len(weights) // 2, image.shape[axis]
    if border == "symmetric" and radius > n:
        return _folded(image, weights, axis)
    pad = [(0, 0)] * image.ndim
    pad[axis] = (radius, radius)
    padded = np.pad(image, pad, mode=border)
    out = np.zeros(image.shape)
    for i, weight in enumerate(weights):
        window = [slice(None)] * image.ndim
        window[axis] = slice(i, i + n)
        out += weight * padded[tuple(window)]
    return out


def _folded(image: Array, weights: tuple[float, ...], axis: int) -> Array:
    """Symmetric borders repeat every 2n pixels, so a kernel wider than that needs only 2n taps."""
    import numpy as np

    radius, n = len(weights) // 2, image.shape[axis]
    taps = [0.0] * (2 * n)
    for i, weight in enumerate(weights):
        taps[(i - radius) % (2 * n)] += weight
    pad = [(0, 0)] * image.ndim
    pad[axis] = (0, 2 * n)
    padded = np.pad(image, pad, mode="symmetric")
    out = np.zeros(image.shape)
    for i, weight in enumerate(taps):
        window = [slice(None)] * image.ndim
        window[axis] = slice(i, i + n)
        out += weight * padded[tuple(window)]
    return out


def disc(image: Array, radius: int, alias: float) -> Array:
    """The mean over a disc of whole-pixel `radius`, its rim softened by a Gaussian of `alias` pixels; borders are mirrored.

    The disc is added up from running sums of rows; `image` holds whole numbers, so those sums are exact.
    """
    import numpy as np

    soft = 1 if radius <= 8 else 2
    reach = radius + soft
    height, width = image.shape[:2]
    padded = np.pad(image.astype(np.int64), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    sums = np.pad(np.cumsum(padded, axis=1), ((0, 0), (1, 0), (0, 0)))
    total = np.zeros((height + 2 * soft, width + 2 * soft, image.shape[2]), np.int64)
    area = 0
    for dy in range(-radius, radius + 1):
        half = math.isqrt(radius * radius - dy * dy)
        area += 2 * half + 1
        rows = sums[radius + dy : radius + dy + total.shape[0]]
        start = radius - half
        total += rows[:, start + 2 * half + 1 : start + 2 * half + 1 + total.shape[1]] - rows[:, start : start + total.shape[1]]
    weights = gaussian_weights(alias, soft)
    mean = total / float(area)
    down = np.zeros((height, *mean.shape[1:]))
    for i, weight in enumerate(weights):
        down += weight * mean[i : i + height]
    out = np.zeros((height, width, image.shape[2]))
    for i, weight in enumerate(weights):
        out += weight * down[:, i : i + width]
    return out


def motion(image: Array, radius: int, sigma: float, degrees: float) -> Array:
    """The image smeared along a line: 2 * radius + 1 steps of one pixel, weighted by the falling half of a Gaussian.

    Edge pixels are repeated. The taps and their rounding are those of ImageMagick's motion blur.
    """
    import numpy as np

    width = 2 * radius + 1
    weights = gaussian_weights(float(sigma), width - 1)[width - 1 :]
    total = 0.0
    for weight in weights:
        total += weight
    sine, cosine = sine_cosine(degrees)
    padded = np.pad(image, ((width, width), (width, width), (0, 0)), mode="edge")
    out = np.zeros(image.shape)
    for i, weight in enumerate(weights):
        dy, dx = _half_down(i * sine), _half_down(i * cosine)
        top, left = width + dy, width + dx
        out += (weight / total) * padded[top : top + image.shape[0], left : left + image.shape[1]]
    return out


def _half_down(x: float) -> int:
    return math.ceil(x - 0.5)


def zoom(image: Array, factor: float) -> Array:
    """The middle of the image, `factor` times as large, at the image's own size; linear between pixels, about the exact centre."""
    import numpy as np

    done = image
    for axis in (0, 1):
        n = image.shape[axis]
        centre = (n - 1) / 2.0
        position = (np.arange(n) - centre) / factor + centre
        low = np.clip(np.floor(position), 0, n - 1)
        part = position - low
        low = low.astype(np.int64)
        high = np.minimum(low + 1, n - 1)
        shape = [1, 1, 1]
        shape[axis] = n
        part = part.reshape(shape)
        done = np.take(done, low, axis=axis) * (1.0 - part) + np.take(done, high, axis=axis) * part
    return done


def sample(image: Array, rows: Array, columns: Array, *, border: Literal["symmetric", "reflect"]) -> Array:
    """The image at positions between its pixels, (h, w) rows and columns: linear in both directions; outside, it is mirrored."""
    import numpy as np

    top, left = np.floor(rows), np.floor(columns)
    down, right = (rows - top)[:, :, None], (columns - left)[:, :, None]
    top, left = top.astype(np.int64), left.astype(np.int64)
    y0, y1 = _inside(top, image.shape[0], border), _inside(top + 1, image.shape[0], border)
    x0, x1 = _inside(left, image.shape[1], border), _inside(left + 1, image.shape[1], border)
    upper = image[y0, x0] * (1.0 - right) + image[y0, x1] * right
    lower = image[y1, x0] * (1.0 - right) + image[y1, x1] * right
    result: Array = upper * (1.0 - down) + lower * down
    return result


def _inside(index: Array, n: int, border: str) -> Array:
    import numpy as np

    if n == 1:
        return np.zeros_like(index)
    if border == "symmetric":
        index = index % (2 * n)
        return np.where(index >= n, 2 * n - 1 - index, index)
    index = index % (2 * n - 2)
    return np.where(index >= n, 2 * n - 2 - index, index)
