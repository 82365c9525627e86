"""Order-free arithmetic: sums that are the same bit for bit however the values are grouped.

Adding floats rounds at every step, so a mean computed by four workers differs from one computed by two. Nothing here rounds before the
end. Two accumulators, both made of Python integers, both mergeable in any order and written as canonical bytes:

* `ChannelHistogram` for 8-bit images: 256 counts a channel. Sum, sum of squares, minimum, maximum follow exactly, and so do the
  statistics after any elementwise op (`through`), because there are only 256 values to send through it.
* `FloatMoments` for everything else: sums of values and of squares as integers in the unit of the least double (see `moments`).

The two meet in `ChannelSums`, whose `mean` and `std` are the correctly rounded doubles of the exact rationals. Floats are made
nowhere else. NaN and infinities have no sum; they are counted (`nonfinite`), and an accumulator that counted one refuses to give
statistics.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, cast, runtime_checkable

from refinery_beam.identity import canonical_bytes
from refinery_beam.moments import EMPTY, SQUARE_UNIT, SUM_UNIT, ExactError, Moments, join, moments_of, one_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Array: TypeAlias = npt.NDArray[Any]
    Mapped: TypeAlias = Array | Callable[[Array], Array]

__all__ = ["ChannelHistogram", "ChannelSums", "ExactError", "FloatMoments", "Partial", "loads", "sqrt_float"]

_BYTE_MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}

_SMALL = 1 << 14
"""Images of so many pixels at most are counted together with others."""

_WAITS = 1 << 18
"""So many bytes of images wait at most until they are counted."""


@dataclass(frozen=True, slots=True)
class ChannelSums:
    """The sums of one channel: the number of values, their exact sum and sum of squares, the least and the greatest.

    >>> ChannelSums(4, Fraction(10), Fraction(30), Fraction(1), Fraction(4)).mean()
    2.5
    """

    count: int
    sum: Fraction
    sum_squares: Fraction
    minimum: Fraction
    maximum: Fraction

    def mean(self) -> float:
        """The double nearest to sum / count."""
        return float(self.sum / self.count)

    def std(self) -> float:
        """The double nearest to the population standard deviation, sqrt(sum_squares / count - mean ** 2)."""
        return sqrt_float((self.sum_squares * self.count - self.sum * self.sum) / (self.count * self.count))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able and exact: integers where integral; else sums are text 'p/q' and the extremes are floats."""
        return {
            "count": self.count,
            "sum": _exact(self.sum),
            "sum_squares": _exact(self.sum_squares),
            "min": _number(self.minimum),
            "max": _number(self.maximum),
        }


@runtime_checkable
class Partial(Protocol):
    """An exact accumulator of images. ``merge`` is associative and commutative, and an empty accumulator is its neutral element.

    ``count`` is the number of images. ``nonfinite`` is the number of NaN and infinite values: a caller that adds one image at a time can
    name the image. ``dumps`` gives equal bytes for equal multisets of images, whatever the grouping; ``loads`` restores
    them.
    """

    @property
    def count(self) -> int: ...

    @property
    def nonfinite(self) -> int: ...

    def add(self, pixels: Image | Array) -> None: ...

    def merge(self, other: Self) -> None: ...

    def channels(self) -> tuple[ChannelSums, ...]: ...

    def dumps(self) -> bytes: ...

    @classmethod
    def loads(cls, data: bytes) -> Self: ...


