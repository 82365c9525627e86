"""Ops that choose among records by what is known without pixels: filter_by_label, random_sample."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from refinery_beam.plugins.base import OpSpec, Params


def _label_text(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a label is text; YAML read {value}, quote it to mean the word")
    return str(value) if isinstance(value, int) else value


_Label = Annotated[str, BeforeValidator(_label_text, json_schema_input_type=str | int)]


class FilterByLabelParams(Params):
    """Parameters of filter_by_label."""

    labels: Annotated[tuple[_Label, ...], Field(min_length=1)] = Field(
        description="Class labels, compared as text; the integer 0 means the label '0'."
    )
    action: Literal["include", "exclude"] = Field(default="include", description="include: only these labels stay. exclude: these go.")


class RandomSampleParams(Params):
    """Parameters of random_sample."""

    fraction: float | None = Field(
        default=None, strict=True, gt=0, le=1, description="The share of records that stays, rounded down; above 0."
    )
    n: int | None = Field(default=None, strict=True, ge=0, description="How many records stay; all of them if there are fewer.")
    seed: int | None = Field(default=None, strict=True, description="The seed of the ranks; the filter's own `seed` is the better place.")

    @model_validator(mode="after")
    def _one_of(self) -> RandomSampleParams:
        if (self.fraction is None) == (self.n is None):
            raise ValueError("random_sample takes exactly one of fraction and n")
        return self


class FilterByLabel:
    """Records by their class label. A record without a label is in no list: `include` drops it, `exclude` keeps it."""

    spec = OpSpec(
        name="filter_by_label",
        section="Filters",
        version=1,
        params=FilterByLabelParams,
        summary="Keep or drop classes.",
        v1_defaults={"action": "include"},
    )
    kind: Literal["predicate", "sample"] = "predicate"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: FilterByLabelParams) -> bool:
        """Whether the record stays."""
        return (label is not None and label in params.labels) == (params.action == "include")

    def labels_named(self, params: FilterByLabelParams) -> tuple[str, ...]:
        """The classes that the parameters speak of."""
        return params.labels

    def quota(self, records: int, params: FilterByLabelParams) -> int:
        """Every record may stay."""
        return records


class RandomSample:
    """The `quota` records of lowest seeded rank. floor(records * fraction) is exact: 0.1 is one tenth, not the double next to it."""

    spec = OpSpec(
        name="random_sample", section="Filters", version=1, params=RandomSampleParams, summary="Keep a random share or number of records."
    )
    kind: Literal["predicate", "sample"] = "sample"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: RandomSampleParams) -> bool:
        """True: no record goes for what it is."""
        return True

    def quota(self, records: int, params: RandomSampleParams) -> int:
        """How many of so many records stay.

        >>> RandomSample().quota(70, RandomSampleParams(fraction=0.1)), RandomSample().quota(3, RandomSampleParams(n=5))
        (7, 3)
        """
        if params.n is not None:
            return min(params.n, records)
        return int(Fraction(repr(params.fraction)) * records)
