"""Filters that need no content: by class, tag or field, and by seeded rank.

filter_by_label, filter_by_field, drop_by_label, random_sample, sample_per_class, sample_per_class_fractional.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_serializer,
    model_validator,
)

from refinery_beam.plugins.ops import OpSpec, Params
from refinery_beam.records import TAGS_FIELD

Tag: TypeAlias = Annotated[str, Field(strict=True, min_length=1)]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1)]
Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr


def _label_text(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a label is text; YAML read {value}, quote it to mean the word")
    return str(value) if isinstance(value, int) else value


_Label: TypeAlias = Annotated[str, BeforeValidator(_label_text, json_schema_input_type=str | int)]


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


class _ByClass(Params):
    label: Tag | None = Field(
        default=None, description="A tag. With it nobody is dropped: the chosen records get the tag. Without it the others are dropped."
    )
    exclude_already_labeled: tuple[Tag, ...] = Field(
        default=(), description="Tags of earlier filters. Records that carry one of them are not chosen."
    )
    seed: int | None = Field(default=None, strict=True, description="The seed of the ranks; the filter's own `seed` is the better place.")


class SamplePerClassParams(_ByClass):
    """Parameters of sample_per_class."""

    n_per_class: Count = Field(description="How many records of each class are chosen; all of them if there are fewer.")


def _label_keys(value: Any) -> Any:
    """Class labels as text: YAML reads 0 as a number, which means the label '0'."""
    if not isinstance(value, Mapping):
        return value
    if any(isinstance(k, bool) for k in value):
        raise ValueError("a label is text; quote true, false, yes and no to mean the words")
    return {str(k) if isinstance(k, int) else k: v for k, v in value.items()}


class SamplePerClassFractionalParams(_ByClass):
    """Parameters of sample_per_class_fractional."""

    n_per_class_base: Count = Field(description="How many records of a class are chosen at fraction 1.")
    fractions: Annotated[dict[str, Annotated[float, Field(strict=True, ge=0, le=1)]], BeforeValidator(_label_keys)] = Field(
        default={}, description="The fraction of the base for a class, 0 to 1; a class that is not named has 1. Rounded down."
    )


class DropByLabelParams(Params):
    """Parameters of drop_by_label."""

    labels: Annotated[tuple[Tag, ...], Field(min_length=1)] = Field(description="Tags (not class labels). Records with any of them go.")


class FilterByFieldParams(Params):
    """Parameters of filter_by_field: the field, and one rule."""

    field: Annotated[str, Field(strict=True, min_length=1)] = Field(description="A metadata field of the records.")
    equals: Scalar | None = Field(default=None, description="The value that stays.")
    in_: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = Field(default=None, alias="in", description="The values that stay.")
    not_in: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = Field(default=None, description="The values that go.")
    min: StrictInt | StrictFloat | None = Field(default=None, description="The least number that stays; alone, or with max.")
    max: StrictInt | StrictFloat | None = Field(default=None, description="The greatest number that stays; alone, or with min.")

    @model_validator(mode="after")
    def _one_rule(self) -> FilterByFieldParams:
        rules = [self.equals is not None, self.in_ is not None, self.not_in is not None, self.min is not None or self.max is not None]
        if sum(rules) != 1:
            raise ValueError("filter_by_field takes exactly one rule: equals, in, not_in, or min and max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    @model_serializer(mode="wrap")
    def _by_word(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Dump the field as `in`, the recipe's word: Python has no attribute of that name."""
        return {"in" if name == "in_" else name: value for name, value in handler(self).items()}


class FilterByLabel:
    """Records by their class label. A record without a label is in no list: `include` drops it, `exclude` keeps it."""

    spec = OpSpec(
        name="filter_by_label",
        section="Filters",
        version=1,
        params=FilterByLabelParams,
        summary="Keep or drop classes.",
    )
    kind = "predicate"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: FilterByLabelParams) -> bool:
        """Whether the record stays."""
        return (label is not None and label in params.labels) == (params.action == "include")

    def labels_named(self, params: FilterByLabelParams) -> tuple[str, ...]:
        """The classes that the parameters speak of."""
        return params.labels


class RandomSample:
    """The `quota` records of lowest seeded rank. floor(records * fraction) is exact: 0.1 is one tenth, not the double next to it."""

    spec = OpSpec(
        name="random_sample", section="Filters", version=1, params=RandomSampleParams, summary="Keep a random share or number of records."
    )
    kind = "sample"

    def quota(self, records: int, params: RandomSampleParams) -> int:
        """How many of so many records stay.

        >>> RandomSample().quota(70, RandomSampleParams(fraction=0.1)), RandomSample().quota(3, RandomSampleParams(n=5))
        (7, 3)
        """
        if params.n is not None:
            return min(params.n, records)
        return int(Fraction(repr(params.fraction)) * records)


