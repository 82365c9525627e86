"""The files that real folders hold and tidy tests forget: damaged ones, and good ones that are read wrongly when one is not careful.

`awkward_files` writes one of each and says what a careful reader makes of it under the default decode policy (colour RGB, EXIF orientation
applied, transparency over white, first frame).
"""

from __future__ import annotations

import io
import struct
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from refinery_beam.testing.drawing import SIZE, class_folders, draw, save_options

_TRANSPOSE = Image.Transpose
# How to store an upright picture so that a viewer who obeys the EXIF orientation shows it upright again.
_STORED_AS: dict[int, Image.Transpose | None] = {
    1: None,
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_90,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_270,
}
_ORIENTATION_TAG = 0x0112


class AwkwardFile(NamedTuple):
    """One such file. ``reason`` is the stable word for why it cannot be used, or '' when it can; ``size`` is (width, height) as shown."""

    path: Path
    reason: str
    size: tuple[int, int]
    about: str


def awkward_files(root: str | Path, *, size: tuple[int, int] = SIZE, seed: int = 0) -> list[AwkwardFile]:
    """Write one of each awkward file into `root` and say what each is; sorted by path.

    All of the readable ones show ``draw("circle", 0)``, as far as their format can.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    picture = draw("circle", 0, size=size, seed=seed)
    made: list[AwkwardFile] = []

    def add(name: str, content: bytes, about: str, *, reason: str = "") -> None:
        (root / name).write_bytes(content)
        made.append(AwkwardFile(root / name, reason, size, about))

    jpeg = _encoded(picture, "jpg")
    add("truncated.jpg", jpeg[: len(jpeg) * 2 // 3], "a JPEG that ends after two thirds", reason="truncated")
    add("text.png", b"These are words, not pixels.\n", "text under an image's name", reason="not_an_image")
    add("empty.png", b"", "no byte at all", reason="empty_file")
    add("bomb.png", _bomb(), "a header that asks for 60000 x 60000 pixels", reason="too_many_pixels")

    for orientation, step in _STORED_AS.items():
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = orientation
        stored = picture if step is None else picture.transpose(step)
        add(f"exif_{orientation}.jpg", _encoded(stored, "jpg", exif=exif), f"EXIF orientation {orientation}")

    for name, convert, about in _MODES:
        add(name, _encoded(convert(picture), name.rpartition(".")[2]), about)
    add("jpeg_inside.png", jpeg, "a JPEG under a PNG's name")
    add("UPPER.PNG", _encoded(picture, "png"), "an extension in capitals")
    add("with some spaces.png", _encoded(picture, "png"), "spaces in its name")
    add(unicodedata.normalize("NFC", "composé.png"), _encoded(picture, "png"), "a name in composed Unicode (NFC)")
    add(unicodedata.normalize("NFD", "décomposé.png"), _encoded(picture, "png"), "a name in decomposed Unicode (NFD)")
    frames = [draw("circle", i, size=size, seed=seed).quantize(64) for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100)
    add("animated.gif", buffer.getvalue(), "three frames; the first one counts")
    return sorted(made)


def awkward_folders(root: str | Path, *, per_class: int = 12, size: tuple[int, int] = SIZE, seed: int = 0) -> list[Path]:
    """Class folders with trouble in them: ``root/plain/`` holds ordinary pictures, ``root/odd/`` one of each awkward file. Sorted."""
    root = Path(root)
    plain = class_folders(root, classes=("plain",), per_class=per_class, size=size, seed=seed)
    return sorted([*plain, *(f.path for f in awkward_files(root / "odd", size=size, seed=seed))])


def _encoded(image: Image.Image, suffix: str, *, exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    options = save_options(f".{suffix}")
    if exif is not None:
        options["exif"] = exif
    image.save(buffer, {"jpg": "JPEG"}.get(suffix, suffix.upper()), **options)
    return buffer.getvalue()


def _see_through(image: Image.Image) -> Image.Image:
    """RGBA: the left half clear, the rest opaque."""
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, image.width // 2, image.height))
    result = image.convert("RGBA")
    result.putalpha(alpha)
    return result


def _clear_palette(image: Image.Image) -> Image.Image:
    result = image.quantize(64)
    result.info["transparency"] = 0
    return result


def _sixteen_bits(image: Image.Image) -> Image.Image:
    # 257 maps 0..255 onto 0..65535 exactly, so reading it right gives the grey picture back.
    return Image.frombytes("I;16", image.size, b"".join(struct.pack("<H", value * 257) for value in image.convert("L").tobytes()))


_MODES: tuple[tuple[str, Callable[[Image.Image], Image.Image], str], ...] = (
    ("palette.png", lambda image: image.quantize(64), "palette colours"),
    ("palette_clear.png", _clear_palette, "palette colours, one of them transparent"),
    ("cmyk.jpg", lambda image: image.convert("CMYK"), "four-colour CMYK"),
    ("sixteen_bit.png", _sixteen_bits, "16 bits a pixel"),
    ("grey.png", lambda image: image.convert("L"), "grey levels"),
    ("grey_clear.png", lambda image: _see_through(image).convert("LA"), "grey levels with transparency"),
    ("rgba.png", _see_through, "colour with transparency"),
    ("one_bit.png", lambda image: image.convert("1"), "black and white, one bit a pixel"),
)


def _bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
