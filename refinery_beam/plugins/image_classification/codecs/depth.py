"""Samples of more than 8 bits, and what the bands of a TIFF are.

A sample of 16 bits becomes its high byte, ``value >> 8``. Where files hold samples of fewer bits in 16, ``bits`` says how many: then a
sample becomes ``value >> (bits - 8)``, and a larger one than that many bits hold is refused. Nothing is stretched or clipped.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from PIL import Image, ImageFile, TiffImagePlugin

from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.notes import note

SIXTEEN = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})
"""The Pillow modes of one channel of more than 8 bits."""

DEPTHS = (8, 10, 12, 14)
"""The numbers of bits below 16 that cameras and scanners give."""

_FORMATS = {1: "uint", 2: "int", 3: "float", 4: "undefined", 5: "complex int", 6: "complex float"}


def eight_bits(image: Image.Image, bits: int | None) -> Image.Image:
    """An image of one of the modes `SIXTEEN` as mode L. Leaves the notes ``sixteen_bits`` and, where no sample needs 14 bits or more,
    ``low_bits``. Raises BadRecord ``unsupported_mode``.
    """
    high = check_range(image, bits)
    if bits is None and image.mode == "I":
        low, high = _extrema(image)
        if low < 0 or high > 65_535:
            raise BadRecord("unsupported_mode", "32-bit integer pixels beyond 0..65535, which have no agreed 8-bit form")
    if bits is None:
        note("sixteen_bits")
        if high < 1 << DEPTHS[-1]:
            note("low_bits", high)
    if bits is not None and bits < 16:
        return _shifted(image, bits - 8)
    raw = image.tobytes()
    if image.mode == "I":
        # 4 bytes a value, in the machine's order.
        return Image.frombytes("L", image.size, raw[1 if sys.byteorder == "little" else 2 :: 4])
    big = image.mode == "I;16B" or (image.mode == "I;16N" and sys.byteorder == "big")
    return Image.frombytes("L", image.size, raw[0 if big else 1 :: 2])


def check_range(image: Image.Image, bits: int | None) -> int:
    """The greatest sample. Raises BadRecord ``unsupported_mode`` for one that does not fit the declared bits."""
    low, high = _extrema(image)
    if bits is not None and not 0 <= low <= high < 1 << bits:
        raise BadRecord("unsupported_mode", f"samples from {low} to {high}; Input.decode.bits: {bits} says 0 to {(1 << bits) - 1}")
    return high


def _extrema(image: Image.Image) -> tuple[int, int]:
    if image.mode not in ("I", "I;16"):
        # Pillow counts only in the machine's order.
        image = Image.frombytes("I;16", image.size, image.tobytes(), "raw", image.mode)
    low, high = image.getextrema()
    return int(low), int(high)  # type: ignore[arg-type]


def _shifted(image: Image.Image, by: int) -> Image.Image:
    import numpy as np

    return Image.fromarray((np.asarray(image) >> by).astype(np.uint8))


def check_samples(image: ImageFile.ImageFile, data: bytes, kind: str, *, mode: str, bits: int | None) -> None:
    """Raise BadRecord ``unsupported_mode`` for an opened image whose samples Pillow would take for others, or leave out without a word."""
    if kind == "tiff":
        tags = image.tag_v2  # type: ignore[attr-defined]
        bands, form = _bands(tags), _formats(tags)
        shown = len(image.getbands())
        if bands > shown:
            said = f"tiff: {_words(tags)}, of which an image has {shown}; write those that count to a file of their own"
            raise BadRecord("unsupported_mode", said)
        byte, short = 2 in form and 8 in _depths(tags), 2 in form and 16 in _depths(tags)
        if byte or (short and mode != "keep" and bits is None):
            remedy = "" if byte else "; Input.decode.mode: keep takes them as they are, Input.decode.bits those that are not negative"
            raise BadRecord("unsupported_mode", f"tiff: {_words(tags)}: signed numbers have no agreed 8-bit form{remedy}")
    if bits not in (None, 16) and _wide_colours(image, data, kind):
        raise BadRecord("unsupported_mode", f"{kind}: colours of 16 bits; Input.decode.bits holds for images of one band")


def _wide_colours(image: ImageFile.ImageFile, data: bytes, kind: str) -> bool:
    """Whether an image of several bands has 16 bits a sample, of which Pillow gives the upper 8."""
    if kind == "png":
        return data[24] == 16 and data[25] != 0
    return kind == "tiff" and _bands(image.tag_v2) > 1 and 16 in _depths(image.tag_v2)  # type: ignore[attr-defined]


def describe_tiff(data: bytes) -> str:
    """The bands and the type of a TIFF that Pillow does not open: ``8 bands of uint16``; '' if its tags do not say."""
    try:
        file = io.BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if data[2:3] == b"+" else 8))
        file.seek(tags.next)
        tags.load(file)
        return _words(tags)
    except Exception:
        return ""  # whatever Pillow raises over broken tags: then they say nothing


def _words(tags: Any) -> str:
    bands = _bands(tags)
    kinds = sorted({f"{_FORMATS.get(form, 'undefined ')}{depth}" for form in _formats(tags) for depth in _depths(tags)})
    return f"{bands} band{'s' if bands > 1 else ''} of {' and '.join(kinds)}"


def _bands(tags: Any) -> int:
    return int(tags.get(277, 3 if tags.get(259) == 6 else 1))


def _formats(tags: Any) -> set[int]:
    return set(tags.get(339, (1,)))


def _depths(tags: Any) -> set[int]:
    return set(tags.get(258, (1,)))
