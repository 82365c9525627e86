"""Stored bytes: they decode to the same pixels, hold no metadata, and refuse what they cannot hold."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.plugins.image_classification.codecs.encode import EncodeError, encode, tensor_bytes
from refinery_beam.plugins.image_classification.pixels import as_array, as_image
from refinery_beam.testing.images import draw


def picture(mode: str = "RGB") -> Image.Image:
    planes = len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, (20, 10), bytes((i * 7 + (i * i >> 5)) & 255 for i in range(200 * planes)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_png_is_lossless(mode: str) -> None:
    for pixels in (picture(mode), np.asarray(picture(mode))):
        again = Image.open(io.BytesIO(encode(pixels, "png")))
        assert again.mode == mode and again.tobytes() == picture(mode).tobytes()
    assert encode(picture(mode), "png") == encode(np.asarray(picture(mode)), "png")


def chunks(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return found


def test_metadata_is_not_stored() -> None:
    image = picture()
    image.info = {"icc_profile": b"profile" * 9, "comment": b"hello", "dpi": (72, 72), "transparency": (1, 2, 3), "exif": b"Exif\0\0"}
    assert set(chunks(encode(image, "png"))) == {b"IHDR", b"IDAT", b"IEND"}
    assert encode(image, "jpeg") == encode(picture(), "jpeg")
    assert set(Image.open(io.BytesIO(encode(image, "jpeg"))).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert "comment" in image.info


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(mode: str) -> None:
    data = encode(picture(mode), "jpeg", quality=90)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("JPEG", mode, (20, 10))
    assert "progression" not in image.info
    if mode == "RGB":
        assert [part[1:3] for part in image.layer] == [(2, 2), (1, 1), (1, 1)]
    assert encode(picture(mode), "jpeg", quality=50) != data


def test_webp() -> None:
    before = picture()
    data = encode(before, "webp", quality=95)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (20, 10))
    assert set(image.info) <= {"loop", "background", "timestamp", "duration"}
    assert encode(before, "webp", quality=50) != data == encode(before.copy(), "webp", quality=95)
    smooth = draw("circle", 1, size=(64, 48))
    found = np.asarray(Image.open(io.BytesIO(encode(smooth, "webp", quality=95))))
    assert abs(found.astype(int) - np.asarray(smooth)).mean() < 6


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int16", ">f4"])
def test_tensor_bytes(dtype: str) -> None:
    array = np.arange(24).reshape(2, 4, 3).astype(dtype)
    little = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert tensor_bytes(array) == little
    assert tensor_bytes(array.transpose(1, 0, 2)) == array.transpose(1, 0, 2).astype(array.dtype.newbyteorder("<")).tobytes()
    assert encode(picture(), "tensor") == np.asarray(picture()).tobytes()


@pytest.mark.parametrize(
    ("pixels", "encoding", "words"),
    [
        (np.zeros((2, 2, 3), np.float32), "png", r"png holds uint8 images of 1, 2, 3, 4 channels, not float32\[2, 2, 3\]"),
        (np.zeros((2, 2, 4), np.uint8), "jpeg", r"jpeg holds uint8 images of 1, 3 channels, not uint8\[2, 2, 4\]"),
        (Image.new("F", (2, 2)), "png", "not Pillow mode F"),
        (picture(), "bmp", "no encoder for 'bmp'; known: tensor, png, jpeg, webp"),
        (np.zeros((2, 2), np.uint8), "webp", r"webp holds uint8 images of 3 channels"),
        (Image.new("RGB", (16_384, 1)), "webp", "at most 16383 pixels a side"),
    ],
)
def test_what_an_encoding_cannot_hold(pixels: Any, encoding: str, words: str) -> None:
    with pytest.raises(EncodeError, match=words):
        encode(pixels, encoding)


@pytest.mark.parametrize("quality", [0, 101])
def test_quality_has_a_range(quality: int) -> None:
    with pytest.raises(EncodeError, match=r"1\.\.100"):
        encode(picture(), "jpeg", quality=quality)
    with pytest.raises(EncodeError, match=r"webp quality is 1\.\.100"):
        encode(picture(), "webp", quality=quality)


@pytest.mark.parametrize(("mode", "dtype"), [("I;16", "uint16"), ("I", "int32"), ("F", "float32"), ("L", "uint8"), ("RGBA", "uint8")])
def test_arrays_of_every_mode(mode: str, dtype: str) -> None:
    assert as_array(Image.new(mode, (3, 2))).dtype == dtype
    assert as_array(Image.new(mode, (3, 2))).shape[:2] == (2, 3)


def test_images_of_arrays() -> None:
    array = np.zeros((2, 3, 3), np.uint8)
    image = as_image(array)
    array[:] = 9
    assert image.getpixel((0, 0)) == (0, 0, 0)
    with pytest.raises(ValueError, match=r"uint8 images of one to four channels, not float32\[2, 2\]"):
        as_image(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="mode F"):
        as_image(Image.new("F", (2, 2)))
    with pytest.raises(ValueError, match="an image is"):
        as_array(np.zeros(3))
