"""The sample of a plan, and how a recipe becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from refinery_beam.recipe import Recipe, section_seed


@dataclass(frozen=True, kw_only=True)
class SamplePlan:
    """A sample of the final records: `n` of each stratum, or `fraction` (an exact decimal text) of it, rounded down."""

    n: int | None
    fraction: str | None
    kind: Literal["uniform", "per_class"]
    splits: tuple[str, ...]
    seed: int

    def quota(self, records: int) -> int:
        """How many of `records` records are taken.

        >>> SamplePlan(n=None, fraction="0.1", kind="uniform", splits=(), seed=0).quota(29)
        2
        """
        return min(self.n, records) if self.n is not None else int(Fraction(self.fraction or "0") * records)

    def identity(self) -> list[Any]:
        return [self.n, self.fraction, self.kind, list(self.splits), self.seed]


def build_sample(recipe: Recipe, splits: Sequence[str]) -> SamplePlan | None:
    """The sample the recipe asks for, or None."""
    data = recipe.model.SampleData
    if data is None:
        return None
    s = data.selector
    return SamplePlan(
        n=s.n,
        fraction=None if s.fraction is None else repr(float(s.fraction)),
        kind=s.kind,
        splits=tuple(x for x in splits if s.splits is None or x in s.splits),
        seed=section_seed(recipe, s.seed, "SampleData"),
    )
