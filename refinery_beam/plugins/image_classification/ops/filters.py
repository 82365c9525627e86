"""Filters that read image files: image_size, drop_duplicates with near duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from refinery_beam.plugins.common.duplicates import DropExactDuplicates
from refinery_beam.plugins.common.filters import Count
from refinery_beam.plugins.image_classification.ops.phash import PHASH_VERSION, phash
from refinery_beam.plugins.image_classification.pixels import Pixels
from refinery_beam.plugins.ops import OpSpec, Params

NEAR_DISTANCE = 4
"""Bits by which near duplicates differ at most, unless the recipe says otherwise."""

MAX_DISTANCE = 10
"""The greatest distance that a recipe may ask for: with more bits, unlike pictures match, and the bands that find pairs become too short.
"""


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


class ImageSize:
    """Filters records by the upright size in their file's header. Decodes nothing."""

    spec = OpSpec(name="image_size", section="Filters", version=1, params=ImageSizeParams, summary="Keep images of some sizes.")
    kind = "header"

    def refusal(self, header: Mapping[str, int], params: ImageSizeParams) -> str:
        """Why an image of this size goes, '' if it stays.

        >>> op, params = ImageSize(), ImageSizeParams(min_width=64)
        >>> op.refusal({"width": 40, "height": 400}, params), op.refusal({"width": 64, "height": 64}, params)
        ('width 40 is below min_width 64', '')
        """
        width, height = header["width"], header["height"]
        for side, size in (("width", width), ("height", height)):
            low, high = getattr(params, f"min_{side}"), getattr(params, f"max_{side}")
            if low is not None and size < low:
                return f"{side} {size} is below min_{side} {low}"
            if high is not None and size > high:
                return f"{side} {size} is above max_{side} {high}"
        if params.max_aspect is not None and max(width, height) > Fraction(repr(params.max_aspect)) * min(width, height):
            return f"{width} x {height} is above max_aspect {params.max_aspect:g}"
        return ""


class DropDuplicates(DropExactDuplicates):
    """One of several records with equal content (exact), or connected by near perceptual hashes (near), stays."""

    spec = OpSpec(
        name="drop_duplicates",
        section="Filters",
        version=PHASH_VERSION,
        params=DropDuplicatesParams,
        summary="Keep one of identical files, or of pictures that look alike.",
    )

    def distance(self, params: Any) -> int | None:
        """Bits in which signatures of neighbours differ at most; None if only identical files are duplicates and nothing is decoded."""
        return params.distance if params.kind == "near" else None

    def signature(self, pixels: Pixels) -> int:
        """The 64-bit perceptual hash (`phash`)."""
        return phash(pixels)
