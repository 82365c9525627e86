"""The quality of images, as whole numbers of their sketches. Everything is integer arithmetic: the same on every machine, in any batch.

With the luma Y of a sketch of n pixels (ITU-R 601, as Pillow rounds it) and its histogram h:

==================  ========  =====================================================================================================
fact                unit      what it is
==================  ========  =====================================================================================================
``mean``            1/100     sum(Y) / n, rounded half up
``std``             1/100     sqrt(sum(Y^2) / n - (sum(Y) / n)^2), rounded down
``low``, ``high``   1         the least byte value at or below which lie at least 5%, at least 99% of the pixels
``clipped_dark``    1/100 %   the share of pixels of 0 to 3, rounded half up
``clipped_bright``  1/100 %   the share of pixels of 252 to 255, rounded half up
``sharpness``       1/100     the variance of 4 Y(x, y) - Y(x-1, y) - Y(x+1, y) - Y(x, y-1) - Y(x, y+1) over the inner pixels, rounded
                              down (J. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000); None where a
                              side has fewer than 3 pixels
``detail``          1/10000   the variance behind ``sharpness`` divided by that of Y, rounded down: what is left of edges for the
                              contrast that there is; None where ``sharpness`` is, or where Y does not vary
``entropy``         1/1000    -sum(h/n log2(h/n)) in bits (C. Shannon, 1948), rounded down; logarithms are rounded to 2**-20
``byte_values``     1         how many of the 256 values occur
``chroma``          1         the greatest difference between the greatest and the least channel of a pixel of the small sketch; None
                              of a grey one
``phash``           64 bits   `ops.phash` of the small sketch, as a signed number
==================  ========  =====================================================================================================

The small sketch has the means of squares of 2 x 2 pixels, where the sketch has more than 64 a side; histograms by channel are of it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from refinery_beam.plugins.image_classification.codecs.encode import encode
from refinery_beam.plugins.image_classification.measures.findings import OUTLIERS, PROPERTIES, RULES
from refinery_beam.plugins.image_classification.measures.sketch import SIDE, Sketched, sketch
from refinery_beam.plugins.image_classification.ops.filters import NEAR_DISTANCE
from refinery_beam.plugins.image_classification.ops.phash import phashes
from refinery_beam.plugins.image_classification.pixels import Pixels
from refinery_beam.plugins.image_classification.policy import DecodePolicy
from refinery_beam.plugins.measures import Outlier, Rule, Thumbnail

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

TYPES = {
    "mean": "int32",
    "std": "int32",
    "low": "int16",
    "high": "int16",
    "clipped_dark": "int32",
    "clipped_bright": "int32",
    "sharpness": "int64",
    "detail": "int32",
    "entropy": "int32",
    "byte_values": "int16",
    "chroma": "int16",
    "phash": "int64",
}
SCALES = {"mean": 100, "std": 100, "clipped_dark": 100, "clipped_bright": 100, "sharpness": 100, "detail": 10_000, "entropy": 1000}

LOG_UNIT = 1 << 20
"""Logarithms are whole numbers in units of 1/LOG_UNIT."""

_MOST_DETAIL = 40 * 10_000
"""More than a pattern of single pixels can have: the Laplacian is at most 8 times as far from its mean as the luma, so 64, on the inner
pixels alone.
"""

_NEARLY_PLAIN = 800
"""Below this standard deviation of luma, in 1/100, near signatures are no sign of near pictures: among 2,000 crops of photographs every
pair that was found below it showed two different things.
"""

_BATCH = 1 << 18
"""Samples that are measured at once. Fewer cost more calls, more leave the processor's cache."""

_CHANNELS = {"RGB": ("red", "green", "blue"), "L": ("grey",)}


