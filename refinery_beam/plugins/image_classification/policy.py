"""What a recipe says of image files: the models of ``Input.decode`` and ``Input.limits``. Part of a dataset's identity."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from refinery_beam.plugins.common.kind import MAX_BYTES
from refinery_beam.plugins.ops import Params

EXTENSIONS = (
    *("png", "jpg", "jpeg", "jfif", "jpe", "webp", "avif", "jp2", "bmp", "gif", "tif", "tiff"),
    *("ppm", "pgm", "pbm", "pnm"),
)
"""The extensions of image files, lower case. They choose which files are listed; what a file is, its first bytes say."""


def _format_word(value: Any) -> Any:
    """File extensions are other names of some formats, in any case."""
    word = value.lower() if isinstance(value, str) else value
    return _OTHER_NAMES.get(word, word) if isinstance(word, str) else value


_OTHER_NAMES = {
    **dict.fromkeys(("jpg", "jfif", "jpe"), "jpeg"),
    "tif": "tiff",
    "jp2": "jpeg2000",
    "heif": "heic",
    **dict.fromkeys(("pgm", "pbm", "pnm", "netpbm"), "ppm"),
}

# fmt: off
_Written: TypeAlias = Literal[
    "png", "jpeg", "jpg", "jfif", "jpe", "webp", "avif", "jpeg2000", "jp2", "bmp", "gif", "tiff", "tif",
    "ppm", "pgm", "pbm", "pnm", "netpbm", "heic", "heif",
    "PNG", "JPEG", "JPG", "JFIF", "JPE", "WEBP", "AVIF", "JPEG2000", "JP2", "BMP", "GIF", "TIFF", "TIF",
    "PPM", "PGM", "PBM", "PNM", "NETPBM", "HEIC", "HEIF",
]
# fmt: on
ImageFormat: TypeAlias = Annotated[
    Literal["png", "jpeg", "webp", "avif", "jpeg2000", "bmp", "gif", "tiff", "ppm", "heic"],
    BeforeValidator(_format_word, json_schema_input_type=_Written),
]


FORMATS: tuple[ImageFormat, ...] = ("png", "jpeg", "webp", "avif", "jpeg2000", "bmp", "gif", "tiff", "ppm")
"""The formats that are read; ``ppm`` is all of Netpbm. ``heic`` is read where a recipe lists it, by the extra of that name."""

HEIC_EXTENSIONS = ("heic", "heif")
"""The extensions that are listed too where a recipe accepts ``heic``."""


class DecodePolicy(Params):
    """How a file becomes pixels: colour mode, EXIF orientation, what lies behind alpha, JPEG draft decoding, ICC profiles, the bits of
    samples that do not fill 16 (None: they do). ``damage`` is the word of
    ``Input.damage``: which damage is looked for.
    """

    mode: Literal["RGB", "L", "RGBA", "keep"] = "RGB"
    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["white", "black", "drop"] = "white"
    draft: bool = False
    icc: Literal["convert", "ignore"] = "convert"
    bits: Literal[8, 10, 12, 14, 16] | None = None
    damage: Literal["standard", "strict"] = "standard"


class DecodeLimits(Params):
    """What a file may claim before anything is decoded. Formats may be written in any case; extensions such as jpg are understood.

    >>> DecodeLimits(formats=("JPG", "png")).formats
    ('jpeg', 'png')
    """

    max_pixels: Annotated[int, Field(gt=0)] = 178_956_970
    max_bytes: Annotated[int, Field(gt=0)] = MAX_BYTES
    formats: Annotated[tuple[ImageFormat, ...], Field(min_length=1)] = FORMATS
