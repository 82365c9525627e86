"""Distances between two distributions, exact until the final float. What `distributional` assertions measure with.

A distribution is a mapping of values to weights (exact fractions, summing to one).

* ``l_infinity``: max |p(x) - q(x)|.
* ``jensen_shannon``: sqrt(H(m) - (H(p) + H(q)) / 2) with m = (p + q) / 2 and entropies in bits; 0 for equal, 1 for disjoint ones. J. Lin,
  "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37, 1991; the root is a metric (D. Endres and J. Schindelin,
  IEEE Trans. Inf. Theory 49, 2003). Logarithms are taken in fifty decimal digits, which every platform rounds alike.
* ``ks``: max |F(x) - G(x)| of the distribution functions. F. Massey, "The Kolmogorov-Smirnov test for goodness of fit", JASA 46, 1951.
* ``wasserstein``: the integral of |F(x) - G(x)|, the first Wasserstein distance on the line. S. Vallender, "Calculation of the Wasserstein
  distance between probability distributions on the line", Theory Probab. Appl. 18, 1974. In the unit of the values.

The first two compare values as such; the last two need numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, TypeAlias

Weights: TypeAlias = Mapping[Any, Fraction]

_DIGITS = Context(prec=50)


def distance(name: str, p: Weights, q: Weights) -> Fraction | Decimal:
    """The distance of that name, exact but for ``jensen_shannon``, which has fifty digits.

    >>> half = {"a": Fraction(1, 2), "b": Fraction(1, 2)}
    >>> float(distance("l_infinity", half, {"a": Fraction(1)})), float(distance("jensen_shannon", {"a": Fraction(1)}, {"b": Fraction(1)}))
    (0.5, 1.0)
    >>> float(distance("ks", {0: Fraction(1)}, {3: Fraction(1)})), float(distance("wasserstein", {0: Fraction(1)}, {3: Fraction(1)}))
    (1.0, 3.0)
    """
    if name == "l_infinity":
        return max((abs(p.get(x, Fraction(0)) - q.get(x, Fraction(0))) for x in _both(p, q)), default=Fraction(0))
    if name == "jensen_shannon":
        return _jensen_shannon(p, q)
    values = sorted(_both(p, q))
    gap = farthest = area = Fraction(0)
    for i, x in enumerate(values):
        gap += p.get(x, Fraction(0)) - q.get(x, Fraction(0))
        farthest = max(farthest, abs(gap))
        if i + 1 < len(values):
            area += abs(gap) * (Fraction(values[i + 1]) - Fraction(x))
    return farthest if name == "ks" else area


def fractions_of(counts: Mapping[Any, int]) -> dict[Any, Fraction]:
    """Counts as weights. The counts must not all be zero."""
    total = sum(counts.values())
    return {value: Fraction(count, total) for value, count in counts.items() if count}


def _jensen_shannon(p: Weights, q: Weights) -> Decimal:
    if {k: v for k, v in p.items() if v} == {k: v for k, v in q.items() if v}:
        return Decimal(0)
    terms = []
    for x in _both(p, q):
        a, b = p.get(x, Fraction(0)), q.get(x, Fraction(0))
        middle = (a + b) / 2
        terms += [_part(a, a / middle) if a else Decimal(0), _part(b, b / middle) if b else Decimal(0)]
    # Sorted, because fifty digits still round: the sum must not depend on the order of values.
    total = Decimal(0)
    for term in sorted(terms):
        total = _DIGITS.add(total, term)
    bits = _DIGITS.divide(total, _DIGITS.multiply(Decimal(2), _DIGITS.ln(Decimal(2))))
    return _DIGITS.sqrt(max(bits, Decimal(0)))


def _both(p: Weights, q: Weights) -> list[Any]:
    return [*p, *(x for x in q if x not in p)]


def _part(weight: Fraction, ratio: Fraction) -> Decimal:
    """weight * ln(ratio)."""
    return _DIGITS.multiply(_decimal(weight), _DIGITS.ln(_decimal(ratio)))


def _decimal(value: Fraction) -> Decimal:
    return _DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator))
