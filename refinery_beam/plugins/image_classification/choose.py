"""Ops that choose among records by class, tag, field, header or likeness.

sample_per_class, sample_per_class_fractional, drop_by_label, filter_by_field, image_size, drop_duplicates.
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

from refinery_beam.plugins.base import TAGS_FIELD, OpSpec, Params
from refinery_beam.plugins.image_classification.phash import PHASH_VERSION, phash
from refinery_beam.plugins.image_classification.pixels import Pixels

NEAR_DISTANCE = 4
"""Bits by which near duplicates differ at most, unless the recipe says otherwise."""

MAX_DISTANCE = 10
"""The most bits that may be asked for: beyond, unlike pictures meet, and the bands that find pairs become too short to tell them apart."""

Tag: TypeAlias = Annotated[str, Field(strict=True, min_length=1)]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1)]
Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr


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
        """`in` under the word the recipe has for it, whoever dumps: Python has no attribute of that name."""
        return {"in" if name == "in_" else name: value for name, value in handler(self).items()}


class ImageSizeParams(Params):
    """Parameters of image_size; at least one."""

    min_width: Count | None = Field(default=None, description="The least width in pixels, as seen upright.")
    min_height: Count | None = Field(default=None, description="The least height.")
    max_width: Count | None = Field(default=None, description="The greatest width.")
    max_height: Count | None = Field(default=None, description="The greatest height.")
    max_aspect: Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False)] | None = Field(
        default=None, description="The greatest ratio of the longer side to the shorter one."
    )

    @model_validator(mode="after")
    def _some(self) -> ImageSizeParams:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("image_size takes at least one of " + ", ".join(type(self).model_fields))
        for side in ("width", "height"):
            low, high = getattr(self, f"min_{side}"), getattr(self, f"max_{side}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{side} {low} is above max_{side} {high}")
        return self


class DropDuplicatesParams(Params):
    """Parameters of drop_duplicates."""

    kind: Literal["exact", "near"] = Field(default="exact", description="exact: identical files. near: pictures that look alike.")
    keep: Literal["first_key"] = Field(default="first_key", description="Of each group the record with the smallest record key stays.")
    distance: Annotated[int, Field(strict=True, ge=0, le=MAX_DISTANCE)] | None = Field(
        default=None, description=f"Bits in which perceptual hashes of neighbours differ at most; near only, default {NEAR_DISTANCE}."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_distance(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("kind") == "near" and data.get("distance") is None:
            return {**data, "distance": NEAR_DISTANCE}
        return data

    @model_validator(mode="after")
    def _near_only(self) -> DropDuplicatesParams:
        if self.kind == "exact" and self.distance is not None:
            raise ValueError("distance belongs to kind: near; identical files have none")
        return self


class _Choice:
    """What a filter that neither keeps by metadata alone nor samples the whole answers to those two questions."""

    def keep(self, label: str | None, fields: Mapping[str, Any], params: Any) -> bool:
        """True: no record goes for its metadata."""
        return True

    def quota(self, records: int, params: Any) -> int:
        """Every record may stay."""
        return records


class SamplePerClass(_Choice):
    """The `n_per_class` records of lowest seeded rank of every class stay, or get a tag."""

    spec = OpSpec(
        name="sample_per_class",
        section="Filters",
        version=1,
        params=SamplePerClassParams,
        summary="Keep or tag so many records of every class.",
    )
    kind: Literal["sample_per_class"] = "sample_per_class"

    def class_quota(self, label: str, records: int, params: SamplePerClassParams) -> int:
        """How many of so many records of a class are chosen.

        >>> SamplePerClass().class_quota("cat", 9, SamplePerClassParams(n_per_class=5))
        5
        """
        return min(params.n_per_class, records)

    def tag(self, params: _ByClass) -> str:
        """The tag of the chosen; '' when the others are dropped instead."""
        return params.label or ""

    def excluded(self, params: _ByClass) -> Sequence[str]:
        """The tags that keep a record from being chosen."""
        return params.exclude_already_labeled


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
        """How many of so many records of a class are chosen.

        >>> p = SamplePerClassFractionalParams(n_per_class_base=100, fractions={"cat": 0.29})
        >>> [SamplePerClassFractional().class_quota(c, 1000, p) for c in ("cat", "dog")]
        [29, 100]
        """
        fraction = Fraction(repr(float(params.fractions.get(label, 1.0))))
        return min(int(params.n_per_class_base * fraction), records)


class DropByLabel(_Choice):
    """Records that carry one of some tags go. A word of the language: these labels are tags, not classes."""

    spec = OpSpec(name="drop_by_label", section="Filters", version=1, params=DropByLabelParams, summary="Drop records by their tags.")
    kind: Literal["predicate"] = "predicate"

    def keep(self, label: str | None, fields: Mapping[str, Any], params: DropByLabelParams) -> bool:
        """Whether the record stays.

        >>> DropByLabel().keep("cat", {"sample_per_class_tags": ["probe"]}, DropByLabelParams(labels=["probe"]))
        False
        """
        return not set(fields.get(TAGS_FIELD) or ()) & set(params.labels)


class FilterByField(_Choice):
    """Records by one metadata field. A record without a value has no number and equals nothing: only `not_in` keeps it.

    Numbers in a table are text. They equal, and are compared with, the numbers of a recipe by their decimal value: 1, "1" and "1.0" are
    one number. Text compares with text as it is.
    """

    spec = OpSpec(name="filter_by_field", section="Filters", version=1, params=FilterByFieldParams, summary="Keep records by a field.")
    kind: Literal["predicate"] = "predicate"

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


class ImageSize(_Choice):
    """Records by the size in their file's header, as seen upright. Nothing is decoded."""

    spec = OpSpec(name="image_size", section="Filters", version=1, params=ImageSizeParams, summary="Keep images of some sizes.")
    kind: Literal["header"] = "header"

    def refusal(self, width: int, height: int, params: ImageSizeParams) -> str:
        """Why an image of this size goes, '' if it stays.

        >>> ImageSize().refusal(40, 400, ImageSizeParams(min_width=64)), ImageSize().refusal(64, 64, ImageSizeParams(min_width=64))
        ('width 40 is below min_width 64', '')
        """
        for side, size in (("width", width), ("height", height)):
            low, high = getattr(params, f"min_{side}"), getattr(params, f"max_{side}")
            if low is not None and size < low:
                return f"{side} {size} is below min_{side} {low}"
            if high is not None and size > high:
                return f"{side} {size} is above max_{side} {high}"
        if params.max_aspect is not None and max(width, height) > Fraction(repr(params.max_aspect)) * min(width, height):
            return f"{width} x {height} is above max_aspect {params.max_aspect:g}"
        return ""


class DropDuplicates(_Choice):
    """Of records with one content (exact), or connected by near perceptual hashes (near), one stays."""

    spec = OpSpec(
        name="drop_duplicates",
        section="Filters",
        version=PHASH_VERSION,
        params=DropDuplicatesParams,
        summary="Keep one of identical files, or of pictures that look alike.",
    )
    kind: Literal["duplicates"] = "duplicates"

    def distance(self, params: DropDuplicatesParams) -> int | None:
        """Bits in which signatures of neighbours differ at most; None when only identical files count and nothing is decoded."""
        return params.distance if params.kind == "near" else None

    def signature(self, pixels: Pixels) -> int:
        """The 64-bit perceptual hash (`phash`)."""
        return phash(pixels)


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
