"""From file bytes to pixels: every colour mode becomes the one that is asked for."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.colour import coloured
from refinery_beam.plugins.image_classification.codecs.decode import decode, read_header
from support.image_files import FILES, LIMITS, POLICY, picture, pixels, png, reason, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


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
