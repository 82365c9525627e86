"""Pixels as decoded to the colour mode of a policy; the table is in `codecs.decode`."""

from __future__ import annotations

import sys

from PIL import Image

from refinery_beam.plugins.image_classification.codecs.words import words_of
from refinery_beam.plugins.image_classification.policy import DecodePolicy
from refinery_beam.plugins.kind import BadRecord

SIXTEEN = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})
"""The Pillow modes of one channel of more than 8 bits."""


def coloured(image: Image.Image, policy: DecodePolicy) -> Image.Image:
    """The image in the mode that the policy names. Raises BadRecord ``unsupported_mode``."""
    mode, want = image.mode, policy.mode
    if mode == want and (mode == "RGBA" or "transparency" not in image.info):
        return image
    if want == "keep":
        return _kept(image)
    if mode in SIXTEEN:
        image = _high_bytes(image)
    elif mode == "LAB":
        image = _from_lab(image)
    elif mode in ("CMYK", "YCbCr", "HSV"):
        image = image.convert("RGB")
    elif mode == "1" or mode == "P" or mode == "PA" or "transparency" in image.info:
        image = _expanded(image, alpha=want == "RGBA" or policy.alpha != "drop")
    if image.mode in ("LA", "RGBA") and want != "RGBA":
        image = _flattened(image, policy.alpha)
    return image if image.mode == want else image.convert(want)


def _kept(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in ("P", "PA", "1"):
        return _expanded(image, alpha=mode != "1")
    if mode in ("CMYK", "YCbCr", "HSV"):
        return image.convert("RGB")
    if mode == "LAB":
        return _from_lab(image)
    if mode in SIXTEEN - {"I", "I;16"}:
        return Image.frombytes("I;16", image.size, image.tobytes(), "raw", mode)
    return image


def _expanded(image: Image.Image, *, alpha: bool) -> Image.Image:
    """Palette, 1-bit and colour-keyed images as L, RGB or, if `alpha` and they have any transparency, RGBA."""
    if alpha and image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB"):
        return image
    image = image.copy()
    image.info = {}
    return image.convert("L" if image.mode == "1" else "RGB")


def _flattened(image: Image.Image, alpha: str) -> Image.Image:
    plain = image.mode[:-1]
    if alpha == "drop":
        return image.convert("RGB") if plain == "RGB" else image.getchannel("L")
    level = 255 if alpha == "white" else 0
    ground = Image.new(plain, image.size, level if plain == "L" else (level, level, level))
    ground.paste(image if plain == "RGB" else image.getchannel("L"), (0, 0), image.getchannel("A"))
    return ground


def _high_bytes(image: Image.Image) -> Image.Image:
    raw = image.tobytes()
    if image.mode == "I":
        # 4 bytes a value, in the machine's order.
        high, rest = (1, (2, 3)) if sys.byteorder == "little" else (2, (1, 0))
        if any(any(raw[channel::4]) for channel in rest):
            raise BadRecord("unsupported_mode", "32-bit integer pixels beyond 0..65535, which have no agreed 8-bit form")
        return Image.frombytes("L", image.size, raw[high::4])
    big = image.mode == "I;16B" or (image.mode == "I;16N" and sys.byteorder == "big")
    return Image.frombytes("L", image.size, raw[0 if big else 1 :: 2])


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    try:
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        done = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    except Exception as error:
        raise BadRecord("unsupported_mode", f"LAB colours need LittleCMS: {words_of(error)}") from error
    assert done is not None
    return done
