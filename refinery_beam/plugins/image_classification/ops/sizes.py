"""Parameter types shared by the image ops: sizes, fills, numbers that are not read out of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from refinery_beam.plugins.ops import ArrayType, OpTypeError

Side: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=65_535)]
Margin: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=65_535)]
Size: TypeAlias = Side | tuple[Side, Side]
Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Fill: TypeAlias = Number | Annotated[tuple[Number, ...], Field(min_length=1)]

SIZE_WORDS = "One number for a square, or [height, width], in pixels."
FILL_WORDS = (
    "The value of new pixels: one number for every channel, or a list of one number a channel. uint8 images take whole numbers 0..255."
)


def height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a size parameter.

    >>> height_width(224), height_width((2, 3))
    ((224, 224), (2, 3))
    """
    return (size, size) if isinstance(size, int) else size


def known_channels(before: ArrayType) -> int | None:
    """The number of channels of an image type; None where it varies."""
    return 1 if len(before.shape) == 2 else before.shape[2]


def wants_image(before: ArrayType, op: str) -> None:
    """Raise OpTypeError unless the type is an image, (h, w) or (h, w, c)."""
    if len(before.shape) not in (2, 3):
        raise OpTypeError(f"{op} takes an image, (h, w) or (h, w, c), not {before}")


def wants_uint8_or_float(before: ArrayType, op: str) -> None:
    """Raise OpTypeError unless the type is an image of uint8 or floats."""
    wants_image(before, op)
    if before.dtype != "uint8" and not before.dtype.startswith("float"):
        raise OpTypeError(f"{op} takes uint8 or float images, not {before}")


def resized(before: ArrayType, height: int | None, width: int | None) -> ArrayType:
    """The type with another height and width."""
    return ArrayType(before.dtype, (height, width, *before.shape[2:]))


def check_fill(fill: Any, before: ArrayType, op: str) -> None:
    """Raise OpTypeError if a fill does not fit the channels or the dtype."""
    values = fill if isinstance(fill, Sequence) else (fill,)
    planes = known_channels(before)
    if planes is not None and len(values) not in (1, planes):
        raise OpTypeError(f"{op} fill has {len(values)} values for {planes} channels")
    if before.dtype == "uint8" and any(v != int(v) or not 0 <= v <= 255 for v in values):
        raise OpTypeError(f"{op} fill of a uint8 image is a whole number 0..255")
