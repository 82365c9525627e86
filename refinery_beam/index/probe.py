"""Header facts of one image file, without decoding a pixel: for cost estimates and for scaffolding a recipe."""

from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # JPEG includes MPO, which Pillow opens by the same door
_ORIENTATION = 0x0112

MAX_PIXELS = 178_956_970
"""Pixels of the largest image a header may announce; the default of Input.limits.max_pixels."""

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF")


class HeaderFact(NamedTuple):
    """What a header says: Pillow's format word, (width, height) as stored, Pillow's mode, EXIF orientation 1 to 8 (1 when it says none)."""

    format: str
    size: tuple[int, int]
    mode: str
    orientation: int

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) once the orientation is applied.

        >>> HeaderFact("JPEG", (640, 480), "RGB", 6).shown_size
        (480, 640)
        """
        width, height = self.size
        return (height, width) if self.orientation >= 5 else (width, height)


class BadHeader(Exception):
    """A file no header can be read from. ``reason`` is a stable word: `unreadable`, `empty_file`, `not_an_image`, `truncated`,
    `too_many_pixels`; ``detail`` holds no path."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[BadHeader], tuple[str, str]]:
        return (BadHeader, (self.reason, self.detail))


def probe_file(path: str) -> HeaderFact:
    """Read one file's header. Raises `BadHeader` for anything that is not a readable image; never decodes, so a file cut after its
    header passes.

    >>> import os, tempfile; from PIL import Image
    >>> name = os.path.join(tempfile.mkdtemp(), "a.png"); Image.new("L", (5, 3)).save(name)
    >>> probe_file(name)
    HeaderFact(format='PNG', size=(5, 3), mode='L', orientation=1)
    """
    # One named format that is not imported yet makes Pillow import all of its sixty plugins: import these six ourselves.
    from PIL import (  # noqa: F401
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        UnidentifiedImageError,
        WebPImagePlugin,
    )

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large images are the limits' business, and odd metadata is not a fault
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                # Pillow's own limit is a global that other code may have lifted.
                if width * height > MAX_PIXELS:
                    raise BadHeader("too_many_pixels", f"{width} x {height} pixels, the limit is {MAX_PIXELS}")
                orientation = _orientation(image)
                if image.format == "TIFF" and orientation >= 5:
                    width, height = height, width  # Pillow turns TIFFs itself, in the header already
                return HeaderFact(str(image.format), (width, height), image.mode, orientation)
    except Image.DecompressionBombError as error:
        raise BadHeader("too_many_pixels", str(error)) from None
    except UnidentifiedImageError:
        raise _name_garbage(path) from None
    except OSError as error:
        if error.errno is not None:
            raise BadHeader("unreadable", (error.strerror or "unreadable").lower()) from None
        raise BadHeader("truncated", "the header ends early") from None
    except (SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, OverflowError) as error:
        raise BadHeader("not_an_image", f"the header is broken ({type(error).__name__})") from None


def _orientation(image: Image) -> int:
    from PIL import Image as module

    # PngImageFile.getexif would decode the whole image in search of a late eXIf chunk.
    if image.format == "PNG" and not {"exif", "Raw profile type exif", "XML:com.adobe.xmp"} & set(image.info):
        return 1
    try:
        value = module.Image.getexif(image).get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, struct.error):
        return 1  # unreadable metadata says nothing; the pixels may still be fine
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _name_garbage(path: str) -> BadHeader:
    try:
        with open(path, "rb") as handle:
            head = handle.read(16)
    except OSError as error:
        return BadHeader("unreadable", (error.strerror or "unreadable").lower())
    if not head:
        return BadHeader("empty_file", "0 bytes")
    if head.startswith(_MAGIC) and (head[:4] != b"RIFF" or head[8:12] == b"WEBP"):
        return BadHeader("truncated", "starts like an image, but its header cannot be read")
    return BadHeader("not_an_image", f"starts with {head[:8]!r}")
