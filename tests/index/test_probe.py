from __future__ import annotations

import copy
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from refinery_beam.index import BadHeader, HeaderFact, probe_file

Put = Callable[..., Path]


@pytest.mark.parametrize(
    ("mode", "name", "fact"),
    [
        ("RGB", "a.png", HeaderFact("PNG", (5, 3), "RGB", 1)),
        ("P", "a.gif", HeaderFact("GIF", (5, 3), "P", 1)),
        ("CMYK", "a.jpg", HeaderFact("JPEG", (5, 3), "CMYK", 1)),
        ("L", "a.webp", HeaderFact("WEBP", (5, 3), "RGB", 1)),
        ("I;16", "a.tif", HeaderFact("TIFF", (5, 3), "I;16", 1)),
        ("RGB", "a.bmp", HeaderFact("BMP", (5, 3), "RGB", 1)),
    ],
)
def test_formats(tmp_path: Path, mode: str, name: str, fact: HeaderFact) -> None:
    Image.new(mode, (5, 3)).save(tmp_path / name)
    assert probe_file(str(tmp_path / name)) == fact


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_orientation(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 3)).save(tmp_path / name, exif=exif)
    fact = probe_file(str(tmp_path / name))
    assert (fact.size, fact.orientation, fact.shown_size) == ((5, 3), 6, (3, 5))


def test_nothing_is_decoded(tmp_path: Path) -> None:
    # A PNG whose pixel data is missing altogether.
    def chunk(word: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + word + data + struct.pack(">I", zlib.crc32(word + data))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")
    (tmp_path / "a.png").write_bytes(head)
    assert probe_file(str(tmp_path / "a.png")) == HeaderFact("PNG", (640, 480), "RGB", 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (b"this is text", "not_an_image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\xff\xd8\xff\xe0", "truncated"),
        (b"GIF89a", "truncated"),
        (b"RIFF\0\0\0\0WAVE", "not_an_image"),
        (b"P6 5 3 255\n" + bytes(45), "not_an_image"),
    ],
)
def test_garbage(put: Put, content: bytes, reason: str) -> None:
    with pytest.raises(BadHeader) as caught:
        probe_file(str(put("x.png", content)))
    assert caught.value.reason == reason
    assert "x.png" not in caught.value.detail
    assert copy.copy(caught.value).args == caught.value.args  # workers send it by __reduce__


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadHeader) as caught:
        probe_file(str(tmp_path / "x.png"))
    assert (caught.value.reason, caught.value.detail) == ("unreadable", "no such file or directory")


def test_a_bomb_is_named(put: Put) -> None:
    # 60000 x 60000 in the header, nothing behind it.
    head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    with pytest.raises(BadHeader) as caught:
        probe_file(str(put("x.bmp", head)))
    assert caught.value.reason == "too_many_pixels"
