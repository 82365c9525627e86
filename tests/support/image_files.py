"""Image files made in memory, and what becomes of them: pixels, or the reason why not."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.decode import decode
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy

POLICY, LIMITS = DecodePolicy(), DecodeLimits()
REASONS = {
    "truncated",
    "damaged",
    "not_an_image",
    "empty_file",
    "too_many_pixels",
    "too_large_file",
    "unsupported_mode",
    "unsupported_format",
}


def picture(mode: str = "RGB", width: int = 40, height: int = 30) -> Image.Image:
    planes = len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, (width, height), bytes((i * 7 + (i * i >> 5)) & 255 for i in range(width * height * planes)))


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def reason(data: bytes, policy: DecodePolicy = POLICY, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(BadRecord) as caught:
        decode(data, policy=policy, limits=limits)
    assert caught.value.reason in REASONS
    assert caught.value.detail and "0x" not in caught.value.detail and " object at " not in caught.value.detail
    return caught.value.reason


def pixels(data: bytes, **policy: Any) -> np.ndarray:
    return np.asarray(decode(data, policy=DecodePolicy(**policy), limits=LIMITS))


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2) -> bytes:
    """A PNG put together by hand."""
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    parts = [len(d).to_bytes(4, "big") + k + d + zlib.crc32(k + d).to_bytes(4, "big") for k, d in (head, *chunks, (b"IEND", b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


FILES = {
    "jpeg": saved(picture(), "JPEG"),
    "progressive": saved(picture(), "JPEG", progressive=True),
    "png": saved(picture(), "PNG"),
    "gif": saved(picture().quantize(64), "GIF"),
    "webp": saved(picture(), "WEBP"),
    "webp-lossless": saved(picture(), "WEBP", lossless=True),
    "bmp": saved(picture(), "BMP"),
    "tiff": saved(picture(), "TIFF"),
    "tiff-lzw": saved(picture(), "TIFF", compression="tiff_lzw"),
}
