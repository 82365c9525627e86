"""Reads facts from the bytes of an image file without a decoder: format, declared size, whether the file ends early."""

from __future__ import annotations

import re
import struct

from PIL import ImageFile

KNOWN = {
    "jpeg": "a JPEG file",
    "png": "a PNG file",
    "webp": "a WebP file",
    "gif": "a GIF file",
    "bmp": "a BMP file",
    "tiff": "a TIFF file",
    "avif": "an AVIF file",
    "jpeg2000": "a JPEG 2000 file",
    "ppm": "a Netpbm file",
    "heic": "a HEIC file",
    "jxl": "a JPEG XL file",
    "ico": "an icon file",
    "psd": "a Photoshop file",
    "svg": "an SVG drawing",
    "pdf": "a PDF document",
    "exr": "an OpenEXR file",
    "dds": "a DirectDraw surface",
    "qoi": "a QOI file",
    "html": "a web page",
    "lfs": "a pointer of Git LFS, not the file itself",
}
"""Format words, and what to call such a file. The first nine can be decoded; the others are refused by name."""

REMEDIES = {
    "heic": "convert it, or install refinery-beam[heic] and list heic in Input.limits.formats",
    "html": "the download gave a page, perhaps an error or a log-in; download the file again",
    "lfs": "run 'git lfs pull' in its repository",
}
"""What to do with a file of such a format."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\0\0\1\0", "ico"),
    (b"8BPS", "psd"),
    (b"%PDF-", "pdf"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"DDS \x7c\0\0\0", "dds"),
    (b"qoif", "qoi"),
    (b"version https://git-lfs.github.com/spec/", "lfs"),
)


_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes a value by TIFF field type."""


def sniff(data: bytes) -> str | None:
    """The format word of a file by its first bytes, or None.

    >>> sniff(b"GIF89a..."), sniff(b"hello")
    ('gif', None)
    """
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        # Two letters prove nothing: the second header has one of its few sizes. Bytes 6 to 9 are reserved, or the hotspot of a pointer.
        return "bmp"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        brands = {brand, *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4], "big"), 256), 4))}
        if brand in (b"avif", b"avis") or (brand in (b"mif1", b"msf1") and brands & {b"avif", b"avis"}):
            return "avif"
        return "heic" if brands & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"} else None
    if data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6") and data[2:3].isspace():
        return "ppm"
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _markup(data)
    # A file cut inside its signature is a cut file, not a file of another kind.
    for signature, kind in _SIGNATURES[:4]:
        if len(data) >= 2 and signature.startswith(data):
            return kind
    return None


def _markup(data: bytes) -> str | None:
    """SVG and HTML begin with comments, declarations and white space, in this order or another."""
    text = _BEFORE_ELEMENT.sub(b"", data[:65_536].lstrip(b"\xef\xbb\xbf"))
    root = text[:10].lower()
    declared = data[:1024].lower()
    if root.startswith((b"<svg", b"<svg:")):
        return "svg"
    return "html" if root.startswith((b"<html", b"<head", b"<body")) or b"<!doctype html" in declared else None


_BEFORE_ELEMENT = re.compile(rb"^(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE(?:[^\[>]|\[.*?\])*>)+", re.DOTALL | re.IGNORECASE)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) a WebP file declares; None if its header is incomplete."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def png_exif_chunk(data: bytes) -> bytes | None:
    """The payload of a PNG's eXIf chunk, at any position in the file."""
    if b"eXIf" not in data:
        return None
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"eXIf":
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return None


def ends_early(data: bytes, kind: str, image: ImageFile.ImageFile | None) -> bool:
    """Whether the structure of a file that failed to decode promises more bytes than there are. `image` is its header, if that could be
    read.
    """
    try:
        if kind == "png":
            return _png_ends_early(data)
        if kind == "jpeg":
            return _jpeg_ends_early(data)
        if kind == "webp":
            return len(data) < 12 or struct.unpack_from("<I", data, 4)[0] + 8 > len(data)
        if kind == "gif":
            return len(data) < 13 or not data.rstrip(b"\0").endswith(b";")
        if kind == "bmp":
            return len(data) >= 26 and image is not None and struct.unpack_from("<I", data, 2)[0] > len(data)
        if kind == "tiff":
            return _tiff_ends_early(data, image)
        if kind in ("avif", "heic") or (kind == "jpeg2000" and data[:1] == b"\0"):
            return _boxes_end_early(data)
        if kind == "jpeg2000":
            return not data.endswith(b"\xff\xd9")
    except (struct.error, IndexError):
        return True
    return False


def _png_ends_early(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if not kind.isalpha():
            return False
        if kind == b"IEND":
            return False
        at += 12 + length
    return True


def _jpeg_ends_early(data: bytes) -> bool:
    at = 2
    while True:
        if at + 4 > len(data):
            return True
        if data[at] != 0xFF:
            return False
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == 0xD9:
            return False
        elif marker == 0xDA:
            return b"\xff\xd9" not in data[at:]
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _boxes_end_early(data: bytes) -> bool:
    """Whether the last box of a file of boxes goes on behind its end."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return data[at + 4 : at + 8] == b"jp2c" and not data.endswith(b"\xff\xd9")
        if size < 8:
            return False
        at += size
    return at != len(data)


def _tiff_ends_early(data: bytes, image: ImageFile.ImageFile | None) -> bool:
    order = "<" if data[:1] == b"I" else ">"
    if len(data) < 8:
        return True
    if data[2:4] in (b"*\0", b"\0*"):
        (at,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, at)
        for i in range(entries):
            tag, kind, count, where = struct.unpack_from(order + "HHII", data, at + 2 + 12 * i)
            if tag < 1 << 15 and kind in _TIFF_SIZES and (size := count * _TIFF_SIZES[kind]) > 4 and where + size > len(data):
                return True
    tags = getattr(image, "tag_v2", {})
    for offsets, counts in ((273, 279), (324, 325)):
        starts, sizes = tags.get(offsets), tags.get(counts)
        pairs = zip(_whole_numbers(starts), _whole_numbers(sizes), strict=False)
        if starts is not None and sizes is not None and any(start + size > len(data) for start, size in pairs):
            return True
    return False


def _whole_numbers(value: object) -> tuple[int, ...]:
    """The values of a tag of numbers. A damaged directory may give it any type."""
    return tuple(n for n in (value if isinstance(value, tuple) else (value,)) if isinstance(n, int))
