"""Decodes an image that Pillow has opened, and refuses one of which its decoder did not write every pixel.

Pillow hands out what a decoder left behind as pixels in five cases. Each is found here by the codec's own word, or by what it wrote:

- libtiff reported an error and went on (`codecs.libtiff.listening`);
- a fax codec ended a strip early (`codecs.libtiff.unwritten`);
- an uncompressed TIFF lists fewer strips or tiles than its image has;
- the compressed stream of a PNG or GIF ends before the last row: rows stay as they are on an empty canvas. Where the last rows are like
  that, the file is decoded again onto another canvas;
- a chunk of a PNG does not have the checksum that it states.
"""

from __future__ import annotations

import io
import zlib

from PIL import Image, ImageFile

from refinery_beam.plugins.image_classification.codecs import libtiff
from refinery_beam.plugins.kind import BadRecord


def load(image: ImageFile.ImageFile, data: bytes, kind: str) -> None:
    """Decode in place. Raises BadRecord ``damaged``, and whatever Pillow raises; `kind` is the format's word."""
    if kind == "tiff":
        _load_tiff(image, data)
    elif kind in ("png", "gif"):
        _load_onto_canvas(image, data, kind)
        if kind == "png":
            _check_sums(data)
    else:
        image.load()


def _load_tiff(image: ImageFile.ImageFile, data: bytes) -> None:
    compression = image.info.get("compression", "raw")
    if image.tile and image.tile[0].codec_name != "libtiff":
        _check_cover(image)
        image.load()
        return
    if compression in libtiff.NEEDS_WORD and not libtiff.available():
        raise BadRecord(
            "unsupported_mode",
            f"tiff: compression {compression}: this build of Pillow hides libtiff's functions, so damage would not be noticed",
        )
    tags = getattr(image, "tag_v2", {})
    width = tags.get(322) or tags.get(256)
    problem = ""
    with libtiff.listening() as errors:
        image.load()
        if compression in libtiff.FAX:
            problem = libtiff.unwritten(data, width=width if isinstance(width, int) else image.width)
    if errors or problem:
        raise BadRecord("damaged", f"tiff: {errors[0] if errors else problem}")


def _check_cover(image: ImageFile.ImageFile) -> None:
    """Strips and tiles of raw pixels that are not listed stay empty, and Pillow says nothing."""
    planes = len(image.getbands()) if getattr(image, "tag_v2", {}).get(284) == 2 else 1
    boxes = [tile.extents or (0, 0, *image.size) for tile in image.tile]
    listed = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    wanted = image.width * image.height * planes
    if listed < wanted:
        raise BadRecord("damaged", f"tiff: its strips or tiles hold {listed} of {wanted} pixels")


def _load_onto_canvas(image: ImageFile.ImageFile, data: bytes, kind: str) -> None:
    extents = image.tile[0].extents if image.tile else None
    image.load()
    if extents is None or not _seems_empty(image, extents):
        return
    again = Image.open(io.BytesIO(data), formats=(kind,))
    assert isinstance(again, ImageFile.ImageFile)
    prepare = again.load_prepare

    def other_canvas() -> None:
        prepare()
        bands = Image.getmodebands(again.im.mode)
        ones = 65_535 if again.im.mode.startswith("I") else 255
        again.im.paste(ones if bands == 1 else (ones,) * bands, extents)

    again.load_prepare = other_canvas  # type: ignore[method-assign]
    again.load()
    if again.tobytes() != image.tobytes():
        raise BadRecord("damaged", f"{kind}: its compressed data ends before the last row")


def _seems_empty(image: Image.Image, extents: tuple[int, int, int, int]) -> bool:
    """Whether one of the two last rows of the decoded part is as the canvas was. Interlaced images have every other row last."""
    key = image.info.get("transparency", 0) if image.format == "GIF" else 0
    empty = {0, key if isinstance(key, int) else 0}
    left, _, right, bottom = extents
    for row in range(max(bottom - 2, 0), bottom):
        # Nearly always one of three pixels is enough to tell.
        if any(_is_drawn(image.getpixel((column, row)), empty) for column in (left, (left + right) // 2, right - 1)):
            continue
        if set(image.crop((left, row, right, row + 1)).tobytes()) <= empty:
            return True
    return False


def _is_drawn(pixel: float | tuple[int, ...] | None, empty: set[int]) -> bool:
    return not empty.issuperset(pixel) if isinstance(pixel, tuple) else pixel not in empty


def _check_sums(data: bytes) -> None:
    """Pillow leaves the checksums of chunks of pixels unread. They take a hundredth of the time of decoding."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(data):
            return  # cut behind the last pixel
        # A letter in capitals says that no decoder may do without the chunk.
        if kind[:1].isupper() and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise BadRecord("damaged", f"png: the checksum of a {kind.decode('ascii', 'replace')} chunk is wrong")
        if kind == b"IEND":
            return
        at = end + 4
