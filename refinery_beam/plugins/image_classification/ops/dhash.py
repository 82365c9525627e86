"""A 64-bit hash of the differences between neighbouring cells of an image."""

from __future__ import annotations

from PIL import Image

from refinery_beam.plugins.image_classification.pixels import Pixels, as_image


def dhash(pixels: Pixels) -> int:
    """The dHash of a uint8 image, in [0, 2**64): whether each of 8 x 8 cells is brighter than the one to its right, row by row.

    >>> dhash(Image.linear_gradient("L").rotate(90))
    0
    """
    import numpy as np

    image = as_image(pixels)
    grey = image if image.mode == "L" else image.convert("L")
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR))
    value = 0
    for bit in (cells[:, :-1] > cells[:, 1:]).reshape(-1):
        value = value << 1 | int(bit)
    return value