class Quality:
    """The `plugins.measures.Measures` of images."""

    types: Mapping[str, str] = TYPES
    scales: Mapping[str, int] = SCALES
    signature = "phash"
    near_distance = NEAR_DISTANCE
    alike_facts = ("mean", "std")
    rules: Sequence[Rule] = RULES
    outliers: Sequence[Outlier] = OUTLIERS
    properties: Mapping[str, str] = PROPERTIES
    properties_of_some = ("jpeg_quality", "jpeg_tables")

    def fingerprint(self) -> str:
        """Over Pillow's box reduction and its JPEG encoder."""
        from refinery_beam.plugins.image_classification.fingerprint import sketch_fingerprint

        return sketch_fingerprint()

    def sketch(self, content: Pixels, policy: DecodePolicy) -> Sketched | None:
        """The image reduced to at most 128 pixels a side."""
        return sketch(content, policy)

    def measure(self, sketches: Sequence[Sketched]) -> list[dict[str, int | None]]:
        """The facts of each sketch."""
        found: list[dict[str, int | None]] = [{}] * len(sketches)
        for members, pictures, smalls in _stacks(sketches):
            luma = _luma(pictures)
            hashes = phashes(luma if smalls is pictures else _luma(smalls))
            for i, facts in zip(members, _facts(luma.shape[1:], _counted(luma), _edges(luma), _chroma(smalls), hashes), strict=True):
                found[i] = facts
        return found

    def comparable(self, facts: Mapping[str, Array]) -> Array:
        """Of a picture that is nearly plain the signature says where its noise lies, or which way its shade runs."""
        usable: Array = facts["std"] >= _NEARLY_PLAIN
        return usable

    def alike(self, one: Mapping[str, Array], other: Mapping[str, Array]) -> Array:
        """Brightness within 16 of 255, and contrast within a factor of one and a half. A signature does not see either, and where a picture
        is nearly plain it sees little else: of the pairs within 4 bits among 2,000 photographs two of three were no twins without this.
        """
        import numpy as np

        low, high = np.minimum(one["std"], other["std"]), np.maximum(one["std"], other["std"])
        agreed: Array = (np.abs(one["mean"] - other["mean"]) <= 1600) & (2 * high <= 3 * low)
        return agreed

    def histograms(self, sketches: Sequence[Sketched], groups: Sequence[int]) -> Mapping[str, npt.NDArray[np.int64]]:
        """Byte values by channel and group."""
        import numpy as np

        found: dict[str, npt.NDArray[np.int64]] = {}
        many = max(groups, default=-1) + 1
        by_form: dict[tuple[int, str], list[Array]] = {}
        for one, group in zip(sketches, groups, strict=True):
            by_form.setdefault((group, _mode(one.small)), []).append(one.small)
        for (group, mode), members in by_form.items():
            flat = np.concatenate([small.reshape(-1, len(mode)) for small in members])
            counts = np.array(_image(flat[None], mode).histogram(), np.int64).reshape(-1, 256)
            for channel, row in zip(_CHANNELS[mode], counts, strict=True):
                found.setdefault(channel, np.zeros((many, 256), np.int64))[group] += row
        return found

    def channels_of(self, sketch: Sketched) -> Sequence[str]:
        """Red, green and blue, or grey."""
        return _CHANNELS[_mode(sketch.picture)]

    def thumbnail(self, sketch: Sketched) -> Thumbnail:
        """A JPEG file of quality 90: what the encoder makes is part of the codec fingerprint."""
        height, width = sketch.picture.shape[:2]
        return Thumbnail(width, height, encode(sketch.picture, "jpeg", quality=90))


QUALITY = Quality()


def _image(rows: Array, mode: str) -> Image.Image:
    """(h, w) or (h, w, channels) as an image that shares its memory where Pillow can."""
    height, width = rows.shape[:2]
    return Image.frombuffer(mode, (width, height), rows, "raw", mode, 0, 1)


