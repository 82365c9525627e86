"""What a file states of its making: the quality a JPEG was saved with, the camera, the date.

None of it is the picture. It is read because it may tell the label nevertheless, and because a person wants to know. Broken metadata states
nothing.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

STATED = {"jpeg_quality": "int16", "jpeg_tables": "str", "camera": "str", "date": "str"}
"""The facts of `stated`, and of which dtype they are. Each may be None."""

CAMERA_LENGTH = 80
"""Characters of a camera's name that are kept."""

_MAKE, _MODEL, _DATE, _EXIF, _ORIGINAL = 0x010F, 0x0110, 0x0132, 0x8769, 0x9003
_ASCII, _LONG = 2, 4
_WHEN = re.compile(r"(\d{4})[:\-/](\d{2})[:\-/](\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?")

# The luma table of ITU-T T.81 (1992), annex K.1, row by row: libjpeg scales it by the quality.
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)


def stated(image: Any, info: Mapping[Any, Any], kind: str) -> dict[str, Any]:
    """``jpeg_quality`` (1 to 100) and ``jpeg_tables`` (16 hex digits of a digest of all quantisation tables) of a JPEG; ``camera`` (make
    and model) and ``date`` (``2024-05-31 13:45:00``, of the taking, else of the file) of any file with EXIF.
    """
    quality, tables = _tables(image.quantization) if kind == "jpeg" and getattr(image, "quantization", None) else (None, None)
    camera, date = (None, None)
    if kind == "tiff":
        camera, date = _said({tag: str(image.tag_v2.get(tag) or "") for tag in (_MAKE, _MODEL, _DATE)})
    elif isinstance(blob := info.get("exif"), bytes):
        camera, date = camera_and_date(blob)
    return {"jpeg_quality": quality, "jpeg_tables": tables, "camera": camera, "date": date}


def jpeg_quality(table: Sequence[int]) -> int:
    """The quality, 1 to 100, whose luma table is nearest to a given one (row by row): the least sum of differences, the greatest quality of
    equals. Exact for files of libjpeg; an estimate where a program has tables of its own.

    >>> jpeg_quality([max(1, (n * 20 + 50) // 100) for n in _LUMA])
    90
    """
    return max(range(1, 101), key=lambda quality: (-sum(abs(a - b) for a, b in zip(table, _scaled(quality), strict=True)), quality))


@lru_cache(maxsize=128)
def _scaled(quality: int) -> tuple[int, ...]:
    """The luma table of a quality, as libjpeg makes it (jcparam.c, jpeg_quality_scaling, baseline)."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(255, max(1, (n * percent + 50) // 100)) for n in _LUMA)


def _tables(quantization: Mapping[int, Sequence[int]]) -> tuple[int | None, str]:
    return _known_tables(tuple((number, tuple(quantization[number])) for number in sorted(quantization)))


@lru_cache(maxsize=512)
def _known_tables(tables: tuple[tuple[int, tuple[int, ...]], ...]) -> tuple[int | None, str]:
    luma = tables[0][1]
    text = ";".join(f"{number}:{','.join(map(str, values))}" for number, values in tables)
    return jpeg_quality(luma) if len(luma) == len(_LUMA) else None, hashlib.sha256(text.encode()).hexdigest()[:16]


def camera_and_date(blob: bytes) -> tuple[str | None, str | None]:
    """The camera and the date that EXIF bytes state; None for what they do not.

    >>> camera_and_date(b"Exif\\0\\0II*\\0")
    (None, None)
    """
    while blob.startswith(b"Exif\0\0"):
        blob = blob[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(blob[:4])
    if order is None:
        return None, None
    texts: dict[int, str] = {}
    try:
        (start,) = struct.unpack_from(order + "I", blob, 4)
        below = None
        for tag, kind, count, value in _entries(blob, order, start):
            if tag in (_MAKE, _MODEL, _DATE) and kind == _ASCII:
                texts[tag] = _text(blob, order, count, value)
            elif tag == _EXIF and kind == _LONG:
                (below,) = struct.unpack(order + "I", value)
        if below is not None:
            for tag, kind, count, value in _entries(blob, order, below):
                if tag == _ORIGINAL and kind == _ASCII:
                    texts[tag] = _text(blob, order, count, value)
    except struct.error:
        pass  # cut short: what was read before counts
    return _said(texts)


def _said(texts: Mapping[int, str]) -> tuple[str | None, str | None]:
    texts = {tag: " ".join(text.split()) for tag, text in texts.items()}
    make, model = texts.get(_MAKE, ""), texts.get(_MODEL, "")
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    return camera[:CAMERA_LENGTH] or None, _date(texts.get(_ORIGINAL, "")) or _date(texts.get(_DATE, ""))


def _entries(blob: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, bytes]]:
    """(tag, type, count, the four bytes of the value or of its offset) of a directory's entries."""
    (entries,) = struct.unpack_from(order + "H", blob, start)
    for i in range(entries):
        at = start + 2 + 12 * i
        tag, kind, count = struct.unpack_from(order + "HHI", blob, at)
        value = blob[at + 8 : at + 12]
        if len(value) < 4:
            raise struct.error("cut short")
        yield tag, kind, count, value


def _text(blob: bytes, order: str, count: int, value: bytes) -> str:
    if count > 4:
        (at,) = struct.unpack(order + "I", value)
        value = blob[at : at + min(count, 1024)]
    else:
        value = value[:count]
    return value.split(b"\0")[0].decode("latin-1")


def _date(text: str) -> str | None:
    """A date as EXIF writes it; None for none, and for the zeros of a clock that was never set."""
    found = _WHEN.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    if not (year and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 62):
        return None
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
