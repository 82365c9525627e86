"""The orientation an image states, read straight from its EXIF bytes or XMP text.

Pillow's own EXIF reader parses every tag, warns on odd ones and raises on broken ones; this module needs one number, and a file with
broken metadata is still an image. For well-formed metadata the answer is that of ``ImageOps.exif_transpose``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL.Image import Transpose

TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""The turn that makes an image of an orientation upright."""

UNTURNS = {**TURNS, 6: Transpose.ROTATE_90, 8: Transpose.ROTATE_270}
"""The inverses of `TURNS`."""

_SIZES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}


def orientation_of(info: Mapping[Any, Any]) -> int:
    """The orientation 1..8 stated in a Pillow image's ``info``; 1 when there is none or it makes no sense.

    >>> orientation_of({"exif": b"Exif\\0\\0MM\\0*\\0\\0\\0\\x08\\0\\x01\\x01\\x12\\0\\x03\\0\\0\\0\\x01\\0\\x06\\0\\0"})
    6
    """
    blob = info.get("exif")
    if blob is None and "Raw profile type exif" in info:
        blob = _raw_profile(info["Raw profile type exif"])
    found = exif_orientation(blob) if isinstance(blob, bytes) else None
    if found is None:
        found = _xmp_orientation(info)
    return found if found is not None and 1 <= found <= 8 else 1


def exif_orientation(blob: bytes) -> int | None:
    """The value of tag 0x0112 of the first directory; None when it is absent or the bytes are malformed."""
    while blob.startswith(b"Exif\0\0"):
        blob = blob[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(blob[:4])
    if order is None:
        return None
    found = None
    try:
        (start,) = struct.unpack_from(order + "I", blob, 4)
        (entries,) = struct.unpack_from(order + "H", blob, start)
        for i in range(entries):
            tag, kind, count = struct.unpack_from(order + "HHI", blob, start + 2 + 12 * i)
            if tag == 0x0112 and count == 1 and kind in _SIZES:
                (found,) = struct.unpack_from(order + _SIZES[kind][0], blob, start + 2 + 12 * i + 8)
    except struct.error:
        # The directory is cut short: the entries before the cut count.
        return found
    return found


def _xmp_orientation(info: Mapping[Any, Any]) -> int | None:
    text = info.get("XML:com.adobe.xmp") or info.get("xmp")
    if isinstance(text, str):
        hit = re.search(r'tiff:Orientation(?:="|>)([0-9])', text)
    elif isinstance(text, bytes):
        hit = re.search(rb'tiff:Orientation(?:="|>)([0-9])', text)  # type: ignore[assignment]
    else:
        return None
    return int(hit[1]) if hit else None


def _raw_profile(text: Any) -> bytes | None:
    """The bytes ImageMagick writes as hexadecimal text after three lines of heading."""
    try:
        return bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        return None
