"""From file bytes to pixels: further formats, their names, and what is no image; HEIC where a recipe lists it."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.errors import EnvironmentFault
from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs.decode import decode, read_header
from refinery_beam.plugins.image_classification.codecs.heic import register
from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint
from refinery_beam.plugins.image_classification.policy import DecodeLimits
from support.image_files import LIMITS, POLICY, picture, pixels, reason, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


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
