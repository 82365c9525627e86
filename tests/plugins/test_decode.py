"""From file bytes to pixels: limits, reasons, colours, frames, threads."""

from __future__ import annotations

import io
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

from refinery_beam.errors import EnvironmentFault
from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.colour import coloured
from refinery_beam.plugins.image_classification.codecs.decode import decode, read_header
from refinery_beam.plugins.image_classification.codecs.heic import register
from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy

POLICY, LIMITS = DecodePolicy(), DecodeLimits()
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
REASONS = {
    "truncated",
    "damaged",
    "not_an_image",
    "empty_file",
    "too_many_pixels",
    "too_large_file",
    "unsupported_mode",
    "unsupported_format",
}


def picture(mode: str = "RGB", width: int = 40, height: int = 30) -> Image.Image:
    planes = len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, (width, height), bytes((i * 7 + (i * i >> 5)) & 255 for i in range(width * height * planes)))


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def reason(data: bytes, policy: DecodePolicy = POLICY, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(BadRecord) as caught:
        decode(data, policy=policy, limits=limits)
    assert caught.value.reason in REASONS
    assert caught.value.detail and "0x" not in caught.value.detail and " object at " not in caught.value.detail
    return caught.value.reason


def pixels(data: bytes, **policy: Any) -> np.ndarray:
    return np.asarray(decode(data, policy=DecodePolicy(**policy), limits=LIMITS))


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2) -> bytes:
    """A PNG put together by hand."""
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    parts = [len(d).to_bytes(4, "big") + k + d + zlib.crc32(k + d).to_bytes(4, "big") for k, d in (head, *chunks, (b"IEND", b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


FILES = {
    "jpeg": saved(picture(), "JPEG"),
    "progressive": saved(picture(), "JPEG", progressive=True),
    "png": saved(picture(), "PNG"),
    "gif": saved(picture().quantize(64), "GIF"),
    "webp": saved(picture(), "WEBP"),
    "webp-lossless": saved(picture(), "WEBP", lossless=True),
    "bmp": saved(picture(), "BMP"),
    "tiff": saved(picture(), "TIFF"),
    "tiff-lzw": saved(picture(), "TIFF", compression="tiff_lzw"),
}

# -- reasons ------------------------------------------------------------------------------------------------------------------------


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


def test_nothing_is_printed_about_odd_metadata() -> None:
    code = """
import io, sys
from PIL import Image
from refinery_beam.plugins.image_classification.codecs.decode import *
from refinery_beam.plugins.image_classification.policy import *
from refinery_beam.plugins.kind import BadRecord
def save(image, form, **options):
    file = io.BytesIO(); image.save(file, form, **options); return file.getvalue()
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
big = Image.new("L", (14000, 13000))
decode(save(big, "PNG"), policy=DecodePolicy(mode="L"), limits=DecodeLimits(max_pixels=10**9))
"""
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- colours ------------------------------------------------------------------------------------------------------------------------


def over(image: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    """What `alpha: white|black` states, in exact integers: (a * c + (255 - a) * ground) / 255, halves up."""
    a = alpha.astype(int)[..., None] if image.ndim == 3 else alpha.astype(int)
    return ((a * image + (255 - a) * ground) * 2 + 255) // 510


def test_rgb_is_as_decoded() -> None:
    assert np.array_equal(pixels(FILES["png"]), np.asarray(picture()))
    assert np.array_equal(pixels(FILES["jpeg"]), np.asarray(Image.open(io.BytesIO(FILES["jpeg"])).convert("RGB")))


def test_grey_is_replicated() -> None:
    grey = picture("L")
    assert np.array_equal(pixels(saved(grey, "PNG")), np.repeat(np.asarray(grey)[..., None], 3, axis=2))
    assert np.array_equal(pixels(saved(grey, "PNG"), mode="L"), np.asarray(grey))


def test_luma_of_colours() -> None:
    rgb = np.asarray(picture()).astype(int)
    expected = (19595 * rgb[..., 0] + 38470 * rgb[..., 1] + 7471 * rgb[..., 2] + 32768) >> 16
    assert np.array_equal(pixels(FILES["png"], mode="L"), expected)


def test_palettes_become_their_colours() -> None:
    palette = picture().quantize(32)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(pixels(saved(palette, "PNG")), expected)
    assert np.array_equal(pixels(saved(palette, "GIF")), expected)
    assert np.array_equal(pixels(saved(palette, "PNG"), mode="keep"), expected)


def test_one_bit_becomes_black_and_white() -> None:
    bits = picture("L").point(lambda v: 255 * (v > 99)).convert("1")
    expected = np.asarray(bits).astype(np.uint8) * 255
    assert set(np.unique(expected)) == {0, 255}
    assert np.array_equal(pixels(saved(bits, "PNG"), mode="L"), expected)
    assert np.array_equal(pixels(saved(bits, "PNG"))[..., 2], expected)
    assert np.array_equal(pixels(saved(bits, "PNG"), mode="keep"), expected)


@pytest.mark.parametrize(("alpha", "ground"), [("white", 255), ("black", 0)])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_alpha_is_laid_over_the_ground(alpha: str, ground: int, form: str) -> None:
    values = np.asarray(picture("RGBA"))
    assert np.array_equal(pixels(saved(picture("RGBA"), form), alpha=alpha), over(values[..., :3], values[..., 3], ground))
    grey = np.asarray(picture("LA"))
    expected = over(grey[..., 0], grey[..., 1], ground)
    assert np.array_equal(pixels(saved(picture("LA"), form), alpha=alpha, mode="L"), expected)
    assert np.array_equal(pixels(saved(picture("LA"), form), alpha=alpha), np.repeat(expected[..., None], 3, axis=2))


def test_alpha_can_be_dropped_or_kept() -> None:
    values = np.asarray(picture("RGBA"))
    data = saved(picture("RGBA"), "PNG")
    assert np.array_equal(pixels(data, alpha="drop"), values[..., :3])
    assert np.array_equal(pixels(data, mode="RGBA"), values)
    assert np.array_equal(pixels(data, mode="keep"), values)
    assert np.array_equal(pixels(FILES["png"], mode="RGBA")[..., 3], np.full((30, 40), 255))
    assert np.array_equal(pixels(saved(picture("LA"), "PNG"), alpha="drop", mode="L"), np.asarray(picture("LA"))[..., 0])
    assert pixels(saved(picture("LA"), "PNG"), mode="keep").shape == (30, 40, 2)


def test_transparent_palette_entries() -> None:
    palette = picture().quantize(8)
    index, colours = np.asarray(palette), np.asarray(palette.getpalette("RGB")).reshape(-1, 3)
    opacity = np.array([0, 40, 255, 128, 255, 255, 1, 254])
    data = saved(palette, "PNG", transparency=bytes(opacity.tolist()))
    assert np.array_equal(pixels(data), over(colours[index], opacity[index], 255))
    assert np.array_equal(pixels(data, alpha="drop"), colours[index])
    assert np.array_equal(pixels(data, mode="keep"), np.dstack([colours[index], opacity[index]]))
    gif = saved(palette, "GIF", transparency=3)
    assert np.array_equal(pixels(gif, alpha="black"), over(colours[index], 255 * (index != 3), 0))


def test_colour_keys_of_png() -> None:
    image = picture()
    key = image.getpixel((5, 5))
    data = saved(image, "PNG", transparency=key)
    values = np.asarray(image).copy()
    hit = (values == key).all(axis=2)
    assert hit.any() and not hit.all()
    assert np.array_equal(pixels(data, alpha="drop"), values)
    values[hit] = 255
    assert np.array_equal(pixels(data), values)
    grey = picture("L")
    keyed = np.asarray(grey).copy()
    keyed[keyed == 0] = 255
    assert np.array_equal(pixels(saved(grey, "PNG", transparency=0), mode="L"), keyed)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form: str) -> None:
    data = saved(picture("CMYK"), form)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(pixels(data), expected)
    white = pixels(saved(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), form))
    assert (white == 255).all()
    assert pixels(data, mode="keep").shape == (30, 40, 3)


def test_sixteen_bits_are_shifted_not_clipped() -> None:
    values = np.arange(0, 65536, 55, dtype=np.uint16)[:1190].reshape(34, 35)
    expected = (values >> 8).astype(np.uint8)
    png16 = saved(Image.fromarray(values), "PNG")
    assert np.array_equal(pixels(png16, mode="L"), expected)
    assert np.array_equal(pixels(png16)[..., 1], expected)
    assert np.array_equal(pixels(saved(Image.fromarray(values), "TIFF"), mode="L"), expected)
    big = saved(Image.frombytes("I;16B", (35, 34), values.astype(">u2").tobytes()), "TIFF")
    assert np.array_equal(pixels(big, mode="L"), expected)
    wide = saved(Image.fromarray(values.astype(np.int32)), "TIFF")
    assert np.array_equal(pixels(wide, mode="L"), expected)
    kept = pixels(png16, mode="keep")
    assert kept.dtype == np.uint16 and np.array_equal(kept, values)
    assert np.array_equal(pixels(big, mode="keep"), values)


def test_sixteen_bit_colours_are_shifted() -> None:
    values = ((np.arange(3 * 35 * 34) * 977) % 65536).astype(">u2").reshape(34, 35, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = png(35, 34, (b"IDAT", zlib.compress(rows)), depth=16)
    assert np.array_equal(pixels(data), values >> 8)


@pytest.mark.parametrize("value", [-1, 65_536, 2**31 - 1])
def test_wider_integers_have_no_eight_bit_form(value: int) -> None:
    data = saved(Image.fromarray(np.array([[1, value]], np.int32)), "TIFF")
    assert reason(data) == "unsupported_mode"
    assert pixels(data, mode="keep").tolist() == [[1, value]]


def test_floats_only_when_kept() -> None:
    data = saved(Image.fromarray(np.array([[0.5, -3.0]], np.float32)), "TIFF")
    assert reason(data) == "unsupported_mode"
    with pytest.raises(BadRecord, match="1 band of float32"):
        read_header(data, policy=POLICY, limits=LIMITS)
    assert pixels(data, mode="keep").tolist() == [[0.5, -3.0]]


def test_lab_and_ycbcr_become_rgb() -> None:
    lab = saved(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")
    assert pixels(lab).shape == (4, 4, 3)
    # Pillow's readers give YCbCr only when asked to, so this one is made by hand.
    ycbcr = coloured(Image.new("YCbCr", (4, 4), (100, 128, 128)), POLICY)
    assert np.array_equal(np.asarray(ycbcr), np.full((4, 4, 3), 100))


def test_metadata_ends_here() -> None:
    data = saved(picture(), "PNG", icc_profile=b"profile" * 20, dpi=(300, 300))
    assert decode(data, policy=POLICY, limits=LIMITS).info == {}
    assert np.array_equal(pixels(data), np.asarray(picture()))


# -- frames, draft, threads -----------------------------------------------------------------------------------------------------


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


# -- formats ------------------------------------------------------------------------------------------------------------------------

OTHERS = {
    "PPM": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG2000": {},
}


@pytest.mark.parametrize("form", OTHERS)
def test_further_formats_are_as_pillow_reads_them(form: str) -> None:
    data = saved(picture(), form, **OTHERS[form])
    assert np.array_equal(pixels(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    if form != "AVIF":
        assert np.array_equal(pixels(data), np.asarray(picture()))
    assert reason(data[: len(data) // 2]) == "truncated"
    assert read_header(data, policy=POLICY, limits=LIMITS) == (40, 30)


def test_every_form_of_netpbm() -> None:
    grey = picture("L")
    bits = grey.convert("1")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert np.array_equal(pixels(saved(grey, "PPM"), mode="L"), np.asarray(grey))
    assert np.array_equal(pixels(saved(bits, "PPM"), mode="L"), np.asarray(bits) * np.uint8(255))
    assert np.array_equal(pixels(saved(wide, "PPM"), mode="L"), np.asarray(grey))
    text = b"P2 # a comment\n40 30 255\n" + b" ".join(b"%d" % v for v in grey.tobytes())
    assert np.array_equal(pixels(text, mode="L"), np.asarray(grey))
    assert reason(text[:1000]) == "truncated"
    assert reason(b"P2 players are needed for this game") == "not_an_image"


def test_avif_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(picture(), "AVIF", exif=exif)
    assert pixels(data).shape == (40, 30, 3)
    assert pixels(data, exif="ignore").shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "not_an_image: a web page; the download gave a page"),
        (b"\n  <!-- x --><HTML lang='en'>", "not_an_image: a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
            "not_an_image: a pointer of Git LFS, not the file itself; run 'git lfs pull'",
        ),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported_format: an SVG drawing"),
        (
            b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- made by hand -->\n<!DOCTYPE svg PUBLIC "x" "y" [<!ENTITY a "b">]>\n<svg/>',
            "unsupported_format: an SVG drawing",
        ),
        (b"\x76\x2f\x31\x01\x02\0\0\0", "unsupported_format: an OpenEXR file"),
        (b"DDS \x7c\0\0\0" + bytes(120), "unsupported_format: a DirectDraw surface"),
        (b"qoif\0\0\0\x01", "unsupported_format: a QOI file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_format: a HEIC file; convert it, or install refinery-beam[heic]"),
        (b"<?xml version='1.0'?><note/>", "not_an_image: its first bytes are of no known image format"),
    ],
)
def test_files_that_are_no_image_are_named(data: bytes, said: str) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(data, policy=POLICY, limits=LIMITS)
    assert str(caught.value).startswith(said)


def test_formats_have_other_names() -> None:
    assert DecodeLimits(formats=("JFIF", "jp2", "pgm", "Tif")).formats == ("jpeg", "jpeg2000", "ppm", "tiff")


# -- HEIC ---------------------------------------------------------------------------------------------------------------------------


def heic(**options: Any) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return saved(picture(), "HEIF", quality=90, **options)


def test_heic_is_read_where_a_recipe_lists_it() -> None:
    accepted = DecodeLimits(formats=("png", "HEIF"))
    assert accepted.formats == ("png", "heic")
    data = heic()
    image = decode(data, policy=POLICY, limits=accepted)
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert read_header(data, policy=POLICY, limits=accepted) == (40, 30)
    assert reason(data[: len(data) // 2], limits=accepted) == "truncated"
    assert reason(data) == "unsupported_format"


def test_heic_without_its_extra_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    register.cache_clear()
    with pytest.raises(EnvironmentFault, match="HEIC files need pillow-heif") as caught:
        decode(data, policy=POLICY, limits=DecodeLimits(formats=("heic",)))
    assert caught.value.code == "missing-extra"
    with pytest.raises(EnvironmentFault):
        codec_fingerprint(heic=True)
    monkeypatch.undo()
    assert codec_fingerprint(heic=True) not in (codec_fingerprint(), "")
