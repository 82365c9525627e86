"""Arrays of random numbers, and the few functions they need, from raw words by arithmetic that is the same on every machine.

`identity.Stream` gives raw 64-bit words; this module maps many of them at once. Only what IEEE 754 fixes to the last bit is used on
arrays: adding, multiplying, dividing, comparing, rounding and taking apart (`frexp`). NumPy's own `log`, `exp` and `cos` differ in the
last digit between processors, and its sums between widths of vector units, so they are not used where bytes are promised. Scalars that
need a transcendental function get it from `decimal`, which rounds correctly everywhere, or from a short series.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from refinery_beam.identity import Stream

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

_EXACT = Context(prec=30)


def uniforms(stream: Stream, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Array:
    """float64 in [low, high): low + (high - low) * (word >> 11) / 2**53, one word a number in C order; what `Stream.uniform` gives.

    >>> uniforms(Stream(seed=1, op="a", key=b"k"), (2,))[0] == Stream(seed=1, op="a", key=b"k").uniform()
    np.True_
    """
    return low + (high - low) * ((_words(stream, shape) >> 11) * (1.0 / (1 << 53)))


def integers(stream: Stream, shape: Sequence[int], low: int, stop: int) -> Array:
    """int64 in [low, stop): the top 32 bits of a word times the width, over 2**32. The bias is below width / 2**32 (widths here are small).

    >>> sorted(set(integers(Stream(seed=1, op="a", key=b"k"), (100,), -1, 2).tolist()))
    [-1, 0, 1]
    """
    import numpy as np

    width = np.uint64(stop - low)
    return ((((_words(stream, shape) >> np.uint64(32)) * width) >> np.uint64(32)).astype(np.int64)) + low


def normals(stream: Stream, shape: Sequence[int], mean: float = 0.0, deviation: float = 1.0) -> Array:
    """float64 normal numbers, one word a number: the inverse of the distribution function at ((word >> 12) + 1/2) / 2**52.

    The inverse is Wichura's algorithm AS 241 (PPND16, 1988), exact to about 16 digits.
    """
    u = ((_words(stream, shape) >> 12) + 0.5) * (1.0 / (1 << 52))
    return mean + deviation * inverse_normal(u)


def poissons(stream: Stream, indices: Array, means: Sequence[float]) -> Array:
    """int64 Poisson numbers of the means ``means[index]``, one word a number, by inversion.

    The number is the least k for which the word's share (its top 53 bits) lies below P(X <= k). The distribution functions are tables of
    53-bit integers, cut where less than 2**-53 is left.
    """
    import numpy as np

    shares = _words(stream, indices.shape) >> 11
    found = np.zeros(indices.shape, np.int64)
    for index, mean in enumerate(means):
        here = indices == index
        if mean > 0 and here.any():
            found[here] = np.searchsorted(np.array(poisson_table(mean), np.uint64), shares[here], side="right")
    return found


@lru_cache(maxsize=4096)
def poisson_table(mean: float) -> tuple[int, ...]:
    """P(X <= k) * 2**53, rounded down, for k = 0, 1, ... until nothing is left.

    >>> round(poisson_table(1.0)[0] / 2**53, 6)
    0.367879
    """
    exact = Decimal(mean)
    term = _EXACT.exp(-exact)
    total, k = term, 0
    table: list[int] = []
    full = 1 << 53
    while True:
        share = int(total * full)
        if k > mean and (share >= full - 1 or (table and share == table[-1])):
            return tuple(table)
        table.append(share)
        k += 1
        term = _EXACT.divide(_EXACT.multiply(term, exact), Decimal(k))
        total = _EXACT.add(total, term)


_CENTRE = (
    (
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4),
        *(4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    ),
    (
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
    ),
)
_MIDDLE = (
    (
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0),
        *(1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
    ),
)
_TAIL = (
    (
        *(6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1),
        *(2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
    ),
)


def inverse_normal(u: Array) -> Array:
    """The standard normal quantile of probabilities in (0, 1), by AS 241.

    >>> import numpy as np
    >>> inverse_normal(np.array([0.5, 0.975])).round(6).tolist()
    [0.0, 1.959964]
    """
    import numpy as np

    q = u - 0.5
    r = 0.180625 - q * q
    found = q * _ratio(r, _CENTRE)
    outside = np.abs(q) > 0.425
    if outside.any():
        left = q[outside]
        root = np.sqrt(-natural_log(np.where(left < 0, u[outside], 1.0 - u[outside])))
        value = np.where(root <= 5.0, _ratio(root - 1.6, _MIDDLE), _ratio(root - 5.0, _TAIL))
        found[outside] = np.where(left < 0, -value, value)
    return found


def natural_log(x: Array) -> Array:
    """log of positive float64, within two units of the last digit: x = m * 2**e, log m = 2 artanh((m - 1) / (m + 1)) as a series.

    >>> import numpy as np
    >>> float(natural_log(np.array([1.0]))[0])
    0.0
    """
    import numpy as np

    mantissa, exponent = np.frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa = np.where(small, mantissa * 2.0, mantissa)
    exponent = exponent - small
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = np.zeros_like(s)
    for n in range(25, -1, -2):
        series = series * square + 1.0 / n
    result: Array = exponent * 0.6931471805599453 + 2.0 * s * series
    return result


def exponential(x: float) -> float:
    """exp of a number, correctly rounded from thirty digits, so the same on every machine.

    >>> exponential(0.0), exponential(1.0)
    (1.0, 2.718281828459045)
    """
    return float(_EXACT.exp(Decimal(x)))


def logarithm(x: float) -> float:
    """The natural log of a positive number, correctly rounded from thirty digits.

    >>> logarithm(1.0)
    0.0
    """
    return float(_EXACT.ln(Decimal(x)))


def sine_cosine(degrees: float) -> tuple[float, float]:
    """(sin, cos) of an angle in degrees within [-360, 360], by their series in exact decimals.

    >>> sine_cosine(30.0)[0], sine_cosine(180.0)[1]
    (0.5, -1.0)
    """
    x = _EXACT.divide(_EXACT.multiply(Decimal(degrees), Decimal("3.14159265358979323846264338327950288")), Decimal(180))
    term, sums, n = Decimal(1), [Decimal(0), Decimal(0)], 0
    while abs(term) > Decimal("1e-25"):
        sums[n % 2] += term if n % 4 < 2 else -term
        n += 1
        term = _EXACT.divide(_EXACT.multiply(term, x), Decimal(n))
    return float(sums[1]), float(sums[0])


@lru_cache(maxsize=256)
def gaussian_weights(sigma: float, radius: int) -> tuple[float, ...]:
    """The weights of a Gaussian at -radius..radius, summing to one (left to right, in doubles).

    >>> gaussian_weights(1.0, 1)[0] == gaussian_weights(1.0, 1)[2]
    True
    """
    half = [exponential(-(i * i) / (2.0 * sigma * sigma)) for i in range(radius + 1)]
    every = [*half[:0:-1], *half]
    total = 0.0
    for weight in every:
        total += weight
    return tuple(weight / total for weight in every)


def _ratio(r: Array, both: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    above, below = both
    top, bottom = above[-1], below[-1]
    result_top: Any = top
    result_bottom: Any = bottom
    for a, b in zip(above[-2::-1], below[-2::-1], strict=True):
        result_top = result_top * r + a
        result_bottom = result_bottom * r + b
    result: Array = result_top / result_bottom
    return result


def _words(stream: Stream, shape: Sequence[int]) -> Array:
    count = 1
    for n in shape:
        count *= int(n)
    return stream.words(count).reshape(tuple(shape))
