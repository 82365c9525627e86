"""ICC profiles: the numbers in a file as those of sRGB (``icc: convert``).

LittleCMS converts, through Pillow, with its defaults: 8 bits, perceptual intent. A grey profile keeps an image grey, a CMYK profile is used
instead of Pillow's plain conversion, alpha is carried over. A profile that moves no colour of a grid of 17 x 17 x 17 (a grey one, none of
the 256 values) by more than 1 is sRGB under another name: the numbers stay. Profiles that do not open, or are of another colour space than
the pixels, are ignored with a note.

What a profile does is found out once in a process, by its digest, and kept.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from threading import Lock
from typing import Any

from PIL import Image

from refinery_beam.plugins.image_classification.codecs.words import words_of
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.notes import note

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
"""The colour space a profile states, by the Pillow mode that it is for."""

_KEPT = 64

_known: OrderedDict[tuple[bytes, str], Any] = OrderedDict()
_lock = Lock()


def converted(image: Image.Image, profile: bytes) -> Image.Image:
    """An image of mode L, LA, RGB, RGBA or CMYK in sRGB: L and LA stay grey, CMYK becomes RGB. The same image if there is nothing to do.

    Raises BadRecord ``unsupported_mode`` where Pillow has no LittleCMS.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    plain = {"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode)
    transform = _transform(profile, plain)
    if transform is None:
        return image
    colours = image if alpha is None else image.convert("RGB") if plain == "RGB" else image.getchannel("L")
    done: Image.Image = transform.apply(colours)
    if plain == "L":
        done = done.convert("L")
    if alpha is not None:
        done.putalpha(alpha)
    return done


def _transform(profile: bytes, mode: str) -> Any:
    """The conversion of a profile's colours to sRGB; None where the numbers stay."""
    key = (hashlib.sha256(profile).digest(), mode)
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            found, problem = _known[key]
        else:
            found, problem = _known[key] = _built(profile, mode)
            if len(_known) > _KEPT:
                _known.popitem(last=False)
    if problem:
        note(problem)
    return found


def _built(profile: bytes, mode: str) -> tuple[Any, str]:
    """The conversion, or None, and the word of a note, or ''."""
    try:
        from PIL import ImageCms

        srgb = ImageCms.createProfile("sRGB")
    except ImportError as error:
        raise BadRecord("unsupported_mode", f"ICC profiles need LittleCMS: {words_of(error)}") from error
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space != _SPACES[mode]:
            return None, "profile_ignored"
        transform = ImageCms.buildTransform(opened, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None, "profile_ignored"
    return (None, "") if mode != "CMYK" and _is_srgb(transform, mode) else (transform, "")


def _is_srgb(transform: Any, mode: str) -> bool:
    steps = [min(255, 16 * k) for k in range(17)]
    values = bytes(v for r in steps for g in steps for b in steps for v in (r, g, b)) if mode == "RGB" else bytes(range(256))
    size = (17 * 17, 17) if mode == "RGB" else (256, 1)
    before = Image.frombytes(mode, size, values)
    after = transform.apply(before).tobytes()
    return all(abs(a - b) <= 1 for a, b in zip(before.convert("RGB").tobytes(), after, strict=True))
