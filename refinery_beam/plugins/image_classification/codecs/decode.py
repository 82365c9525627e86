"""Decodes the bytes of a file to a Pillow image by a policy. The steps, in this order:

1. Limits. The bytes, the format (by signature, never by name) and the size in the header are checked before any pixel is decoded.
2. Decode. The first frame of an animation, the first page of a TIFF; for an animated PNG its default picture. A file that ends early is
   ``truncated``, never filled up; one of which the decoder did not write every pixel is ``damaged`` (`codecs.damage`).
3. Orientation (``exif: apply``). The EXIF orientation, else the one XMP states. A malformed or absent one is 1: no turn.
4. Colour. An ICC profile is applied first (``icc: convert``; `codecs.icc`), or the numbers in the file are the pixels (``ignore``). Then to
   the mode the policy names:

   =====================  ==========================================================================================
   in the file            becomes
   =====================  ==========================================================================================
   palette                its colours (never its indices)
   1 bit                  0 or 255
   16 bits a channel      the high byte, value >> 8; never clipped. With ``bits: N``, one band of N bits in 16: value >> (N - 8).
                          32-bit integers are read so if all values fit 16 bits, else ``unsupported_mode``
   CMYK, YCbCr, HSV       Pillow's own conversion to RGB (Adobe's inverted CMYK is put right by the decoder)
   LAB                    sRGB through LittleCMS
   32-bit floats, signed  ``unsupported_mode``: they have no agreed range
   more bands than that   ``unsupported_mode``: none is left out without a word
   transparency           ``alpha: white`` or ``black``: laid over that colour, each channel rounded half up,
                          (a * c + (255 - a) * ground) / 255; ``drop``: the colours as stored. Alpha channels, transparent palette
                          entries and PNG colour keys alike, except the colour key of a 16-bit grey image, which is ignored
   grey -> RGB            replicated
   colour -> L            ITU-R 601 luma of the RGB values, as Pillow rounds it
   anything -> RGBA       alpha 255 where there is none
   =====================  ==========================================================================================

   ``mode: keep`` leaves L, LA, RGB, RGBA, 16-bit grey (uint16), 32-bit integers and floats as decoded; 1 bit becomes L, palettes become
   RGB, or RGBA if an entry is transparent, and CMYK, YCbCr, HSV and LAB become RGB.

``draft`` lets the JPEG decoder shrink by 2, 4 or 8 while decoding, never below the target size. It changes pixels, so it is part of the
recipe.

Functions here are pure and may run in several threads. Importing the module settles three Pillow globals once, for the process:
``Image.MAX_IMAGE_PIXELS`` is off, because any module may change it and this module checks its own limit in the header first;
``LOAD_TRUNCATED_IMAGES`` is off; and Pillow's warnings and log lines about odd metadata are not printed, since this module judges every
file itself and ``warnings.catch_warnings`` is not safe in threads.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Mapping
from typing import Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from refinery_beam.errors import EnvironmentFault
from refinery_beam.plugins.image_classification.codecs.colour import coloured
from refinery_beam.plugins.image_classification.codecs.container import KNOWN, REMEDIES, ends_early, png_exif_chunk, sniff, webp_size
from refinery_beam.plugins.image_classification.codecs.damage import load
from refinery_beam.plugins.image_classification.codecs.depth import check_samples, describe_tiff
from refinery_beam.plugins.image_classification.codecs.heic import register
from refinery_beam.plugins.image_classification.codecs.orient import TURNS, UNTURNS, orientation_of
from refinery_beam.plugins.image_classification.codecs.rewritten import classic_tiff, ended_jpeg, png_within_limits
from refinery_beam.plugins.image_classification.codecs.stated import STATED, stated
from refinery_beam.plugins.image_classification.codecs.strict import prove
from refinery_beam.plugins.image_classification.codecs.words import words_of
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.notes import note

Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

_PLUGINS = (
    *(AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin, PpmImagePlugin),
    *(TiffImagePlugin, WebPImagePlugin),
)
_PILLOW = {"heic": "heif"}
"""Pillow's word for a format, where it is another."""

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "I;16L", "I;16B", "I;16N"})
_ARRAYS = frozenset({(2, 1, "bool"), (2, 1, "uint8"), (2, 1, "uint16"), (3, 2, "uint8"), (3, 3, "uint8"), (3, 4, "uint8")})


