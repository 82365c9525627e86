"""ICC profiles: converted as LittleCMS does, recognised where they are sRGB, ignored with a note where they cannot be used."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.image_classification.codecs import icc
from refinery_beam.plugins.image_classification.codecs.calibration import profile, wide_profile
from refinery_beam.plugins.image_classification.codecs.decode import accept, decode
from refinery_beam.plugins.image_classification.fingerprint import codec_parts
from refinery_beam.plugins.image_classification.policy import DecodeLimits, DecodePolicy
from refinery_beam.plugins.notes import noting
from support.damaged_files import drawing, saved

LIMITS = DecodeLimits()
WIDE = wide_profile()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(data: bytes, **policy: Any) -> np.ndarray:
    return np.asarray(decode(data, policy=DecodePolicy(**policy), limits=LIMITS))


def littlecms(image: Image.Image, given: bytes = WIDE) -> np.ndarray:
    opened, srgb = ImageCms.getOpenProfile(io.BytesIO(given)), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, opened, srgb, outputMode="RGB"))


def grey_profile(gamma: float) -> bytes:
    """A grey profile of one gamma."""
    white = struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0),
        b"cprt": b"text\0\0\0\0free\0\0\0\0",
    }
    return profile(b"GRAY", white, tags)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_wide_profile_is_converted_exactly_as_littlecms_does(form: str) -> None:
    options: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(form, {})
    data = saved(drawing(), form, icc_profile=WIDE, **options)
    plain = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    wanted = littlecms(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(wanted.astype(int) - plain).max() > 10
    assert np.array_equal(pixels(data), wanted)
    assert np.array_equal(pixels(data, mode="keep"), wanted)
    assert np.array_equal(pixels(data, icc="ignore"), plain)
    opened = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(accept(opened, policy=DecodePolicy(), limits=LIMITS)), wanted)


def test_a_profile_that_is_srgb_changes_nothing() -> None:
    image = drawing()
    data = saved(image, "PNG", icc_profile=SRGB)
    assert np.array_equal(pixels(data), np.asarray(image))
    redated = SRGB[:24] + struct.pack(">6H", 1999, 1, 2, 3, 4, 5) + SRGB[36:]
    assert redated != SRGB
    assert icc.converted(image, redated) is image


def test_alpha_goes_with_its_colours() -> None:
    image = drawing("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = saved(image, "PNG", icc_profile=WIDE)
    wanted = np.dstack([littlecms(image.convert("RGB")), np.asarray(image)[..., 3]])
    assert np.array_equal(pixels(data, mode="RGBA"), wanted)
    assert np.array_equal(pixels(data, alpha="drop"), wanted[..., :3])
    alpha = wanted[..., 3:].astype(int)
    assert np.array_equal(pixels(data), ((alpha * wanted[..., :3] + (255 - alpha) * 255) * 2 + 255) // 510)


def test_palettes_and_colour_keys_are_expanded_first() -> None:
    palette = drawing().quantize(16)
    assert np.array_equal(pixels(saved(palette, "PNG", icc_profile=WIDE)), littlecms(palette.convert("RGB")))
    keyed = saved(drawing(), "PNG", icc_profile=WIDE, transparency=(255, 255, 255))
    found = pixels(keyed, mode="RGBA")
    assert np.array_equal(found[..., :3], littlecms(drawing()))
    assert np.array_equal(found[..., 3] == 0, (np.asarray(drawing()) == 255).all(axis=2))


def test_grey_stays_grey() -> None:
    grey, linear = drawing("L"), grey_profile(1.0)
    wanted = np.asarray(Image.fromarray(littlecms(grey, linear)).convert("L"))
    assert np.abs(wanted.astype(int) - np.asarray(grey)).max() > 40
    data = saved(grey, "PNG", icc_profile=linear)
    assert np.array_equal(pixels(data, mode="L"), wanted)
    assert np.array_equal(pixels(data, mode="keep"), wanted)
    assert np.array_equal(pixels(data)[..., 2], wanted)
    with_alpha = saved(drawing("LA"), "PNG", icc_profile=linear)
    assert np.array_equal(pixels(with_alpha, mode="keep")[..., 0], wanted)
    bits = drawing("1")
    assert np.array_equal(pixels(saved(bits, "PNG", icc_profile=linear), mode="L"), np.asarray(bits) * np.uint8(255))


def test_sixteen_bits_are_converted_after_they_became_eight() -> None:
    values = (np.arange(61 * 47, dtype=np.uint16) * 22).reshape(47, 61)
    linear = grey_profile(1.0)
    data = saved(Image.fromarray(values), "PNG", icc_profile=linear)
    wanted = np.asarray(Image.fromarray(littlecms(Image.fromarray((values >> 8).astype(np.uint8)), linear)).convert("L"))
    assert np.array_equal(pixels(data, mode="L"), wanted)
    with noting() as notes:
        assert np.array_equal(pixels(data, mode="keep"), values)
    assert [word for word, _ in notes] == ["profile_ignored"]


@pytest.mark.parametrize("given", [b"not a profile", WIDE[:200], grey_profile(2.2)])
def test_a_profile_that_cannot_be_used_is_ignored_with_a_note(given: bytes) -> None:
    data = saved(drawing(), "PNG", icc_profile=given)
    for _ in range(2):  # the second one comes from what is remembered
        with noting() as notes:
            assert np.array_equal(pixels(data), np.asarray(drawing()))
        assert [word for word, _ in notes] == ["profile_ignored"]


def test_without_littlecms_a_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise ImportError("The _imagingcms C module is not installed")

    monkeypatch.setattr(icc, "_known", icc.OrderedDict())
    monkeypatch.setattr(ImageCms, "createProfile", missing)
    data = saved(drawing(), "PNG", icc_profile=WIDE)
    with pytest.raises(BadRecord, match="unsupported_mode: ICC profiles need LittleCMS"):
        pixels(data)
    assert np.array_equal(pixels(data, icc="ignore"), np.asarray(drawing()))


def test_threads_convert_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icc, "_known", icc.OrderedDict())
    files = [saved(drawing().rotate(k), "PNG", icc_profile=WIDE) for k in range(24)]
    serial = [pixels(data).tobytes() for data in files]
    icc._known.clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda data: pixels(data).tobytes(), files)) == serial


def test_few_profiles_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icc, "_known", icc.OrderedDict())
    for k in range(icc._KEPT + 9):
        icc.converted(Image.new("L", (2, 2)), b"broken %d" % k)
    assert len(icc._known) == icc._KEPT


def test_the_fingerprint_covers_littlecms() -> None:
    assert codec_parts()["convert-icc"] not in ("absent", codec_parts()["convert-luma"])
