"""Checks images of third-party loaders by the rules of the built-in decoder: the declared mode, 8 bits, within the limits."""

from __future__ import annotations

from typing import Any

from PIL import Image

from refinery_beam.plugins.image_classification.pixels import BYTE_MODES, Pixels, as_image
from refinery_beam.plugins.kind import BadRecord


def held(pixels: Any, *, origin: str, mode: str, max_pixels: int) -> Pixels:
    """A loader's result as a Pillow image of `mode` ('keep': of any mode).

    Raises BadRecord ``too_many_pixels`` and ``unsupported_mode``.
    """
    try:
        image: Image.Image = as_image(pixels)
    except (ValueError, AttributeError) as error:
        raise BadRecord("unsupported_mode", f"the loader of {origin} gave {error}") from error
    if image.width * image.height > max_pixels:
        raise BadRecord("too_many_pixels", f"{image.width} x {image.height}, the limit is {max_pixels}")
    if mode != "keep" and image.mode != mode:
        if image.mode not in BYTE_MODES:
            raise BadRecord("unsupported_mode", f"Pillow mode {image.mode}")
        image = image.convert(mode)
    return image