FACTS = {"width": "int32", "height": "int32", "mode": "str", "format": "str", "orientation": "int8", **STATED}
"""What a header states of an image, and of which dtype it is."""


def decode(
    data: bytes,
    *,
    policy: DecodePolicy,
    limits: DecodeLimits,
    target: tuple[int, int] | None = None,
    facts: dict[str, Any] | None = None,
) -> Image.Image:
    """The image in `data`, of the policy's mode, upright, without metadata.

    `target` (width and height of the upright image) is the size after resizing; it matters only with ``policy.draft``. `facts` gets what
    `read_facts` gives. Raises BadRecord
    with one of the reasons empty_file, too_large_file, not_an_image, unsupported_format, too_many_pixels, unsupported_mode, truncated,
    damaged.

    >>> file = io.BytesIO(); Image.new("L", (3, 2), 7).save(file, "PNG")
    >>> image = decode(file.getvalue(), policy=DecodePolicy(), limits=DecodeLimits())
    >>> image.mode, image.size, image.getpixel((0, 0))
    ('RGB', (3, 2), (7, 7, 7))
    """
    try:
        return _decode(data, policy, limits, target, facts)
    except BadRecord as refused:
        whole = _mended(data, refused)
        if whole is None:
            raise
    return _decode(whole, policy, limits.model_copy(update={"max_bytes": len(whole)}), target, facts)


def _decode(
    data: bytes, policy: DecodePolicy, limits: DecodeLimits, target: tuple[int, int] | None, facts: dict[str, Any] | None
) -> Image.Image:
    image, kind = _open(data, policy, limits)
    size, mode = image.size, image.mode
    try:
        turn = _stated_turn(image, data, kind) if kind in ("jpeg", "tiff") else 1
        if policy.draft and target is not None and kind == "jpeg":
            swap = turn >= 5 and policy.exif == "apply"
            image.draft(None, (target[1], target[0]) if swap else target)
        load(image, data, kind)
        if policy.damage == "strict":
            prove(data, kind, getattr(image, "tag_v2", {}))
        if kind not in ("jpeg", "tiff"):
            # PNG may state its orientation after the pixels.
            turn = _stated_turn(image, data, kind)
        if facts is not None:
            facts.update(_facts(size, mode, kind, turn, policy), **stated(image, _info(image, data, kind), kind))
        upright = _turned(image, turn, kind, policy)
        done = coloured(upright, policy)
        # Metadata ends here: encoders would copy profiles, comments and colour keys into stored files.
        done.info = {}
        return done
    except (BadRecord, EnvironmentFault):
        raise
    except Exception as error:
        raise _verdict(error, data, kind, image) from error


def _mended(data: bytes, refused: BadRecord) -> bytes | None:
    """A refused file written anew so that its pixels, which are whole, can be read; None where that is not why it was refused."""
    kind, whole = sniff(data), None
    if kind == "jpeg" and refused.reason == "truncated" and (whole := ended_jpeg(data)):
        note("no_end_marker")
    elif kind == "png" and refused.reason == "damaged" and (whole := png_within_limits(data)):
        note("metadata_left_out")
    elif kind == "tiff" and refused.reason == "not_an_image":
        try:
            whole = classic_tiff(data)
        except struct.error:
            return None
    return whole


def accept(value: Any, *, policy: DecodePolicy, limits: DecodeLimits) -> Image.Image:
    """A Pillow image or an array (h, w) or (h, w, c) as `decode` gives it for a lossless file of it.

    Arrays are bool, uint8 or, without a channel axis, uint16; channels are grey, grey and alpha, RGB, or RGBA. The orientation of a Pillow
    image is the one its metadata states. The caller's image is not changed. Raises BadRecord too_many_pixels, unsupported_mode, and what
    `decode` says of an image that Pillow has opened and not read.

    >>> accept(Image.new("L", (3, 2), 7), policy=DecodePolicy(), limits=DecodeLimits()).getpixel((0, 0))
    (7, 7, 7)
    """
    image = value if isinstance(value, Image.Image) else _of_array(value)
    _check_size(image.size, limits)
    if image.mode not in _MODES and not (policy.mode == "keep" and image.mode == "F"):
        raise BadRecord("unsupported_mode", f"an image of Pillow mode {image.mode}")
    kind = (image.format or "").lower()
    try:
        # Pillow's TIFF reader turns an image as it loads it, and forgets that it has.
        turn = _tiff_turn(image) if kind == "tiff" else 1
        if isinstance(image, ImageFile.ImageFile) and image.tile:
            load(image, _bytes_of(image), kind)
        image.load()
        if kind != "tiff":
            turn = orientation_of(image.info)
        done = coloured(_turned(image, turn, kind, policy), policy)
    except BadRecord:
        raise
    except Exception as error:
        raise _verdict(error, b"", "image", None) from error
    if done is value:
        done = done.copy()
    done.info = {}
    return done


