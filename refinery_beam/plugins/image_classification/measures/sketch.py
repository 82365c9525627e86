"""The sketch of an image: its colours or its greys in at most 128 pixels a side.

Each pixel of a sketch is the mean of a square of k x k pixels (fewer at the right and lower border), rounded to 8 bits; k is the least
whole number that brings the longer side to 128 pixels. Of an image of more than 384 pixels a side only every s-th pixel of every s-th row
counts, with s the least whole number that leaves at most 256 a side: so a sketch costs little, however large the image. It is Pillow's
``Image.resize`` by a whole number and its ``Image.reduce``, which calculate exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from refinery_beam.plugins.image_classification.pixels import Pixels, as_image
from refinery_beam.plugins.image_classification.policy import DecodePolicy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIDE = 128
"""The longest side of a sketch, in pixels."""


class Sketched(NamedTuple):
    """A picture, and the means of its squares of 2 x 2 pixels where it has more than 64 a side. Both are (h, w) or (h, w, 3)."""

    picture: npt.NDArray[np.uint8]
    small: npt.NDArray[np.uint8]


_SIXTEEN = ("I;16", "I")


def sketch(pixels: Pixels, policy: DecodePolicy) -> Sketched | None:
    """The sketch of pixels; it shares no memory with them. Alpha is laid over white.

    Samples of 16 bits, which ``mode: keep`` leaves as they are, count by their high byte, or by the upper 8 of the ``bits`` that the policy
    states. None for floats and for samples beyond 16 bits, which have no agreed form in 8.

    >>> sketch(Image.new("RGB", (500, 375), (9, 9, 9)), DecodePolicy()).picture.shape
    (94, 125, 3)
    """
    import numpy as np

    image = pixels if isinstance(pixels, Image.Image) else as_image(pixels)
    plain = _plain(_sampled(image), policy.bits)
    if plain is None:
        return None
    picture = _reduced_to(plain, SIDE)
    small = _reduced_to(picture, SIDE // 2)
    array = np.asarray(picture)
    return Sketched(array, array if small is picture else np.asarray(small))


def _reduced_to(image: Image.Image, side: int) -> Image.Image:
    """The means of k x k pixels, with k the least that leaves at most `side` pixels; the image itself where it is that small."""
    factor = -(-max(image.size) // side)
    return image.reduce(factor) if factor > 1 else image


def _sampled(image: Image.Image) -> Image.Image:
    """The middle pixel of every s of the middle row of every s. What is left over at the right and below does not count."""
    if max(image.size) <= 3 * SIDE:
        return image
    step = -(-max(image.size) // (2 * SIDE))
    width, height = (max(1, side // step) for side in image.size)
    # A box of whole steps: Pillow then goes on by a whole number, so no fraction is rounded.
    box = (0, 0, width * min(step, image.width), height * min(step, image.height))
    return image.resize((width, height), Image.Resampling.NEAREST, box=box)


def _plain(image: Image.Image, bits: int | None) -> Image.Image | None:
    """The image as mode L or RGB."""
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
