"""What the codecs on this machine do, as a digest: part of the key of every dataset.

Version strings say too much and too little. An upgrade of Pillow that changes no pixel should keep every cache, and two builds of one
version may link different JPEG libraries. So a handful of small images is decoded, a generated pattern is resized with every filter,
converted and encoded, and the results are hashed. It takes a few milliseconds and no NumPy, because it runs before the cache is looked
up.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from PIL import Image, ImageEnhance

from refinery_beam.identity import digest
from refinery_beam.plugins.image_classification.codecs.calibration import CALIBRATION, HEIC, wide_profile
from refinery_beam.plugins.image_classification.codecs.decode import decode
from refinery_beam.plugins.image_classification.codecs.encode import encode
from refinery_beam.plugins.image_classification.codecs.heic import register
from refinery_beam.plugins.image_classification.codecs.icc import converted
from refinery_beam.plugins.image_classification.codecs.strict import checker, prove
from refinery_beam.plugins.image_classification.ops.corruptions import jpeg_compression
from refinery_beam.plugins.image_classification.ops.geometry import FILTERS
from refinery_beam.plugins.image_classification.policy import FORMATS, DecodeLimits, DecodePolicy
from refinery_beam.plugins.kind import BadRecord

ABSENT = "absent"
"""The word for a codec this machine does not have."""

_WIDTH, _HEIGHT = 61, 43
_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def codec_fingerprint(*, strict: bool = False, heic: bool = False, unused: Sequence[str] = ()) -> str:
    """64 hex digits over `codec_parts`; equal where the codecs give equal pixels and bytes, and if `strict` refuse the same damage.

    Parts whose names begin like one of `unused` are left out.

    `heic` adds that format. EnvironmentFault ``missing-extra`` if `strict` and simplejpeg, or `heic` and pillow-heif, is not installed.

    >>> len(codec_fingerprint())
    64
    """
    parts = used_parts(strict=strict, heic=heic, unused=unused)
    return digest("codecs", *(f"{name}={part}" for name, part in sorted(parts.items()))).hex()


def used_parts(*, strict: bool = False, heic: bool = False, unused: Sequence[str] = ()) -> dict[str, str]:
    """The parts that `codec_fingerprint` is the digest of; it raises the same."""
    parts = {name: part for name, part in codec_parts().items() if not name.startswith(tuple(unused))}
    if strict:
        parts["strict-jpeg"] = _refusals()
    if heic:
        register()
        parts["decode-heic"] = _outcome(_decoder("heic"))
    return parts


@lru_cache(maxsize=1)
def sketch_fingerprint() -> str:
    """64 hex digits over what makes sketches and thumbnails on this machine: Pillow's box reduction, and its JPEG encoder."""
    pattern = _pattern()
    reduced = b"".join(one.reduce(k).tobytes() for one in (pattern, pattern.getchannel("R")) for k in (2, 3, 4, 5, 7))
    return digest("sketches", reduced, encode(pattern, "jpeg", quality=90)).hex()