def _bytes_of(image: ImageFile.ImageFile) -> bytes:
    """The whole file of an image that Pillow has opened and not read."""
    file = image.fp
    assert file is not None
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)
    return data


def _of_array(value: Any) -> Image.Image:
    """An array as a Pillow image that means the same."""
    shape, dtype = getattr(value, "shape", None), str(getattr(value, "dtype", ""))
    if shape is None:
        raise BadRecord("unsupported_mode", f"{type(value).__name__} is no file, no image and no array")
    if len(shape) == 3 and shape[2] == 1:
        value = value.reshape(shape[:2])
    form = (len(value.shape), value.shape[2] if len(value.shape) == 3 else 1, dtype)
    if 0 in shape or form not in _ARRAYS:
        raise BadRecord("unsupported_mode", f"an array of {dtype}{list(shape)}; images are (h, w) or (h, w, c), of uint8")
    return Image.fromarray(value)


def read_header(data: bytes, *, policy: DecodePolicy, limits: DecodeLimits) -> tuple[int, int]:
    """(width, height) that `decode` would give without ``draft``, from the header alone. Raises BadRecord as `decode` does for headers.

    >>> file = io.BytesIO(); Image.new("L", (3, 2)).save(file, "PNG")
    >>> read_header(file.getvalue(), policy=DecodePolicy(), limits=DecodeLimits())
    (3, 2)
    """
    facts = read_facts(data, policy=policy, limits=limits)
    return facts["width"], facts["height"]


def read_facts(data: bytes, *, policy: DecodePolicy, limits: DecodeLimits) -> dict[str, Any]:
    """The ``FACTS`` of an image, from the header alone: the size of `read_header`, Pillow's word for the mode of the file, the format word,
    the orientation, and what the file states of its making (`codecs.stated`). Raises BadRecord as `decode` does for headers.
    """
    try:
        image, kind = _open(data, policy, limits)
    except BadRecord as refused:
        whole = _mended(data, refused)
        if whole is None:
            raise
        image, kind = _open(whole, policy, limits.model_copy(update={"max_bytes": len(whole)}))
    facts = _facts(image.size, image.mode, kind, _stated_turn(image, data, kind), policy)
    return {**facts, **stated(image, _info(image, data, kind), kind)}


def _facts(size: tuple[int, int], mode: str, kind: str, turn: int, policy: DecodePolicy) -> dict[str, Any]:
    width, height = size
    # Pillow's TIFF reader gives the upright size already, its other readers the stored size.
    if turn >= 5 and (policy.exif == "ignore" if kind == "tiff" else policy.exif == "apply"):
        width, height = height, width
    return {"width": width, "height": height, "mode": mode, "format": kind, "orientation": turn}


def seems_whole(data: bytes) -> bool:
    """Whether the structure of an image file promises no more bytes than there are. Decodes nothing, so pixels may be damaged; and some
    files that seem cut decode well, so False is a reason to decode, not a verdict.
    """
    kind = sniff(data)
    return kind is not None and not ends_early(data, kind, None)


