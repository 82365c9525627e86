"""The sketch of an image: its colours or its greys, box-reduced to at most 128 pixels a side.

Each pixel of a sketch is the mean of a square of k x k pixels (fewer at the right and lower border), rounded to 8 bits; k is the least
whole number that brings the longer side to 128 pixels. It is Pillow's ``Image.reduce``, which calculates in integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from refinery_beam.plugins.image_classification.pixels import Pixels, as_image
from refinery_beam.plugins.image_classification.policy import DecodePolicy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Sketched: TypeAlias = "npt.NDArray[np.uint8]"

SIDE = 128
"""The longest side of a sketch, in pixels."""

_SIXTEEN = ("I;16", "I")


def sketch(pixels: Pixels, policy: DecodePolicy) -> Sketched | None:
    """uint8 (h, w) of a grey image, (h, w, 3) of a coloured one. Alpha is laid over white.

    Samples of 16 bits, which ``mode: keep`` leaves as they are, count by their high byte, or by the upper 8 of the ``bits`` that the policy
    states. None for floats and for samples beyond 16 bits, which have no agreed form in 8.

    >>> sketch(Image.new("RGB", (500, 375), (9, 9, 9)), DecodePolicy()).shape
    (94, 125, 3)
    """
    import numpy as np

    image = _plain(pixels, policy.bits)
    if image is None:
        return None
    factor = -(-max(image.size) // SIDE)
    return np.asarray(image.reduce(factor) if factor > 1 else image).copy()


def _plain(pixels: Any, bits: int | None) -> Image.Image | None:
    """The image as mode L or RGB."""
    if not isinstance(pixels, Image.Image):
        pixels = as_image(pixels)
    image: Image.Image = pixels
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in ("LA", "RGBA"):
        plain = image.mode[:-1]
        ground = Image.new(plain, image.size, 255 if plain == "L" else (255, 255, 255))
        ground.paste(image.convert(plain) if plain == "RGB" else image.getchannel("L"), (0, 0), image.getchannel("A"))
        return ground
    if image.mode not in _SIXTEEN:
        return None
    import numpy as np

    array = np.asarray(image)
    if image.mode == "I" and (array.min() < 0 or array.max() > 0xFFFF):
        return None
    return Image.fromarray((array >> ((bits or 16) - 8)).astype(np.uint8))
