"""Finds the damage that decoding forgives: the further checks of ``Input.damage: strict``. Pixels come from the same decoder either way.

======================  =========================================================================================================
JPEG, JPEG in TIFF      libjpeg-turbo's warnings, which Pillow keeps to itself. simplejpeg, of the extra ``strict``, decodes once
                        more, grey and at an eighth of the size, and refuses what libjpeg warns of
======================  =========================================================================================================

The other formats tell of their damage by themselves, or have no means to: see docs/bad-files.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refinery_beam.errors import EnvironmentFault
from refinery_beam.plugins.image_classification.codecs.words import words_of
from refinery_beam.plugins.kind import BadRecord


def prove(data: bytes, kind: str, tags: Any) -> None:
    """Raise BadRecord ``damaged`` for damage in a file that has decoded. `tags` are those of a TIFF. EnvironmentFault ``missing-extra``."""
    if kind == "jpeg":
        _prove_jpeg(data, "jpeg")
    elif kind == "tiff" and tags.get(259) == 7:
        for stream in _jpeg_streams(data, tags):
            _prove_jpeg(stream, "tiff")


def checker() -> Any:
    """The module simplejpeg. EnvironmentFault ``missing-extra`` where it is not installed."""
    try:
        import simplejpeg
    except ImportError:
        raise EnvironmentFault(
            "Input.damage: strict needs simplejpeg, and it is not installed", code="missing-extra", value="strict", extra="strict"
        ) from None
    return simplejpeg


def _prove_jpeg(data: bytes, kind: str) -> None:
    library = checker()
    try:
        _, _, space, _ = library.decode_jpeg_header(data)
        plain = "CMYK" if space.upper() in ("CMYK", "YCCK") else "GRAY"
        library.decode_jpeg(data, colorspace=plain, min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        raise BadRecord("damaged", f"{kind}: {words_of(error)}") from error


def _jpeg_streams(data: bytes, tags: Any) -> Iterator[bytes]:
    """The strips or tiles of a TIFF as JPEG files: the tables they share, and each its own."""
    tables = tags.get(347, b"")
    shared = tables[:-2] if isinstance(tables, bytes) and len(tables) > 4 else b""
    starts, sizes = (tags.get(324), tags.get(325)) if 324 in tags else (tags.get(273, ()), tags.get(279, ()))
    for start, size in zip(starts, sizes, strict=False):
        strip = data[start : start + size]
        yield shared + strip[2:] if shared else strip