class ChannelHistogram:
    """256 integer bins a channel, of uint8 images: Pillow images of mode L, LA, RGB, RGBA, or arrays (h, w) or (h, w, c).

    A grey image is one channel. The first image decides how many there are; another number raises ExactError.

    >>> import numpy as np
    >>> h = ChannelHistogram(); h.add(np.array([[1, 2], [3, 4]], np.uint8)); h.channels()[0].to_dict()
    {'count': 4, 'sum': 10, 'sum_squares': 30, 'min': 1, 'max': 4}
    >>> ChannelHistogram.loads(h.dumps()).dumps() == h.dumps()
    True
    """

    nonfinite = 0
    """Always 0: 8-bit values are finite."""

    def __init__(self) -> None:
        self._count = 0
        self._planes = 0
        self._counted: list[int] = []
        self._waiting: list[bytes] = []
        """Interleaved values of small images. They are counted together: 768 additions cost more than a small image."""
        self._waits = 0

    @property
    def count(self) -> int:
        """The number of images added."""
        return self._count

    @property
    def bins(self) -> tuple[tuple[int, ...], ...]:
        """The 256 counts of every channel."""
        bins = self._bins()
        return tuple(tuple(bins[i : i + 256]) for i in range(0, len(bins), 256))

    def add(self, pixels: Image | Array) -> None:
        """Count the values of one image."""
        planes = _planes_of(pixels)
        if math.prod(pixels.size if isinstance(pixels.size, tuple) else pixels.shape[:2]) <= _SMALL:
            self._merge(planes, [], [pixels.tobytes()], 1)
        else:
            self._merge(planes, _image_bins(pixels), [], 1)

    def merge(self, other: ChannelHistogram) -> None:
        """Count what `other` counted."""
        self._merge(other._planes, other._counted, other._waiting, other._count)

    def channels(self) -> tuple[ChannelSums, ...]:
        """The exact sums of every channel. Raises ExactError if no value was counted."""
        found = []
        for bins in self.bins:
            filled = [value for value in range(256) if bins[value]]
            if not filled:
                raise ExactError("no value was counted")
            total = sum(value * bins[value] for value in filled)
            squares = sum(value * value * bins[value] for value in filled)
            found.append(ChannelSums(sum(bins), Fraction(total), Fraction(squares), Fraction(filled[0]), Fraction(filled[-1])))
        return tuple(found)

    def byte_values(self) -> Array:
        """An image with each of the 256 byte values once: uint8 (256, 1) for one channel, else (256, 1, c). `through` maps it."""
        import numpy as np

        ramp = np.arange(256, dtype=np.uint8).reshape(256, 1)
        return ramp if self._planes <= 1 else np.repeat(ramp[:, :, None], self._planes, axis=2)

    def through(self, mapping: Mapped) -> FloatMoments:
        """The moments of the same images after an elementwise op, without reading them again.

        ``mapping`` gives the result for each of the 256 byte values: an array (256,), (256, 1), (256, c) or (256, 1, c) of any real dtype,
        or a function from `byte_values()` to such an array. The result equals `FloatMoments` of the mapped images, bytes included.

        >>> import numpy as np
        >>> h = ChannelHistogram(); h.add(np.array([[0, 255]], np.uint8))
        >>> h.through(lambda ramp: (ramp / 255).astype(np.float32)).channels()[0].mean()
        0.5
        """
        values = mapping(self.byte_values()) if callable(mapping) else mapping
        bins = self.bins
        table = values.reshape(256, -1)
        if table.shape[1] not in (1, len(bins)):
            raise ExactError(f"a mapping of {table.shape[1]} channels for {len(bins)} channels")
        columns = [table[:, i if table.shape[1] > 1 else 0].tolist() for i in range(len(bins))]
        return FloatMoments._weighted(self._count, columns, bins)

    def dumps(self) -> bytes:
        """Canonical bytes."""
        return canonical_bytes({"kind": "histogram", "count": self._count, "channels": [list(b) for b in self.bins]})

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """The inverse of `dumps`."""
        body = _body(data, "histogram")
        made = cls()
        made._count, made._planes = body["count"], len(body["channels"])
        made._counted = [n for bins in body["channels"] for n in bins]
        return made

    def _merge(self, planes: int, counted: list[int], waiting: list[bytes], count: int) -> None:
        if planes and self._planes and planes != self._planes:
            raise ExactError(f"an image of {planes} channels among images of {self._planes}")
        self._planes = self._planes or planes
        self._count += count
        self._counted = list(map(int.__add__, self._counted, counted)) if self._counted and counted else self._counted or counted
        self._waiting += waiting
        self._waits += sum(map(len, waiting))
        if self._waits > _WAITS:
            self._bins()

    def _bins(self) -> list[int]:
        """All counts, channel by channel; counts what waits."""
        if self._waiting:
            import numpy as np

            values = np.frombuffer(b"".join(self._waiting), np.uint8)
            self._waiting, self._waits = [], 0
            bins = _array_bins(values.reshape(1, -1, self._planes) if self._planes > 1 else values.reshape(1, -1))
            self._counted = list(map(int.__add__, self._counted, bins)) if self._counted else bins
        return self._counted


