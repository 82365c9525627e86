"""The assertion that values are distributed about as stated, or as in another instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from refinery_beam.plugins.assertions.base import AssertionSpec, Facts, Verdict
from refinery_beam.plugins.assertions.words import short, text
from refinery_beam.plugins.distances import distance, fractions_of
from refinery_beam.plugins.ops import Params

if TYPE_CHECKING:
    from typing import Self


class Comparison(Params):
    """The distribution to compare with: an instance's split, fractions by value, or fractions of bins between ``edges``."""

    instance: str | None = None
    split: str | None = None
    fractions: dict[str, float] | tuple[float, ...] | None = None
    edges: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.instance is None) == (self.fractions is None):
            raise ValueError("a reference is either {instance, split} or {fractions}, with {edges} for numbers")
        if (self.instance is None) != (self.split is None):
            raise ValueError("instance and split go together")
        if isinstance(self.fractions, tuple):
            if self.edges is None or len(self.edges) != len(self.fractions) + 1:
                raise ValueError("a list of n fractions needs n + 1 edges")
            if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
                raise ValueError("edges increase")
        elif self.edges is not None:
            raise ValueError("edges go with a list of fractions")
        stated = list(self.fractions.values()) if isinstance(self.fractions, dict) else list(self.fractions or ())
        if stated and (min(stated) < 0 or abs(sum(map(_exact, stated), Fraction(0)) - 1) > Fraction(1, 10**9)):
            raise ValueError("fractions are at least 0 and sum to 1")
        return self


class Distribution(Params):
    """``reference`` (a `Comparison`), the ``distance`` to it, and its ``max``."""

    reference: Comparison
    distance: Literal["jensen_shannon", "l_infinity", "ks", "wasserstein"]
    max: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if isinstance(self.reference.fractions, dict) and self.distance in ("ks", "wasserstein"):
            raise ValueError(f"{self.distance} compares numbers: state edges, or use jensen_shannon or l_infinity")
        if self.reference.edges is not None and self.distance == "wasserstein":
            raise ValueError("wasserstein needs the values themselves: name an instance, or use ks")
        return self


class Distributional:
    """The values are distributed about as stated, or as in another instance; see `distances`."""

    spec = AssertionSpec(kind="distributional", version=1, params=Distribution, summary="is distributed as", field=True, content="values")

    def fields(self, field: str | None, params: Distribution) -> tuple[str, ...]:
        return (field or "",)

    def key(self, split: str, values: Sequence[Any], params: Distribution) -> list[Any] | None:
        return None if values[0] is None else list(values)

    def judge(self, counts: Sequence[tuple[list[Any], int]], params: Distribution, facts: Facts) -> Verdict:
        here = [(key[0], count) for key, count in counts]
        values = sum(count for _, count in here)
        observed: dict[str, Any] = {"values": values, "distance": None}
        if not values:
            return Verdict(False, observed, "no record has a value")
        reference = params.reference
        if facts.comparison is not None or reference.edges is not None or params.distance in ("ks", "wasserstein"):
            odd = next((v for v, _ in [*here, *(facts.comparison or ())] if isinstance(v, bool) or not isinstance(v, int | float)), None)
            if odd is not None and (params.distance in ("ks", "wasserstein") or reference.edges is not None):
                return Verdict(False, observed, f"{params.distance} compares numbers, and a value is {short(odd)}")
        p, q = self._pair(here, reference, facts)
        if not q:
            return Verdict(False, observed, "the reference has no value")
        exact = distance(params.distance, p, q)
        observed["distance"] = float(exact)
        good = exact <= _exact(params.max) if isinstance(exact, Fraction) else Fraction(exact) <= _exact(params.max)
        return Verdict(good, observed, f"the {params.distance} distance is {float(exact):.6g}, more than {params.max:g}")

    def _pair(
        self, here: Sequence[tuple[Any, int]], reference: Comparison, facts: Facts
    ) -> tuple[dict[Any, Fraction], dict[Any, Fraction]]:
        if facts.comparison is not None:
            both = [*here, *facts.comparison]
            as_is = all(isinstance(v, int | float) and not isinstance(v, bool) for v, _ in both)
            mine = _summed((v if as_is else text(v), n) for v, n in here)
            theirs = _summed((v if as_is else text(v), n) for v, n in facts.comparison)
            return fractions_of(mine), _weights(theirs)
        if isinstance(reference.fractions, dict):
            return fractions_of(_summed((text(v), n) for v, n in here)), _scaled(reference.fractions)
        assert reference.edges is not None and reference.fractions is not None
        edges = reference.edges
        return fractions_of(_summed((_bin(v, edges), n) for v, n in here)), _scaled(dict(enumerate(reference.fractions)))


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _summed(pairs: Any) -> dict[Any, int]:
    total: Counter[Any] = Counter()
    for value, count in pairs:
        total[value] += count
    return dict(total)


def _weights(counts: Mapping[Any, int]) -> dict[Any, Fraction]:
    return fractions_of(counts) if sum(counts.values()) else {}


def _scaled(stated: Mapping[Any, float]) -> dict[Any, Fraction]:
    exact = {key: _exact(value) for key, value in stated.items()}
    total = sum(exact.values())
    return {key: value / total for key, value in exact.items() if value}


def _bin(value: float, edges: Sequence[float]) -> int:
    """The number of the bin [edge, next edge) of a value, the last one closed; -1 below all, the number of bins above."""
    from bisect import bisect_right

    return len(edges) - 2 if value == edges[-1] else bisect_right(edges, value) - 1
