"""HEIC files, through libheif: pillow-heif, of the extra ``heic``, makes them a format of Pillow's.

libheif turns an image as the file says (``irot``, ``imir``); the EXIF orientation of a HEIC file is a copy of that, and is not applied
again.
"""

from __future__ import annotations

from functools import cache

from refinery_beam.errors import EnvironmentFault


@cache
def register() -> None:
    """Make Pillow read HEIC. EnvironmentFault ``missing-extra`` where pillow-heif is not installed."""
    try:
        import pillow_heif
    except ImportError:
        said = "HEIC files need pillow-heif, and it is not installed"
        raise EnvironmentFault(said, code="missing-extra", value="heic", extra="heic") from None
    pillow_heif.register_heif_opener(thumbnails=False)