def _refusals() -> str:
    """Which of some damaged JPEG files are refused, and in which words."""
    checker()
    found = []
    for name in ("jpeg_420", "jpeg_progressive", "jpeg_cmyk"):
        data = base64.b64decode(CALIBRATION[name])
        for at in range(len(data) // 2, len(data), 7):
            copy = bytearray(data)
            copy[at] ^= 0x10
            try:
                prove(bytes(copy), "jpeg", {})
                found.append("")
            except BadRecord as error:
                found.append(error.detail)
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def codec_parts() -> dict[str, str]:
    """Part name -> 16 hex digits, or 'absent': ``decode-*`` by format, ``resize-*`` by filter, ``convert-*``, ``encode-*``.

    Comparing two of these says which codec changed.

    >>> "resize-bilinear" in codec_parts()
    True
    """
    return dict(_parts())


@lru_cache(maxsize=1)
def _parts() -> tuple[tuple[str, str], ...]:
    checks: dict[str, Callable[[], bytes]] = {f"decode-{name}": _decoder(name) for name in CALIBRATION}
    checks["decode-jpeg_draft"] = _decoder("jpeg_420", target=(18, 10))
    pattern, plane = _pattern(), _pattern().getchannel("G").convert("F")
    for name, method in FILTERS.items():
        checks[f"resize-{name}"] = _resizer(pattern, plane, method)
    checks["convert-luma"] = lambda: pattern.convert("L").tobytes()
    checks["convert-cmyk"] = lambda: Image.frombytes("CMYK", (_WIDTH, _HEIGHT), _noise(4)).convert("RGB").tobytes()
    checks["convert-ycbcr"] = lambda: Image.frombytes("YCbCr", (_WIDTH, _HEIGHT), _noise(3)).convert("RGB").tobytes()
    checks["convert-alpha"] = _blended
    checks["convert-icc"] = lambda: converted(pattern, wide_profile()).tobytes()
    checks["convert-hsv"] = lambda: (
        pattern.convert("HSV").tobytes() + Image.frombytes("HSV", pattern.size, _noise(3)).convert("RGB").tobytes()
    )
    checks["convert-enhance"] = lambda: b"".join(kind(pattern).enhance(f).tobytes() for kind in _ENHANCERS for f in (0.37, 1.61))
    checks["convert-rotate"] = lambda: pattern.rotate(33.3, Image.Resampling.BILINEAR, fillcolor=(9, 9, 9)).tobytes()
    checks["encode-jpeg_low"] = lambda: jpeg_compression(pattern, 4).tobytes()
    checks["encode-png"] = lambda: encode(pattern, "png")
    checks["encode-webp"] = lambda: encode(pattern, "webp", quality=90)
    checks["encode-jpeg"] = lambda: encode(pattern, "jpeg", quality=90)
    return tuple((name, _outcome(check)) for name, check in sorted(checks.items()))


def _outcome(check: Callable[[], bytes]) -> str:
    try:
        return hashlib.sha256(check()).hexdigest()[:16]
    except Exception:
        # Whatever keeps a codec from a known good image, it cannot be used here; that is what the key must say.
        return ABSENT


def _decoder(name: str, target: tuple[int, int] | None = None) -> Callable[[], bytes]:
    policy, limits = DecodePolicy(draft=target is not None), DecodeLimits(formats=(*FORMATS, "heic"))

    def check() -> bytes:
        image = decode(base64.b64decode(CALIBRATION.get(name, HEIC)), policy=policy, limits=limits, target=target)
        return b"%d %d " % image.size + image.tobytes()

    return check


def _resizer(pattern: Image.Image, plane: Image.Image, method: Image.Resampling) -> Callable[[], bytes]:
    def check() -> bytes:
        down, up = pattern.resize((23, 17), method), pattern.resize((97, 71), method)
        part = pattern.resize((31, 31), method, (3.25, 0.5, 44.0, 41.25))
        return down.tobytes() + up.tobytes() + part.tobytes() + plane.resize((19, 29), method).tobytes()

    return check


def _blended() -> bytes:
    image = Image.frombytes("RGBA", (_WIDTH, _HEIGHT), _noise(4))
    ground = Image.new("RGB", image.size, (255, 255, 255))
    ground.paste(image, (0, 0), image.getchannel("A"))
    return ground.tobytes()


def _noise(planes: int) -> bytes:
    return hashlib.shake_128(b"refinery-beam codec fingerprint").digest(_WIDTH * _HEIGHT * planes)


def _pattern() -> Image.Image:
    """A gradient in every channel, with an edge, under noise of an eighth of the range."""
    values = bytes(
        ((x * step + y * other) % 224) + (noise >> 3)
        for (x, y, step, other), noise in zip(
            ((x, y, step, other) for y in range(_HEIGHT) for x in range(_WIDTH) for step, other in ((3, 1), (1, 4), (7, 5))),
            _noise(3),
            strict=True,
        )
    )
    return Image.frombytes("RGB", (_WIDTH, _HEIGHT), values)
