"""Files that Pillow refuses although their pixels are whole, written anew without the part that it refuses.

=====================================  =========================================================================================
JPEG without an end marker             an end marker is appended, if every pixel follows from the bytes before it
PNG whose text or profile is too long  the chunks beyond Pillow's limits (1 MiB each unpacked, 64 MiB of text together) are left out,
or does not check                      and so are those whose checksum is wrong
BigTIFF in big-endian order            the first directory as a classic TIFF's
=====================================  =========================================================================================

Each function gives None where it has nothing to mend. Pixels are never touched.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, PngImagePlugin

_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_BIG_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes a value by BigTIFF field type."""


# -- JPEG ---------------------------------------------------------------------------------------------------------------------------


def ended_jpeg(data: bytes) -> bytes | None:
    """A JPEG that lacks only its end marker, with one.

    Every pixel follows from the bytes that are there if it does not depend on those that follow: the file is decoded with nothing, and with
    two patterns of bits, between its last byte and the marker. A progressive file must have all its scans too.
    """
    if data.endswith(b"\xff\xd9") or not _all_scans(data):
        return None
    # A lone 0xFF at the end may be half of the marker.
    body = data[:-1] if data.endswith(b"\xff") else data
    whole = body + b"\xff\xd9"
    try:
        pixels = [_jpeg_pixels(body + fill * 512 + b"\xff\xd9") for fill in (b"", b"\x55", b"\xaa")]
    except Exception:
        return None  # some other damage; the first error says what
    return whole if pixels[0] == pixels[1] == pixels[2] else None


def _jpeg_pixels(data: bytes) -> bytes:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    return image.tobytes()


def _all_scans(data: bytes) -> bool:
    """Whether the scans of a JPEG give every bit of every coefficient: of a baseline file those of every component."""
    wanted: set[int] = set()
    progressive = False
    have: dict[tuple[int, int], int] = {}
    for marker, body in _segments(data):
        if marker in (0xC0, 0xC1, 0xC2) and len(body) >= 6:
            progressive = marker == 0xC2
            wanted = set(body[6::3][: body[5]])
        elif marker == 0xDA and body and len(body) >= 4 + 2 * body[0]:
            count = body[0]
            parts = set(body[1 : 1 + 2 * count : 2])
            first, last, bits = (body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count] & 15) if progressive else (0, 63, 0)
            for part in parts:
                for coefficient in range(first, last + 1):
                    have[part, coefficient] = bits
    return bool(wanted) and all(have.get((part, k)) == 0 for part in wanted for k in range(64))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, body) of the segments of a JPEG up to its end, those between scans too."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
            if at < 0:
                return
            continue
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            # Stuffing, fill bytes and restart markers lie in the data of a scan.
            at += 1 if marker == 0xFF else 2
        elif marker == 0xD9:
            return
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            yield marker, data[at + 4 : at + 2 + length]
            at += 2 + max(length, 2)


# -- PNG ----------------------------------------------------------------------------------------------------------------------------


def png_within_limits(data: bytes) -> bytes | None:
    """A PNG without the text and profile chunks that Pillow refuses; None if it has none of them."""
    kept, total, left_out = [data[:8]], 0, False
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at : at + 12 + length]
        at += len(chunk)
        kind = chunk[4:8]
        if kind in _TEXT or kind == b"iCCP":
            size = _unpacked(kind, chunk[8:-4])
            total += size if kind in _TEXT else 0
            wrong = zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big")
            if wrong or size > PngImagePlugin.MAX_TEXT_CHUNK or total > PngImagePlugin.MAX_TEXT_MEMORY:
                left_out = True
                continue
        kept.append(chunk)
    return b"".join([*kept, data[at:]]) if left_out else None


def _unpacked(kind: bytes, body: bytes) -> int:
    """The size of a chunk's text or profile, unpacked; a little more than the limit where it is more."""
    rest = body.partition(b"\0")[2]
    if kind == b"tEXt":
        return len(rest)
    if kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        if not packed:
            return len(rest)
    else:
        rest = rest[1:]
    try:
        return len(zlib.decompressobj().decompress(rest, PngImagePlugin.MAX_TEXT_CHUNK + 1))
    except zlib.error:
        return 0


# -- TIFF ---------------------------------------------------------------------------------------------------------------------------


def classic_tiff(data: bytes) -> bytes | None:
    """A big-endian BigTIFF with its first directory written anew, at the end, as that of a classic TIFF.

    Raises struct.error for a directory that is cut short.
    """
    if data[:4] != b"MM\0+" or len(data) >= 1 << 31:
        return None
    (start,) = struct.unpack_from(">Q", data, 8)
    (entries,) = struct.unpack_from(">Q", data, start)
    if entries > 65_535:
        return None
    table, values = b"", b""
    end = len(data) + len(data) % 2
    values_at = end + 2 + 12 * entries + 4
    for i in range(entries):
        at = start + 8 + 20 * i
        tag, kind, count = struct.unpack_from(">HHQ", data, at)
        size = _BIG_SIZES.get(kind, 1) * count
        if size > len(data):
            return None
        (where,) = (at + 12,) if size <= 8 else struct.unpack_from(">Q", data, at + 12)
        value = data[where : where + size]
        if kind in (16, 17, 18):
            numbers = struct.unpack(f">{count}Q", value)
            if max(numbers, default=0) >= 1 << 32:
                return None
            kind, value = 4, struct.pack(f">{count}I", *numbers)
        if len(value) <= 4:
            field = value.ljust(4, b"\0")
        else:
            field = struct.pack(">I", values_at + len(values))
            values += value + b"\0" * (len(value) % 2)
        table += struct.pack(">HHI", tag, kind, count) + field
    head = b"MM\0*" + struct.pack(">I", end)
    return head + data[8:] + b"\0" * (len(data) % 2) + struct.pack(">H", entries) + table + b"\0\0\0\0" + values
