"""Between Pillow and NumPy: the two forms an image takes on its way, and when each is meant.

A Pillow image of mode L, LA, RGB or RGBA is a uint8 array (h, w), (h, w, 2), (h, w, 3) or (h, w, 4); modes I;16, I and F are uint16,
int32 and float32 arrays (h, w). Ops take either form and give whichever is cheaper; no op changes its argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from refinery_beam.plugins.kind import BadRecord

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
Pixels: TypeAlias = "Image.Image | np.ndarray[Any, Any]"

BYTE_MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_MODES = {planes: mode for mode, planes in BYTE_MODES.items()}


BadImage = BadRecord
"""The older name of `BadRecord`, kept for one release."""


def as_array(pixels: Pixels) -> Array:
    """The image as a C-contiguous array, (h, w) or (h, w, c); possibly read-only, so copy before writing.

    >>> as_array(Image.new("RGB", (4, 2))).shape
    (2, 4, 3)
    """
    import numpy as np

    array: Array = np.ascontiguousarray(pixels)
    if array.ndim not in (2, 3):
        raise ValueError(f"an image is (h, w) or (h, w, c), not {list(array.shape)}")
    return array


def as_image(pixels: Pixels) -> Image.Image:
    """The image as a Pillow one, of uint8 values only: (h, w) and (h, w, 1) become L, two to four channels LA, RGB, RGBA.

    >>> import numpy as np
    >>> as_image(np.zeros((2, 4, 1), np.uint8)).mode
    'L'
    """
    if isinstance(pixels, Image.Image):
        if pixels.mode not in BYTE_MODES:
            raise ValueError(f"an 8-bit image is wanted, not Pillow mode {pixels.mode}")
        return pixels
    planes = channels(pixels)
    if str(pixels.dtype) != "uint8" or planes not in _MODES:
        raise ValueError(f"Pillow holds uint8 images of one to four channels, not {pixels.dtype}{list(pixels.shape)}")
    array = as_array(pixels)
    # frombytes copies, so the image never shares memory with an array its owner may write to.
    return Image.frombytes(_MODES[planes], (array.shape[1], array.shape[0]), array.tobytes())


def channels(pixels: Pixels) -> int:
    """How many channels an image has; a grey one, (h, w) or (h, w, 1), has one.

    >>> channels(Image.new("RGBA", (1, 1))), channels(Image.new("L", (1, 1)))
    (4, 1)
    """
    if isinstance(pixels, Image.Image):
        return len(pixels.getbands())
    return 1 if pixels.ndim == 2 else int(pixels.shape[2])


def size_of(pixels: Pixels) -> tuple[int, int]:
    """(height, width).

    >>> size_of(Image.new("L", (4, 2)))
    (2, 4)
    """
    if isinstance(pixels, Image.Image):
        return pixels.height, pixels.width
    return int(pixels.shape[0]), int(pixels.shape[1])


def is_bytes(pixels: Pixels) -> bool:
    """Whether the values are uint8."""
    if isinstance(pixels, Image.Image):
        return pixels.mode in BYTE_MODES
    return str(pixels.dtype) == "uint8"


def through_pillow(pixels: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    """The image after a change of size that only Pillow can make.

    uint8 images of one to four channels go as they are; other arrays go channel by channel as Pillow mode F (32-bit floats) and come
    back in their own dtype. The rank is kept: (h, w, 1) stays (h, w, 1).
    """
    if isinstance(pixels, Image.Image) and pixels.mode in BYTE_MODES:
        return change(pixels)
    array = as_array(pixels)
    if array.ndim == 2 and is_bytes(array):
        return change(as_image(array))
    if array.ndim == 3 and is_bytes(array) and 2 <= array.shape[2] <= 4:
        return change(as_image(array))
    import numpy as np

    kind = np.uint8 if is_bytes(array) else np.float32
    planes = array[:, :, None] if array.ndim == 2 else array
    done = [np.asarray(change(Image.fromarray(np.ascontiguousarray(planes[:, :, i], kind)))) for i in range(planes.shape[2])]
    stacked = np.stack(done, axis=2).astype(array.dtype, copy=False)
    return np.ascontiguousarray(stacked[:, :, 0]) if array.ndim == 2 else stacked
