"""Pixels from a third-party loader, held to what the built-in decoder gives: the declared mode, 8 bits, within the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from refinery_beam.plugins.image_classification.pixels import BYTE_MODES, BadImage, Pixels, as_image

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Loader


def decode_loaded(loader: Loader, data: bytes, *, mode: str, max_pixels: int) -> Pixels:
    """The image a loader makes of a file's bytes, as a Pillow image of `mode` ('keep': as it comes).

    Raises BadImage: the loader's own, ``damaged`` for a ValueError or OSError, ``too_many_pixels``, ``unsupported_mode``.
    """
    try:
        pixels: Any = loader.decode(data, mode=mode)
    except BadImage:
        raise
    except (ValueError, OSError) as error:
        raise BadImage("damaged", f"{type(error).__name__}: {error}") from error
    try:
        image: Image.Image = as_image(pixels)
    except (ValueError, AttributeError) as error:
        raise BadImage("unsupported_mode", f"the loader of {loader.source_type} gave {error}") from error
    if image.width * image.height > max_pixels:
        raise BadImage("too_many_pixels", f"{image.width} x {image.height}, the limit is {max_pixels}")
    if mode != "keep" and image.mode != mode:
        if image.mode not in BYTE_MODES:
            raise BadImage("unsupported_mode", f"Pillow mode {image.mode}")
        image = image.convert(mode)
    return image
