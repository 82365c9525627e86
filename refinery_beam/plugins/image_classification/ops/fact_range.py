"""The filter fact_range: by what is measured of a decoded image, or stated in its header."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.fact_columns import DERIVED, shown, value
from refinery_beam.plugins.image_classification.codecs.decode import FACTS
from refinery_beam.plugins.image_classification.measures.quality import SCALES, TYPES
from refinery_beam.plugins.ops import OpSpec, Params

UNITS: Mapping[str, int] = {
    "bytes": 1,
    **{name: SCALES.get(name, 1) for name, dtype in {**FACTS, **TYPES}.items() if dtype not in ("str", "int8") and name != "phash"},
    **{name: derived.scale for name, derived in DERIVED.items()},
}
"""The facts that are numbers, and in which parts of a unit they are."""


def _known(name: str) -> str:
    if name not in UNITS:
        raise ValueError(f"there is no fact {name!r}; {did_you_mean(name, sorted(UNITS))}")
    return name


class FactRangeParams(Params):
    """Parameters of fact_range; at least one end."""

    fact: Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(UNITS)})] = Field(
        description="A number that is measured of the decoded image, stated in its header, or derived from these."
    )
    min: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = Field(default=None, description="The least value that stays.")
    max: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = Field(default=None, description="The greatest.")

    @model_validator(mode="after")
    def _ends(self) -> FactRangeParams:
        if self.min is None and self.max is None:
            raise ValueError("fact_range takes min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class FactRange:
    """Filters records by one fact of their decoded image, as facts/records.parquet has it. A record without the fact stays.

    Every image is decoded once more, in a pass of its own.
    """

    spec = OpSpec(name="fact_range", section="Filters", version=1, params=FactRangeParams, summary="Keep images by a measured fact.")
    kind = "measured"

    def refusal(self, facts: Mapping[str, Any], params: FactRangeParams) -> str:
        """Why an image with these facts goes, '' if it stays.

        >>> FactRange().refusal({"sharpness": 512}, FactRangeParams(fact="sharpness", min=10.0))
        'sharpness 5.12 is below min 10'
        """
        found = value(facts, params.fact)
        if found is None:
            return ""
        scale = UNITS[params.fact]
        exact = Fraction(found, scale)
        if params.min is not None and exact < Fraction(repr(params.min)):
            return f"{params.fact} {shown(found, scale)} is below min {params.min:g}"
        if params.max is not None and exact > Fraction(repr(params.max)):
            return f"{params.fact} {shown(found, scale)} is above max {params.max:g}"
        return ""