def _open(data: bytes, policy: DecodePolicy, limits: DecodeLimits) -> tuple[ImageFile.ImageFile, str]:
    """The image with its header read and checked, and the format word."""
    if not data:
        raise BadRecord("empty_file", "0 bytes")
    if len(data) > limits.max_bytes:
        raise BadRecord("too_large_file", f"{len(data)} bytes, the limit is {limits.max_bytes}")
    kind = sniff(data)
    if kind is None:
        raise BadRecord("not_an_image", f"its first bytes are of no known image format: {data[:8].hex(' ')}")
    if kind not in limits.formats:
        remedy = REMEDIES.get(kind, f"accepted here: {', '.join(limits.formats)}")
        raise BadRecord("not_an_image" if kind in ("html", "lfs") else "unsupported_format", f"{KNOWN[kind]}; {remedy}")
    if kind == "webp":
        # Its reader reserves the whole canvas when it opens the file, so the declared size is read first.
        _check_size(webp_size(data), limits)
    if kind == "heic":
        register()
    try:
        image = Image.open(io.BytesIO(data), formats=(_PILLOW.get(kind, kind),))
    except Exception as error:
        raise _verdict(error, data, kind, None) from error
    assert isinstance(image, ImageFile.ImageFile)
    _check_size(image.size, limits)
    if image.mode not in _MODES and not (policy.mode == "keep" and image.mode == "F"):
        words = describe_tiff(data) if kind == "tiff" else ""
        said = f"{kind}: {words}: they have no agreed 8-bit form; Input.decode.mode: keep takes them as they are"
        raise BadRecord("unsupported_mode", said if words else f"{kind} of Pillow mode {image.mode}")
    check_samples(image, data, kind, mode=policy.mode, bits=policy.bits)
    return image, kind


def _check_size(size: tuple[int, int] | None, limits: DecodeLimits) -> None:
    if size is not None and size[0] * size[1] > limits.max_pixels:
        raise BadRecord("too_many_pixels", f"{size[0]} x {size[1]} = {size[0] * size[1]} pixels, the limit is {limits.max_pixels}")


def _stated_turn(image: ImageFile.ImageFile, data: bytes, kind: str) -> int:
    if kind == "tiff":
        return _tiff_turn(image)
    return orientation_of(_info(image, data, kind))


def _info(image: ImageFile.ImageFile, data: bytes, kind: str) -> Mapping[Any, Any]:
    """The metadata of an opened image; of a PNG also the EXIF behind its pixels, which Pillow reads only as it loads them."""
    info = image.info
    if "exif" not in info and kind == "png" and (late := png_exif_chunk(data)):
        return {**info, "exif": late}
    return info


def _tiff_turn(image: Image.Image) -> int:
    try:
        stated = image.getexif().get(0x0112, 1)
    except Exception:
        # Pillow raises a dozen kinds of errors over malformed TIFF tags. Broken metadata says nothing of the pixels: the image stands as
        # stored.
        return 1
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def _turned(image: Image.Image, turn: int, kind: str, policy: DecodePolicy) -> Image.Image:
    if turn == 1:
        return image
    if kind == "tiff":
        # Pillow turns TIFF images while loading and leaves no choice, so `ignore` turns them back.
        return image.transpose(UNTURNS[turn]) if policy.exif == "ignore" else image
    return image.transpose(TURNS[turn]) if policy.exif == "apply" else image


def _verdict(error: Exception, data: bytes, kind: str, image: ImageFile.ImageFile | None) -> BadRecord:
    """The reason word for whatever the decoder raised."""
    if isinstance(error, UnidentifiedImageError):
        error = _inner_error(data, kind) or error
    words = words_of(error)
    said = words.lower()
    if isinstance(error, MemoryError):
        return BadRecord("too_many_pixels", f"{kind}: there is not enough memory to decode it")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return BadRecord("too_many_pixels", f"{kind}: {words}")
    if "truncated" in said or "unexpected end" in said or "not enough image data" in said or ends_early(data, kind, image):
        return BadRecord("truncated", f"{kind} ends early: {words}")
    odd_bands = "pixel mode" in said or "samples per pixel" in said or "data organization" in said
    if kind == "tiff" and image is None and odd_bands and (bands := describe_tiff(data)):
        return BadRecord("unsupported_mode", f"tiff: {bands}: no image of grey, RGB or CMYK")
    if "pixel mode" in said or "data organization" in said or "unsupported" in said or "cannot handle" in said:
        return BadRecord("unsupported_mode", f"{kind}: {words}")
    if image is None and kind in ("bmp", "tiff", "ppm"):
        # A signature of two or four letters does not prove that the file is an image.
        return BadRecord("not_an_image", f"it begins like a {kind} file, but {words}")
    return BadRecord("damaged", f"{kind}: {words}")


def _inner_error(data: bytes, kind: str) -> Exception | None:
    """Why Pillow's reader for the format refused the file: `Image.open` says only that no reader could read it."""
    try:
        Image.OPEN[_PILLOW.get(kind, kind).upper()][0](io.BytesIO(data), "")
    except Exception as error:
        return error
    return None
