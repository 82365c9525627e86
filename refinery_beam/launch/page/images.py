"""Pixels as image files that browsers show."""

from __future__ import annotations

import io
from typing import Any

from refinery_beam.reporting.page import Picture

SIDE = 128
"""The longest side of a picture of a record."""

_LOSSLESS = 64
"""Up to this side a picture is stored as it is: every pixel of it can be made out."""


def picture_of(content: Any, *, side: int = SIDE) -> Picture | None:
    """An array of pixels as a picture of at most `side` pixels a side: 8-bit values as they are, others stretched from their least to their
    greatest. None for content of another kind.
    """
    if getattr(content, "ndim", 0) not in (2, 3) or 0 in content.shape:
        return None
    if content.ndim == 3 and content.shape[2] not in (1, 2, 3, 4):
        return None
    from PIL import Image

    from refinery_beam.plugins.common.canvas import shown

    pixels = shown(content)
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2):
        pixels = pixels[:, :, 0]
    return _file(Image.fromarray(pixels), side)


def picture_in(data: bytes, *, side: int, most: int) -> tuple[Picture, bool] | None:
    """An image file as a picture, and whether it had to be made smaller: it is left as it is where it has at most `most` bytes and browsers
    show its format. None where it is no image.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            if len(data) <= most and image.format in ("PNG", "JPEG"):
                return Picture(f"image/{image.format.lower()}", data, *image.size), False
            image.load()
            for smaller in (side, side // 2, side // 4):
                picture = _file(image.convert("RGB"), smaller)
                if len(picture.data) <= most:
                    return picture, True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass
    return None


def _file(image: Any, side: int) -> Picture:
    image.thumbnail((side, side))
    out = io.BytesIO()
    if max(image.size) <= _LOSSLESS or "A" in image.getbands():
        image.save(out, "PNG")
        return Picture("image/png", out.getvalue(), *image.size)
    image.save(out, "JPEG", quality=85)
    return Picture("image/jpeg", out.getvalue(), *image.size)