class SamplePerClass:
    """The `n_per_class` records of lowest seeded rank of every class stay, or get a tag."""

    spec = OpSpec(
        name="sample_per_class",
        section="Filters",
        version=1,
        params=SamplePerClassParams,
        summary="Keep or tag so many records of every class.",
    )
    kind = "sample_per_class"

    def class_quota(self, label: str, records: int, params: SamplePerClassParams) -> int:
        """How many of so many records of a class are sampled.

        >>> SamplePerClass().class_quota("cat", 9, SamplePerClassParams(n_per_class=5))
        5
        """
        return min(params.n_per_class, records)

    def tag(self, params: _ByClass) -> str:
        """The tag of the sampled records; '' if the other records are dropped instead."""
        return params.label or ""

    def excluded(self, params: _ByClass) -> Sequence[str]:
        """The tags with which a record cannot be sampled."""
        return params.exclude_already_labeled

    def tags_named(self, params: _ByClass) -> Mapping[str, tuple[str, ...]]:
        """The tags that the parameters speak of."""
        return {"exclude_already_labeled": params.exclude_already_labeled}


class SamplePerClassFractional(SamplePerClass):
    """sample_per_class with floor(base * fraction) records of a class; 0.1 is one tenth, not the double next to it."""

    spec = OpSpec(
        name="sample_per_class_fractional",
        section="Filters",
        version=1,
        params=SamplePerClassFractionalParams,
        summary="Keep or tag another number of records of every class.",
    )

    def labels_named(self, params: SamplePerClassFractionalParams) -> tuple[str, ...]:
        """The classes that the parameters speak of."""
        return tuple(params.fractions)

    def class_quota(self, label: str, records: int, params: Any) -> int:
        """How many of so many records of a class are sampled.

        >>> p = SamplePerClassFractionalParams(n_per_class_base=100, fractions={"cat": 0.29})
        >>> [SamplePerClassFractional().class_quota(c, 1000, p) for c in ("cat", "dog")]
        [29, 100]
        """
        fraction = Fraction(repr(float(params.fractions.get(label, 1.0))))
        return min(int(params.n_per_class_base * fraction), records)


class DropByLabel:
    """Records that carry one of some tags go. A word of the language: these labels are tags, not classes."""

    spec = OpSpec(name="drop_by_label", section="Filters", version=1, params=DropByLabelParams, summary="Drop records by their tags.")
    kind = "predicate"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: DropByLabelParams) -> bool:
        """Whether the record stays.

        >>> DropByLabel().keep("cat", {"sample_per_class_tags": ["probe"]}, DropByLabelParams(labels=["probe"]))
        False
        """
        return not set(fields.get(TAGS_FIELD) or ()) & set(params.labels)

    def tags_named(self, params: DropByLabelParams) -> Mapping[str, tuple[str, ...]]:
        """The tags that the parameters speak of."""
        return {"labels": params.labels}


class FilterByField:
    """Records by one metadata field. A record without a value has no number and equals nothing: only `not_in` keeps it.

    Numbers in a table are text. They equal, and are compared with, the numbers of a recipe by their decimal value: 1, "1" and "1.0" are
    one number. Text compares with text as it is.
    """

    spec = OpSpec(name="filter_by_field", section="Filters", version=1, params=FilterByFieldParams, summary="Keep records by a field.")
    kind = "predicate"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: FilterByFieldParams) -> bool:
        """Whether the record stays.

        >>> FilterByField().keep(None, {"year": "2019"}, FilterByFieldParams(field="year", min=2018.5))
        True
        """
        value = fields.get(params.field)
        if params.equals is not None:
            return _same(value, params.equals)
        if params.in_ is not None:
            return any(_same(value, one) for one in params.in_)
        if params.not_in is not None:
            return not any(_same(value, one) for one in params.not_in)
        found = _number(value)
        if found is None:
            return False
        low, high = _number(params.min), _number(params.max)
        return (low is None or low <= found) and (high is None or found <= high)

    def fields_named(self, params: FilterByFieldParams) -> Mapping[str, str]:
        """The field that the parameters speak of."""
        return {"field": params.field}


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


def _number(value: Any) -> Fraction | None:
    """A number, or text that is one, exactly; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return Fraction(value)
    text = repr(value) if isinstance(value, float) else value.strip() if isinstance(value, str) and len(value) <= 400 else ""
    return Fraction(text) if _NUMBER.fullmatch(text) and text.isascii() else None


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted or (isinstance(value, str) and value.casefold() == str(wanted).lower())
    one, other = _number(value), _number(wanted)
    return one is not None and one == other
