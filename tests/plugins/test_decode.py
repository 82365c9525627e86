"""From file bytes to pixels: limits, reasons, frames, threads."""

from __future__ import annotations

import pickle
import random
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.decode import decode, read_header
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy
from support.image_files import FILES, LIMITS, POLICY, REASONS, picture, pixels, png, reason, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_ends_early_is_truncated(name: str, share: float) -> None:
    data = FILES[name]
    assert reason(data[: int(len(data) * share)]) == "truncated"


@pytest.mark.parametrize("name", FILES)
def test_no_cut_ever_gives_other_pixels(name: str) -> None:
    data = FILES[name]
    whole = decode(data, policy=POLICY, limits=LIMITS).tobytes()
    for cut in range(1, len(data), 7):
        try:
            assert decode(data[:cut], policy=POLICY, limits=LIMITS).tobytes() == whole
        except BadRecord as error:
            assert error.reason in ("truncated", "not_an_image")


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "bmp", "tiff"])
def test_random_damage_gives_a_reason_or_an_image_and_never_another_error(name: str) -> None:
    rng = random.Random(name)
    for _ in range(60):
        data = bytearray(FILES[name])
        for _ in range(rng.choice((1, 2, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            decode(bytes(data), policy=POLICY, limits=DecodeLimits(max_pixels=10**6))
        except BadRecord as error:
            assert error.reason in REASONS


@pytest.mark.parametrize(
    "data", [b"not a picture at all", b"\0" * 500, b"BMW is a car, not a bitmap", b"\x89PNG\n" * 9, b"II*\0" + b"x" * 90]
)
def test_garbage_is_not_an_image(data: bytes) -> None:
    assert reason(data) in ("not_an_image", "truncated" if data[:2] == b"II" else "not_an_image")


def test_empty() -> None:
    assert reason(b"") == "empty_file"


def test_damage_is_not_called_truncation() -> None:
    data = bytearray(FILES["png"])
    data[len(data) // 2] ^= 0xFF
    assert reason(bytes(data)) == "damaged"


def test_a_bomb_is_refused_by_its_header() -> None:
    bomb = png(60_000, 60_000, (b"IDAT", zlib.compress(b"\0")))
    assert len(bomb) < 100
    assert reason(bomb) == "too_many_pixels"
    with pytest.raises(BadRecord, match="60000 x 60000 = 3600000000 pixels, the limit is 178956970"):
        read_header(bomb, policy=POLICY, limits=LIMITS)


def test_a_webp_bomb_is_refused_before_its_reader_sees_it() -> None:
    data = b"RIFF" + (22).to_bytes(4, "little") + b"WEBPVP8X" + (10).to_bytes(4, "little") + b"\0\0\0\0" + b"\xff\xff\xff" * 2
    assert reason(data) == "too_many_pixels"


def test_limits_are_inclusive() -> None:
    exact = DecodeLimits(max_pixels=40 * 30, max_bytes=len(FILES["png"]))
    assert decode(FILES["png"], policy=POLICY, limits=exact).size == (40, 30)
    assert reason(FILES["png"], limits=DecodeLimits(max_pixels=40 * 30 - 1)) == "too_many_pixels"
    assert reason(FILES["png"], limits=DecodeLimits(max_bytes=len(FILES["png"]) - 1)) == "too_large_file"


def test_formats_are_an_allow_list_by_content() -> None:
    only = DecodeLimits(formats=("jpg",))
    assert decode(FILES["jpeg"], policy=POLICY, limits=only).mode == "RGB"
    with pytest.raises(BadRecord, match="unsupported_format: a PNG file; accepted here: jpeg"):
        decode(FILES["png"], policy=POLICY, limits=only)
    assert reason(b"%PDF-1.7 ...") == "unsupported_format"
    assert reason(b"\0\0\0\x1cftypheic....") == "unsupported_format"
    with pytest.raises(ValueError, match="1 validation error for DecodeLimits"):
        DecodeLimits(formats=("png", "exe"))


@pytest.mark.parametrize("raised", [SyntaxError("x"), struct.error("y"), ValueError("z"), OSError("w"), zlib.error("v"), KeyError("k")])
def test_whatever_a_decoder_raises_becomes_a_reason(monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    def broken(self: Any) -> None:
        raise raised

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", broken)
    assert reason(FILES["png"]) == "damaged"


def test_out_of_memory_is_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", broken)
    assert reason(FILES["png"]) == "too_many_pixels"


def test_details_hold_no_addresses_and_no_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any) -> None:
        raise OSError("cannot read <_io.BytesIO object at 0x7f1234567890> of /home/someone/secret/file.png at 0xdeadbeef00")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", broken)
    with pytest.raises(BadRecord) as caught:
        decode(FILES["png"], policy=POLICY, limits=LIMITS)
    assert caught.value.detail == "png: cannot read (data) of (path) at (data)"


def test_reasons_survive_pickling() -> None:
    again = pickle.loads(pickle.dumps(BadRecord("truncated", "it ends")))  # noqa: S301
    assert (again.reason, again.detail, str(again)) == ("truncated", "it ends", "truncated: it ends")


def test_pillow_globals_do_not_decide() -> None:
    assert Image.MAX_IMAGE_PIXELS is None and ImageFile.LOAD_TRUNCATED_IMAGES is False


DECODES = """
import io, sys
from PIL import Image
from refinery_beam.plugins.image_classification.codecs.decode import *
from refinery_beam.plugins.image_classification.policy import *
from refinery_beam.plugins.kind import BadRecord
def save(image, form, **options):
    file = io.BytesIO(); image.save(file, form, **options); return file.getvalue()
"""
ODD_METADATA = """
image = Image.new("RGB", (8, 8))
palette = image.quantize(4)
palette.info["transparency"] = bytes([0, 128, 255])
files = [
    save(image, "JPEG", exif=b"Exif\\0\\0MM\\0*\\0\\0\\0\\x08\\xff\\xffgarbage"),
    save(palette, "PNG"),
    save(image, "TIFF").replace(b"\\x01\\x01\\x03\\0\\x01\\0\\0\\0", b"\\x01\\x01\\x03\\0\\x03\\0\\0\\0"),
    save(image, "PNG")[:60], b"junk", save(image, "WEBP")[:30],
]
for data in files:
    try:
        decode(data, policy=DecodePolicy(), limits=DecodeLimits())
    except BadRecord:
        pass
"""
MANY_PIXELS = """
big = Image.new("L", (14000, 13000))
decode(save(big, "PNG", compress_level=1), policy=DecodePolicy(mode="L"), limits=DecodeLimits(max_pixels=10**9))
"""


@pytest.mark.parametrize("code", [ODD_METADATA, pytest.param(MANY_PIXELS, marks=pytest.mark.slow)], ids=["metadata", "many pixels"])
def test_nothing_is_printed_about_odd_pictures(code: str) -> None:
    done = subprocess.run([sys.executable, "-W", "default", "-c", DECODES + code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame(form: str) -> None:
    first, second = picture().quantize(64).convert("RGB"), picture().transpose(Image.Transpose.ROTATE_180)
    options = {"lossless": True} if form == "WEBP" else {}
    data = saved(first, form, save_all=True, append_images=[second, second], **options)
    assert np.array_equal(pixels(data), np.asarray(first))


def test_draft_is_only_on_request_and_never_below_the_target() -> None:
    data = saved(picture(width=400, height=300), "JPEG")

    def size(draft: bool, target: tuple[int, int] | None) -> tuple[int, int]:
        return decode(data, policy=DecodePolicy(draft=draft), limits=LIMITS, target=target).size

    assert size(False, (50, 50)) == (400, 300)
    assert size(True, None) == (400, 300)
    assert size(True, (100, 100)) == (200, 150)
    assert size(True, (50, 30)) == (50, 38)
    assert size(True, (399, 10)) == (400, 300)


def test_threads_see_the_same_pixels() -> None:
    files = list(FILES.values()) * 8
    serial = [decode(d, policy=POLICY, limits=LIMITS).tobytes() for d in files]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda d: decode(d, policy=POLICY, limits=LIMITS).tobytes(), files)) == serial


@pytest.mark.parametrize("name", FILES)
def test_read_header_agrees_with_decode(name: str) -> None:
    assert read_header(FILES[name], policy=POLICY, limits=LIMITS) == decode(FILES[name], policy=POLICY, limits=LIMITS).size
