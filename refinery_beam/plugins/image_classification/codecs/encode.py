"""Encodes pixels as stored bytes: raw tensors, PNG, JPEG, WebP. Stores no profile, comment, date or other metadata.

PNG uses zlib level 1: on photographs of 224 x 224, Pillow's own choice, level 6, took four times as long and saved an eighth of the
bytes. The level shapes the stored bytes, so it is fixed here and no option. JPEG is baseline with 4:2:0 chroma, as in most files,
and the standard Huffman tables: 4:4:4 is a fifth larger, and tables made for each image take twice the time to save a twentieth. WebP is
lossy at Pillow's own effort (method 4), and only for three channels: it would drop the alpha channel of an opaque image and turn grey
into colour.
"""

from __future__ import annotations

import io
from typing import Literal, TypeAlias

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from refinery_beam.plugins.image_classification.pixels import BYTE_MODES, Pixels, as_array, as_image, channels, is_bytes

Encoding: TypeAlias = Literal["tensor", "png", "jpeg", "webp"]

PNG_LEVEL = 1
TAKES = {"png": (1, 2, 3, 4), "jpeg": (1, 3), "webp": (3,)}
"""The numbers of channels that each format can store."""
_MOST = {"jpeg": 65_535, "webp": 16_383}
"""The longest side a format can state."""
_PLUGINS = (JpegImagePlugin, PngImagePlugin, WebPImagePlugin)


class EncodeError(ValueError):
    """Pixels that an encoding cannot store; the message says which ones it can."""


class TooLong(EncodeError):
    """An image with more pixels a side than the encoding can state."""


def encode(pixels: Pixels, encoding: str, *, quality: int = 90) -> bytes:
    """The image in an encoding: 'tensor' (any dtype, raw C-order bytes), 'png' (uint8, 1 to 4 channels), 'jpeg' (uint8, 1 or 3
    channels) or 'webp' (uint8, 3 channels).

    `quality` 1..100 is that of JPEG and WebP. Raises EncodeError.

    >>> encode(Image.new("L", (2, 1), 7), "tensor")
    b'\\x07\\x07'
    >>> encode(Image.new("RGB", (2, 1)), "png")[1:4]
    b'PNG'
    """
    if encoding == "tensor":
        return tensor_bytes(pixels)
    if encoding not in TAKES:
        raise EncodeError(f"no encoder for {encoding!r}; known: tensor, png, jpeg, webp")
    if not is_bytes(pixels) or channels(pixels) not in TAKES[encoding]:
        planes = ", ".join(map(str, TAKES[encoding]))
        raise EncodeError(f"{encoding} holds uint8 images of {planes} channels, not {_said(pixels)}")
    image = as_image(pixels)
    if image.info:
        image = image.copy()
        image.info = {}
    file = io.BytesIO()
    if encoding == "png":
        image.save(file, "PNG", compress_level=PNG_LEVEL)
        return file.getvalue()
    if not 1 <= quality <= 100:
        raise EncodeError(f"{encoding} quality is 1..100, not {quality}")
    if max(image.size) > _MOST[encoding]:
        raise TooLong(f"{encoding} holds at most {_MOST[encoding]} pixels a side, not {image.width} x {image.height}")
    if encoding == "jpeg":
        image.save(file, "JPEG", quality=quality, subsampling="4:2:0", optimize=False, progressive=False)
    else:
        image.save(file, "WEBP", quality=quality, lossless=False, method=4)
    return file.getvalue()


def tensor_bytes(pixels: Pixels) -> bytes:
    """The values in C order, row by row, channels together; little-endian.

    >>> len(tensor_bytes(Image.new("RGB", (4, 2))))
    24
    """
    if isinstance(pixels, Image.Image) and pixels.mode in BYTE_MODES:
        return pixels.tobytes()
    array = as_array(pixels)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _said(pixels: Pixels) -> str:
    if isinstance(pixels, Image.Image):
        return f"Pillow mode {pixels.mode}"
    return f"{pixels.dtype}{list(pixels.shape)}"
