"""EXIF and XMP orientation: as Pillow's exif_transpose where metadata is sound, no turn where it is not."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from refinery_beam.plugins.image_classification.codecs.decode import decode, read_header
from refinery_beam.plugins.image_classification.codecs.orient import exif_orientation, orientation_of
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy

LIMITS = DecodeLimits()
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
PICTURE = Image.frombytes("RGB", (24, 16), bytes((i * 11 + (i * i >> 4)) & 255 for i in range(24 * 16 * 3)))


def exif(value: int, order: str = ">", kind: int = 3, count: int = 1) -> bytes:
    head = b"MM\0*" if order == ">" else b"II*\0"
    size = {1: "B", 3: "H", 4: "I"}[kind]
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + struct.pack(order + size, value).ljust(4, b"\0")
    return head + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"


def saved(form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, form, **options)
    return file.getvalue()


def pixels(data: bytes, **policy: Any) -> np.ndarray:
    return np.asarray(decode(data, policy=DecodePolicy(**policy), limits=LIMITS))


def upright(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_in_every_format(form: str, value: int) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    tag = Image.Exif()
    tag[0x0112] = value
    plain, data = saved(form, **options), saved(form, exif=tag, **options)
    found = pixels(data)
    assert np.array_equal(found, upright(data))
    assert found.shape[:2] == ((24, 16) if value >= 5 else (16, 24))
    assert np.array_equal(pixels(data, exif="ignore"), pixels(plain))
    for policy in (DecodePolicy(), DecodePolicy(exif="ignore")):
        assert read_header(data, policy=policy, limits=LIMITS) == decode(data, policy=policy, limits=LIMITS).size


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_either_byte_order_and_every_integer_type(order: str, kind: int) -> None:
    if kind == 1 or order == "<" or kind == 4:
        assert exif_orientation(exif(6, order, kind)) == 6
    assert exif_orientation(b"Exif\0\0" + exif(6, order, kind)) == 6


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"Exif\0\0",
        b"garbage",
        exif(6)[:18],
        exif(0),
        exif(9),
        exif(6, count=2),
        b"MM\0*\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\0" * 30,
    ],
)
def test_malformed_means_no_turn(blob: bytes) -> None:
    assert orientation_of({"exif": blob}) == 1
    data = saved("JPEG", exif=b"Exif\0\0" + blob)
    assert np.array_equal(pixels(data), pixels(saved("JPEG")))


def test_a_directory_cut_after_the_orientation_still_says_it() -> None:
    assert exif_orientation(exif(6)[:8] + b"\0\x09" + exif(6)[10:]) == 6


def png_with_late_exif() -> bytes:
    data = saved("PNG")
    chunk = exif(6)
    late = len(chunk).to_bytes(4, "big") + b"eXIf" + chunk + zlib.crc32(b"eXIf" + chunk).to_bytes(4, "big")
    return data[:-12] + late + data[-12:]


def test_png_orientation_after_the_pixels() -> None:
    data = png_with_late_exif()
    assert pixels(data).shape == (24, 16, 3)
    assert np.array_equal(pixels(data), np.asarray(PICTURE.transpose(Image.Transpose.ROTATE_270)))
    assert read_header(data, policy=DecodePolicy(), limits=LIMITS) == (16, 24)


def test_png_raw_profile() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n      42\n" + (b"Exif\0\0" + exif(8)).hex())
    data = saved("PNG", pnginfo=text)
    assert np.array_equal(pixels(data), upright(data)) and pixels(data).shape == (24, 16, 3)
    broken = PngImagePlugin.PngInfo()
    broken.add_text("Raw profile type exif", "\nexif\n      42\nnot hexadecimal")
    assert pixels(saved("PNG", pnginfo=broken)).shape == (16, 24, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("text", ['<x tiff:Orientation="6"/>', "<tiff:Orientation>6</tiff:Orientation>"])
def test_xmp_where_exif_says_nothing(form: str, text: str) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", text)
        options["pnginfo"] = info
    else:
        options["xmp"] = text.encode()
    data = saved(form, **options)
    assert pixels(data).shape == (24, 16, 3) and np.array_equal(pixels(data), upright(data))
    both = saved(form, **{**options, "exif": exif(3) if form != "JPEG" else b"Exif\0\0" + exif(3)})
    assert pixels(both).shape == (16, 24, 3) and np.array_equal(pixels(both), upright(both))


def test_draft_sizes_are_upright() -> None:
    file = io.BytesIO()
    PICTURE.resize((400, 200)).save(file, "JPEG", exif=b"Exif\0\0" + exif(6))
    image = decode(file.getvalue(), policy=DecodePolicy(draft=True), limits=LIMITS, target=(50, 100))
    assert image.size == (50, 100)
