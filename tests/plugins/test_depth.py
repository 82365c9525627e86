"""Samples of more than 8 bits, and the bands of TIFF files."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.decode import decode
from refinery_beam.plugins.image_classification.codecs.remarks import remarks
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy
from refinery_beam.plugins.notes import Note, Noted, Tally, add_notes, noting
from support.damaged_files import saved, tiff

LIMITS = DecodeLimits()


def pixels(data: bytes, **policy: Any) -> np.ndarray:
    return np.asarray(decode(data, policy=DecodePolicy(**policy), limits=LIMITS))


def refusal(data: bytes, **policy: Any) -> str:
    with pytest.raises(BadRecord) as caught:
        pixels(data, **policy)
    return str(caught.value)


def ramp(bits: int) -> np.ndarray:
    return np.linspace(0, (1 << bits) - 1, 40 * 30).astype(np.uint16).reshape(30, 40)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_declared_bits_are_shifted_to_eight(bits: int, form: str) -> None:
    values = ramp(bits)
    data = saved(Image.fromarray(values), form)
    wanted = (values >> (bits - 8)).astype(np.uint8)
    assert wanted.max() == 255
    assert np.array_equal(pixels(data, mode="L", bits=bits), wanted)
    assert np.array_equal(pixels(data, bits=bits)[..., 1], wanted)
    assert np.array_equal(pixels(data, mode="keep", bits=bits), values)
    if bits < 16:
        over = values.copy()
        over[3, 4] = 1 << bits
        for mode in ("L", "keep"):
            said = refusal(saved(Image.fromarray(over), form), mode=mode, bits=bits)
            assert said == f"unsupported_mode: samples from 0 to {1 << bits}; Input.decode.bits: {bits} says 0 to {(1 << bits) - 1}"


@pytest.mark.parametrize("bits", [12, 16])
def test_other_forms_of_the_samples_are_the_same(bits: int) -> None:
    values = ramp(bits)
    big = saved(Image.frombytes("I;16B", (40, 30), values.astype(">u2").tobytes()), "TIFF")
    wide = saved(Image.fromarray(values.astype(np.int32)), "TIFF")
    if bits == 12:
        assert np.array_equal(pixels(big, mode="L", bits=bits), values >> 4)
    assert np.array_equal(pixels(big, mode="L", bits=16), values >> 8)
    assert np.array_equal(pixels(wide, mode="L", bits=bits), values >> (bits - 8))
    short = tiff_of(values, form=2)
    if bits == 12:
        assert np.array_equal(pixels(short, mode="L", bits=bits), values >> 4)
        assert refusal(tiff_of(values.astype(np.int16) - 1, form=2), bits=bits).startswith("unsupported_mode: samples from -1 to 4094")
    else:
        assert refusal(short, bits=bits).startswith("unsupported_mode: samples from -")
    assert np.array_equal(pixels(wide, mode="keep"), values)


def test_eight_bit_files_are_not_touched_by_declared_bits() -> None:
    grey = Image.fromarray((ramp(16) >> 8).astype(np.uint8))
    assert np.array_equal(pixels(saved(grey, "PNG"), mode="L", bits=12), np.asarray(grey))


def test_colours_of_sixteen_bits_have_no_declared_bits() -> None:
    head = struct.pack(">IIBBBBB", 4, 2, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress((b"\0" + bytes(range(24))) * 2)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    data = b"\x89PNG\r\n\x1a\n" + body
    assert pixels(data).shape == (2, 4, 3)
    assert refusal(data, bits=12) == "unsupported_mode: png: colours of 16 bits; Input.decode.bits holds for images of one band"


def test_samples_that_do_not_fill_sixteen_bits_leave_a_note() -> None:
    for values, notes in (
        (ramp(16), [Note("sixteen_bits")]),
        (ramp(12), [Note("sixteen_bits"), Note("low_bits", 4095)]),
    ):
        data = saved(Image.fromarray(values), "PNG")
        with noting() as found:
            pixels(data)
        assert found == notes
        with noting() as found:
            pixels(data, mode="keep")
            pixels(data, bits=16)
        assert found == []


def test_the_remark_says_what_to_write() -> None:
    tally: Tally = {}
    add_notes(tally, "p/b.png", [Note("sixteen_bits"), Note("low_bits", 4000)])
    add_notes(tally, "p/a.png", [Note("sixteen_bits"), Note("low_bits", 900)])
    add_notes(tally, "p/c.png", [Note("sixteen_bits")])
    assert tally["low_bits"] == Noted(2, 4000, "p/a.png")
    assert remarks(tally) == [
        (
            "low-bits",
            "2 files of 3 with samples of 16 bits have none above 4,000: 8 bits keep little of them (the first: p/a.png); "
            "if samples have 12 bits, write Input.decode.bits: 12",
        )
    ]


def tiff_of(values: np.ndarray, *, form: int) -> bytes:
    """A raw TIFF of one band of 16 bits, of a sample format."""
    height, width = values.shape
    tags: dict[int, tuple[int, tuple[int, ...]]] = {
        256: (4, (width,)),
        257: (4, (height,)),
        258: (3, (16,)),
        259: (3, (1,)),
        262: (3, (1,)),
        273: (4, (8,)),
        277: (3, (1,)),
        278: (4, (height,)),
        279: (4, (2 * width * height,)),
        339: (3, (form,)),
    }
    return tiff(tags, values.astype("<u2").tobytes())


def bands(depth: int, form: int, count: int, photometric: int, extra: tuple[int, ...] = ()) -> bytes:
    """A raw TIFF of 4 x 2 pixels."""
    tags: dict[int, tuple[int, tuple[int, ...]]] = {
        256: (4, (4,)),
        257: (4, (2,)),
        258: (3, (depth,) * count),
        259: (3, (1,)),
        262: (3, (photometric,)),
        273: (4, (8,)),
        277: (3, (count,)),
        278: (4, (2,)),
        279: (4, (count * depth,)),
        339: (3, (form,) * count),
    }
    if extra:
        tags[338] = (3, extra)
    return tiff(tags, bytes(count * depth))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ((8, 1, 4, 2, (0,)), "tiff: 4 bands of uint8, of which an image has 3; write those that count to a file of their own"),
        ((8, 1, 5, 2, (0, 0)), "tiff: 5 bands of uint8, of which an image has 3; write those that count to a file of their own"),
        ((16, 1, 6, 1, (0,) * 5), "tiff: 6 bands of uint16: no image of grey, RGB or CMYK"),
        ((16, 1, 8, 1, (0,) * 7), "tiff: 8 bands of uint16: no image of grey, RGB or CMYK"),
        (
            (16, 2, 1, 1),
            "tiff: 1 band of int16: signed numbers have no agreed 8-bit form; Input.decode.mode: keep takes them as they are, "
            "Input.decode.bits those that are not negative",
        ),
        ((32, 3, 1, 1), "tiff: 1 band of float32: they have no agreed 8-bit form; Input.decode.mode: keep takes them as they are"),
        ((64, 3, 1, 1), "tiff: 1 band of float64: no image of grey, RGB or CMYK"),
        ((32, 3, 3, 2), "tiff: 3 bands of float32: no image of grey, RGB or CMYK"),
    ],
)
def test_bands_and_types_are_named(file: tuple[Any, ...], words: str) -> None:
    assert refusal(bands(*file)) == f"unsupported_mode: {words}"


def test_signed_bytes_are_never_taken_as_unsigned() -> None:
    assert refusal(bands(8, 2, 1, 1)).startswith("unsupported_mode: tiff: 1 band of int8")


def test_alpha_is_a_band_of_an_image() -> None:
    assert pixels(bands(8, 1, 4, 2, (2,)), mode="RGBA").shape == (2, 4, 4)
    assert pixels(bands(8, 1, 3, 2)).shape == (2, 4, 3)
    assert pixels(bands(16, 2, 1, 1), mode="keep").shape == (2, 4)
