"""Ops that make a new field of the image as it is stored: image_size_stats, flatten, perceptual_hash."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from pydantic import Field

from refinery_beam.plugins.ops import FieldType, OpSpec, OpTypeError, Params

LIST_LIMIT = 1 << 16
"""Values a list column may have a row. Beyond, the image column's tensor holds the same bytes in the same order, a hundred times faster."""


class ImageSizeStatsParams(Params):
    """image_size_stats has no parameters."""


class FlattenParams(Params):
    """flatten has no parameters."""


class PerceptualHashParams(Params):
    """Parameters of perceptual_hash."""

    kind: Literal["phash", "dhash"] = Field(
        default="phash", description="phash: signs of cosine frequencies. dhash: signs of differences between neighbours."
    )
    output_dtype: Literal["str", "int64"] = Field(
        default="str", description="16 hexadecimal digits, or the 64 bits as a signed whole number."
    )


class ImageSizeStats:
    """The shape of the image as a list: [height, width, channels], or [height, width] of a grey one."""

    spec = OpSpec(
        name="image_size_stats",
        section="Featurizations",
        version=1,
        params=ImageSizeStatsParams,
        summary="Note the shape of every image.",
    )
    needs_pixels = True

    def infer(self, inputs: Sequence[FieldType], params: ImageSizeStatsParams) -> FieldType:
        """int64, as many as the image has axes."""
        if len(inputs) != 1:
            raise OpTypeError("image_size_stats takes one input, the image")
        shape = inputs[0].shape
        return FieldType("int64", (3 if shape is None else len(shape),))

    def featurize(self, inputs: Sequence[Any], params: ImageSizeStatsParams) -> list[int]:
        """The shape."""
        return [int(n) for n in inputs[0].shape]


class Flatten:
    """The values of the stored image in C order (row by row, pixel by pixel, channel by channel), as a list."""

    spec = OpSpec(name="flatten", section="Featurizations", version=1, params=FlattenParams, summary="The image as one list of values.")
    needs_pixels = True

    def infer(self, inputs: Sequence[FieldType], params: FlattenParams) -> FieldType:
        """The image's dtype; its number of values where the shape is fixed."""
        if len(inputs) != 1 or not inputs[0].shape:
            raise OpTypeError("flatten takes one input, the image")
        shape = inputs[0].shape
        if None in shape:
            return FieldType(inputs[0].dtype, (None,))
        count = prod(n for n in shape if n is not None)
        if count > LIST_LIMIT:
            raise OpTypeError(
                f"flatten makes lists of at most {LIST_LIMIT} values, this image has {count}: store the image with encoding: tensor, "
                "whose bytes are the same values in the same order, and reshape(-1) what is read"
            )
        return FieldType(inputs[0].dtype, (count,))

    def featurize(self, inputs: Sequence[Any], params: FlattenParams) -> list[Any]:
        """The values."""
        values: list[Any] = inputs[0].reshape(-1).tolist()
        return values


class PerceptualHash:
    """A hash of 64 bits that similar images nearly share: count differing bits to compare. Of the stored image, which must be uint8."""

    spec = OpSpec(
        name="perceptual_hash", section="Featurizations", version=1, params=PerceptualHashParams, summary="A 64-bit hash of what is seen."
    )
    needs_pixels = True

    def infer(self, inputs: Sequence[FieldType], params: PerceptualHashParams) -> FieldType:
        """Text or int64."""
        if len(inputs) != 1 or not inputs[0].shape or inputs[0].dtype != "uint8":
            raise OpTypeError("perceptual_hash takes one input, the image, stored as uint8")
        return FieldType(params.output_dtype)

    def featurize(self, inputs: Sequence[Any], params: PerceptualHashParams) -> str | int:
        """The hash."""
        from refinery_beam.plugins.image_classification.ops.dhash import dhash
        from refinery_beam.plugins.image_classification.ops.phash import phash

        value = (phash if params.kind == "phash" else dhash)(inputs[0])
        return f"{value:016x}" if params.output_dtype == "str" else value - (1 << 64) * (value >> 63)
