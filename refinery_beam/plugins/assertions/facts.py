"""The assertion about a fact of records: what is measured of their content or stated in the headers of their files."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from refinery_beam.plugins.assertions.base import AssertionSpec
from refinery_beam.plugins.assertions.words import check_ends
from refinery_beam.plugins.ops import Params

if TYPE_CHECKING:
    from typing import Self


class FactEnds(Params):
    """``fact``, a number of facts/records.parquet or one derived from these; ``min`` and ``max``, both included, at least one; and
    ``max_fraction``, the share of records that may lie outside.
    """

    fact: str
    min: float | None = None
    max: float | None = None
    max_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_ends(self)
        return self


class FactInRange:
    """A fact of every record, or of all but a few, lies between two numbers. Records without the fact are not asked."""

    spec = AssertionSpec(
        kind="fact_in_range", version=1, params=FactEnds, summary="a fact lies within", field=False, output_only=True, fact=True
    )

    def offence(self, value: Any, params: FactEnds) -> str:
        """`value` is the fact as a decimal.

        >>> FactInRange().offence("5.12", FactEnds(fact="sharpness", min=10))
        'has sharpness 5.12'
        """
        exact = Decimal(value)
        low = params.min is None or exact >= Decimal(repr(params.min))
        high = params.max is None or exact <= Decimal(repr(params.max))
        return "" if low and high else f"has {params.fact} {value}"