def _stacks(sketches: Sequence[Sketched]) -> Iterator[tuple[list[int], Array, Array]]:
    """Sketches of one shape together, as many as are measured at once: their positions, their pictures (n, h, w) or (n, h, w, 3), and
    their small pictures, which are the same array where pictures are that small.
    """
    import numpy as np

    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, one in enumerate(sketches):
        by_shape.setdefault(one.picture.shape, []).append(i)
    for shape, members in by_shape.items():
        many = max(1, _BATCH // math.prod(shape))
        for start in range(0, len(members), many):
            part = members[start : start + many]
            pictures = np.stack([sketches[i].picture for i in part])
            same = sketches[part[0]].small is sketches[part[0]].picture
            yield part, pictures, pictures if same else np.stack([sketches[i].small for i in part])


def _mode(picture: Array) -> str:
    return "L" if picture.ndim == 2 else "RGB"


def _luma(pictures: Array) -> Array:
    """The luma of (n, h, w, 3) as (n, h, w): they are converted as one high picture. Grey ones stay."""
    import numpy as np

    if pictures.ndim == 3:
        return pictures
    many, height, width, _ = pictures.shape
    return np.asarray(_image(pictures.reshape(many * height, width, 3), "RGB").convert("L")).reshape(many, height, width)


def _counted(luma: Array) -> npt.NDArray[np.int64]:
    """How often each value occurs in each of (n, h, w): (n, 256)."""
    import numpy as np

    many = len(luma)
    numbered = luma.reshape(many, -1) + (np.arange(many) * 256)[:, None]
    return np.bincount(numbered.ravel(), minlength=many * 256).reshape(many, 256)


def _facts(
    shape: tuple[int, int],
    counts: npt.NDArray[np.int64],
    edges: Sequence[int | None],
    chroma: Sequence[int | None],
    hashes: Sequence[int | None],
) -> Iterator[dict[str, int | None]]:
    """The facts of sketches of one shape, with their histograms of luma, (n, 256)."""
    import numpy as np

    height, width = shape
    n, inner = height * width, (height - 2) * (width - 2)
    values = np.arange(256, dtype=np.int64)
    sums, squares = (counts @ values).tolist(), (counts @ (values * values)).tolist()
    reached = counts.cumsum(axis=1)
    low, high = ((reached * 100 < percent * n).sum(axis=1).tolist() for percent in (5, 99))
    dark, bright = counts[:, :4].sum(axis=1).tolist(), counts[:, 252:].sum(axis=1).tolist()
    logs = _logs()
    spread_bits, whole_bits = (counts * logs[counts]).sum(axis=1).tolist(), int(logs[n])
    different = np.count_nonzero(counts, axis=1).tolist()
    for i, edge in enumerate(edges):
        spread = n * squares[i] - sums[i] * sums[i]
        yield {
            "mean": (200 * sums[i] + n) // (2 * n),
            "std": math.isqrt(10_000 * spread) // n,
            "low": low[i],
            "high": high[i],
            "clipped_dark": (20_000 * dark[i] + n) // (2 * n),
            "clipped_bright": (20_000 * bright[i] + n) // (2 * n),
            "sharpness": None if edge is None else 100 * edge // inner**2,
            "detail": _detail(edge, inner, spread, n),
            "entropy": 1000 * (n * whole_bits - spread_bits[i]) // (n * LOG_UNIT),
            "byte_values": different[i],
            "chroma": chroma[i],
            "phash": hashes[i],
        }


def _chroma(colours: Array) -> Sequence[int | None]:
    """Of each of (n, h, w, 3) the greatest difference between the greatest and the least channel of a pixel; None of (n, h, w)."""
    import numpy as np

    if colours.ndim == 3:
        return [None] * len(colours)
    red, green, blue = (np.ascontiguousarray(colours[..., i]) for i in range(3))
    spread = np.maximum(np.maximum(red, green), blue)
    spread -= np.minimum(np.minimum(red, green), blue)
    greatest: list[int] = spread.reshape(len(colours), -1).max(axis=1).tolist()
    return greatest


def _edges(luma: Array) -> Sequence[int | None]:
    """The variance of the Laplacian of each of (n, h, w), times the square of the inner pixels; None where there are none.

    The Laplacian lies within 1020 of zero, so 16 bits hold it and 32 its square.
    """
    import numpy as np

    many, height, width = luma.shape
    if min(height, width) < 3:
        return [None] * many
    wide = luma.astype(np.int16)
    edges = wide[:, 1:-1, 1:-1] * 4
    edges -= wide[:, :-2, 1:-1]
    edges -= wide[:, 2:, 1:-1]
    edges -= wide[:, 1:-1, :-2]
    edges -= wide[:, 1:-1, 2:]
    n = (height - 2) * (width - 2)
    sums = edges.sum(axis=(1, 2), dtype=np.int64).tolist()
    squared = edges.astype(np.int32)
    squares = (squared * squared).sum(axis=(1, 2), dtype=np.int64).tolist()
    return [n * q - s * s for s, q in zip(sums, squares, strict=True)]


def _detail(edges: int | None, inner: int, spread: int, n: int) -> int | None:
    """edges / inner^2 divided by spread / n^2, in 1/10000."""
    if edges is None or not spread:
        return None
    return min(10_000 * edges * n * n // (inner * inner * spread), _MOST_DETAIL)


@cache
def _logs() -> npt.NDArray[np.int64]:
    """round(LOG_UNIT log2(n)) for every number of pixels that a sketch may have; 0 for 0. No value lies near a half, so no library rounds
    it otherwise.
    """
    import numpy as np

    return np.array([0, *(round(LOG_UNIT * math.log2(n)) for n in range(1, SIDE * SIDE + 1))], np.int64)
