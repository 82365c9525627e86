"""unsharp_mask: what a blur takes away is added again, in integer arithmetic, so that every machine gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from refinery_beam.plugins.base import ArrayType, Extension, OpSpec, OpTypeError, Params
from refinery_beam.plugins.image_classification.pixels import as_array


class UnsharpMaskParams(Params):
    """Parameters of unsharp_mask."""

    radius: int = Field(default=1, ge=1, le=16, description="How far the blur reaches: a box of 2 * radius + 1 pixels a side.")
    percent: int = Field(default=100, ge=0, le=500, description="How much of the difference is added, in percent.")


class UnsharpMask:
    """pixel + percent / 100 * (pixel - box mean), rounded half up, held within 0..255. The border pixel is repeated outwards."""

    spec = OpSpec(
        name="unsharp_mask",
        section="Transformations",
        version=1,
        params=UnsharpMaskParams,
        summary="Sharpen by adding the difference to a blurred copy.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: UnsharpMaskParams) -> ArrayType:
        """The type it meets, which is uint8."""
        if before.dtype != "uint8":
            raise OpTypeError("unsharp_mask takes uint8 images")
        return before

    def apply(self, pixels: Any, params: UnsharpMaskParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Any:
        """A new array."""
        import numpy as np

        array = as_array(pixels).astype(np.int64)
        side, r = 2 * params.radius + 1, params.radius
        padded = np.pad(array, ((r + 1, r), (r + 1, r), *[(0, 0)] * (array.ndim - 2)), mode="edge")
        # Sums over boxes by running totals: the cost does not grow with the radius. The first row and column are only there to subtract.
        total = padded.cumsum(axis=0).cumsum(axis=1)
        boxes = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        area = side * side
        unit = 100 * area
        sharp = (2 * (unit * array + params.percent * (area * array - boxes)) + unit) // (2 * unit)
        return np.clip(sharp, 0, 255).astype(np.uint8)


PLUGIN = Extension(name="unsharp", version=1, ops=[UnsharpMask()])