class FloatMoments:
    """Exact sums and sums of squares of images of any real dtype: arrays (h, w) or (h, w, c); a grey image is one channel.

    >>> import numpy as np
    >>> m = FloatMoments(); m.add(np.array([[0.1, 1e300], [-1e300, 0.2]])); m.channels()[0].mean() == 0.3 / 4
    False
    >>> m.channels()[0].mean() == float((Fraction(0.1) + Fraction(0.2)) / 4)
    True
    """

    def __init__(self) -> None:
        self._count = 0
        self._channels: list[Moments] = []

    @property
    def count(self) -> int:
        """The number of images added."""
        return self._count

    @property
    def nonfinite(self) -> int:
        """How many NaN and infinite values were counted."""
        return sum(c.nan + c.inf for c in self._channels)

    def add(self, pixels: Image | Array) -> None:
        """Add the values of one image."""
        import numpy as np

        array = np.asarray(pixels)
        planes = array[:, :, None] if array.ndim == 2 else array
        if planes.ndim != 3:
            raise ExactError(f"an image is (h, w) or (h, w, c), not {list(array.shape)}")
        self._merge([moments_of(planes[:, :, i]) for i in range(planes.shape[2])], 1)

    def merge(self, other: FloatMoments) -> None:
        """Add what `other` added."""
        self._merge(other._channels, other._count)

    def channels(self) -> tuple[ChannelSums, ...]:
        """The exact sums of every channel. Raises ExactError if nothing was added, or if a value was NaN or infinite."""
        if self.nonfinite:
            nan = sum(c.nan for c in self._channels)
            raise ExactError(f"{nan} values are NaN and {self.nonfinite - nan} infinite; they have no mean")
        found = []
        for c in self._channels:
            if c.low is None or c.high is None:
                raise ExactError("no value was added")
            found.append(ChannelSums(c.count, Fraction(c.sum, 1 << SUM_UNIT), Fraction(c.squares, 1 << SQUARE_UNIT), c.low, c.high))
        return tuple(found)

    def dumps(self) -> bytes:
        """Canonical bytes: sums as exact fractions in decimal text."""
        rows = [
            {
                "count": c.count,
                "nan": c.nan,
                "inf": c.inf,
                "sum": str(Fraction(c.sum, 1 << SUM_UNIT)),
                "sum_squares": str(Fraction(c.squares, 1 << SQUARE_UNIT)),
                "min": None if c.low is None else str(c.low),
                "max": None if c.high is None else str(c.high),
            }
            for c in self._channels
        ]
        return canonical_bytes({"kind": "moments", "count": self._count, "channels": rows})

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """The inverse of `dumps`."""
        body = _body(data, "moments")
        made = cls()
        made._count = body["count"]
        for row in body["channels"]:
            low, high = (None if row[key] is None else Fraction(row[key]) for key in ("min", "max"))
            total, squares = Fraction(row["sum"]) * (1 << SUM_UNIT), Fraction(row["sum_squares"]) * (1 << SQUARE_UNIT)
            made._channels.append(Moments(row["count"], row["nan"], row["inf"], int(total), int(squares), low, high))
        return made

    @classmethod
    def _weighted(cls, count: int, columns: Sequence[Sequence[float]], weights: Sequence[Sequence[int]]) -> FloatMoments:
        made = cls()
        made._count = count
        for values, bins in zip(columns, weights, strict=True):
            moments = EMPTY
            for value, times in zip(values, bins, strict=True):
                if times:
                    moments = join(moments, one_value(value, times))
            made._channels.append(moments)
        return made

    def _merge(self, channels: list[Moments], count: int) -> None:
        if not self._channels:
            self._channels = list(channels)
        elif channels:
            if len(channels) != len(self._channels):
                raise ExactError(f"an image of {len(channels)} channels among images of {len(self._channels)}")
            self._channels = list(map(join, self._channels, channels))
        self._count += count


def loads(data: bytes) -> ChannelHistogram | FloatMoments:
    """The accumulator that `dumps` wrote, of either kind."""
    kind = json.loads(data).get("kind")
    return ChannelHistogram.loads(data) if kind == "histogram" else FloatMoments.loads(data)


def sqrt_float(value: Fraction) -> float:
    """The double nearest to the square root of a rational >= 0 (ties to even).

    >>> sqrt_float(Fraction(9, 4)), sqrt_float(Fraction(2)) == math.sqrt(2)
    (1.5, True)
    """
    if value < 0:
        raise ValueError(f"{value} has no real square root")
    if not value:
        return 0.0
    p, q = value.numerator, value.denominator
    # Scale by an even power of two so that the integer root has more bits than a double; then note inexactness in one more bit
    # ("round to odd"), so that the final division rounds as if it saw the true root.
    shift = max(0, 64 - (p.bit_length() - q.bit_length()) // 2)
    scaled, rest = divmod(p << 2 * shift, q)
    root = math.isqrt(scaled)
    sticky = 1 if rest or root * root != scaled else 0
    return (2 * root + sticky) / (1 << (shift + 1))


def _planes_of(pixels: Image | Array) -> int:
    """How many channels an image has. Raises ExactError for one that is not of bytes."""
    mode = getattr(pixels, "mode", None)
    if mode is not None:
        if mode not in _BYTE_MODES:
            raise ExactError(f"a histogram counts 8-bit images, not Pillow mode {mode}")
        return _BYTE_MODES[mode]
    array = cast("Array", pixels)
    if array.dtype != "uint8" or array.ndim not in (2, 3):
        raise ExactError(f"a histogram counts uint8 images, not {array.dtype}{list(array.shape)}")
    return 1 if array.ndim == 2 else int(array.shape[2])


def _image_bins(pixels: Image | Array) -> list[int]:
    return cast("Image", pixels).histogram() if hasattr(pixels, "mode") else _array_bins(pixels)


def _array_bins(array: np.ndarray[Any, np.dtype[np.uint8]]) -> list[int]:
    import numpy as np
    from PIL import Image

    planes = 1 if array.ndim == 2 else array.shape[2]
    # Pillow counts in one pass over the interleaved bytes; NumPy needs a strided copy and a widening for every channel.
    if array.size and (array.ndim == 2 or planes == 3):
        return Image.fromarray(array).histogram()
    flat = array.reshape(-1, planes)
    return [n for i in range(planes) for n in np.bincount(flat[:, i], minlength=256).tolist()]


def _body(data: bytes, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(data)
    if body.get("kind") != kind:
        raise ExactError(f"not a {kind}: {body.get('kind')!r}")
    return body


def _exact(value: Fraction) -> int | str:
    return value.numerator if value.denominator == 1 else str(value)


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)
