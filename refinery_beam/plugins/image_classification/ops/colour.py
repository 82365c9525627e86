"""Ops that change what the channels mean: to_grayscale, to_rgb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from PIL import Image
from pydantic import Field

from refinery_beam.plugins.image_classification.ops.sizes import known_channels, wants_uint8_or_float
from refinery_beam.plugins.image_classification.pixels import Pixels, as_array, as_image, channels, is_bytes
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import ArrayType, OpSpec, OpTypeError, Params


class ToGrayscaleParams(Params):
    """Parameters of to_grayscale."""

    channels: Literal[1, 3] = Field(default=1, description="1: images (h, w). 3: the grey value in each of three channels, (h, w, 3).")


class ToRgbParams(Params):
    """to_rgb has no parameters."""


class ToGrayscale:
    """ITU-R 601 luma. uint8: Pillow's integer form, (19595 R + 38470 G + 7471 B + 32768) >> 16. Floats: (0.299 R + 0.587 G) + 0.114 B
    in float64, rounded once to the image's dtype. An alpha channel is dropped; grey images stay as they are.
    """

    spec = OpSpec(
        name="to_grayscale",
        section="Transformations",
        version=1,
        params=ToGrayscaleParams,
        summary="Turn colours into their luma.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: ToGrayscaleParams) -> ArrayType:
        """(h, w), or (h, w, 3)."""
        wants_uint8_or_float(before, "to_grayscale")
        if before.dtype != "uint8" and known_channels(before) not in (1, 3, 4, None):
            raise OpTypeError(f"to_grayscale takes 1, 3 or 4 channels, not {before}")
        return ArrayType(before.dtype, before.shape[:2] if params.channels == 1 else (*before.shape[:2], 3))

    def apply(self, pixels: Pixels, params: ToGrayscaleParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """The grey image."""
        if is_bytes(pixels):
            image = _byte_image(pixels, "to_grayscale")
            grey = image.getchannel("L") if image.mode == "LA" else image if image.mode == "L" else _opaque(image).convert("L")
            return grey if params.channels == 1 else grey.convert("RGB")
        import numpy as np

        array = as_array(pixels)
        planes = channels(array)
        if planes == 1:
            luma = array.reshape(array.shape[:2])
        elif planes in (3, 4):
            red, green, blue = (array[:, :, i].astype(np.float64) for i in range(3))
            luma = ((0.299 * red + 0.587 * green) + 0.114 * blue).astype(array.dtype)
        else:
            raise BadRecord("unsupported_mode", f"to_grayscale takes 1, 3 or 4 channels, not {planes}")
        return luma if params.channels == 1 else np.repeat(luma[:, :, None], 3, axis=2)


class ToRgb:
    """Three channels: grey is replicated; RGBA and LA images (uint8) are laid over white, each channel rounded half up; RGB stays as it
    is.
    """

    spec = OpSpec(
        name="to_rgb",
        section="Transformations",
        version=1,
        params=ToRgbParams,
        summary="Give every image three colour channels.",
        pixel_altering=True,
    )

    def infer(self, before: ArrayType, params: ToRgbParams) -> ArrayType:
        """(h, w, 3)."""
        wants_uint8_or_float(before, "to_rgb")
        planes = known_channels(before)
        if planes is not None and planes not in ((1, 2, 3, 4) if before.dtype == "uint8" else (1, 3)):
            raise OpTypeError(f"to_rgb takes grey, RGB or (uint8) RGBA images, not {before}")
        return ArrayType(before.dtype, (*before.shape[:2], 3))

    def apply(self, pixels: Pixels, params: ToRgbParams, fitted: Mapping[str, Any] | None, out: ArrayType) -> Pixels:
        """The RGB image."""
        if is_bytes(pixels):
            image = _byte_image(pixels, "to_rgb")
            if image.mode in ("LA", "RGBA"):
                ground = Image.new("RGB", image.size, (255, 255, 255))
                ground.paste(image.convert("RGB"), (0, 0), image.getchannel("A"))
                return ground
            return image if image.mode == "RGB" else image.convert("RGB")
        import numpy as np

        array = as_array(pixels)
        planes = channels(array)
        if planes == 3:
            return array
        if planes != 1:
            raise BadRecord("unsupported_mode", f"to_rgb takes float images of 1 or 3 channels, not {planes}")
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)


def _byte_image(pixels: Pixels, op: str) -> Image.Image:
    if channels(pixels) > 4:
        raise BadRecord("unsupported_mode", f"{op} takes images of one to four channels, not {channels(pixels)}")
    return as_image(pixels)


def _opaque(image: Image.Image) -> Image.Image:
    return image.convert("RGB") if image.mode == "RGBA" else image
