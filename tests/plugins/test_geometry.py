"""resize, center_crop, pad: against plain Pillow and NumPy, and their rounding rules."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from pydantic import ValidationError

from refinery_beam.plugins.base import ArrayType, BadRecord, OpTypeError
from refinery_beam.plugins.image_classification.ops.geometry import (
    FILTERS,
    CenterCrop,
    CenterCropParams,
    Pad,
    PadParams,
    Resize,
    ResizeParams,
    fitted_size,
)
from refinery_beam.plugins.image_classification.pixels import as_array

UNKNOWN = ArrayType("uint8", (None, None, 3))


def picture(mode: str = "RGB", width: int = 40, height: int = 30) -> Image.Image:
    planes = len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, (width, height), bytes((i * 7 + (i * i >> 5)) & 255 for i in range(width * height * planes)))


def resize(pixels: Any, **params: Any) -> Any:
    known = ResizeParams(**params)
    array = as_array(pixels)
    out = Resize().infer(ArrayType(str(array.dtype), array.shape), known)
    done = Resize().apply(pixels, known, None, out)
    assert (str(as_array(done).dtype), as_array(done).shape) == out
    return done


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_stretch_is_pillows_resize(method: str, mode: str) -> None:
    expected = np.asarray(picture(mode).resize((20, 50), FILTERS[method]))
    assert np.array_equal(as_array(resize(picture(mode), size=(50, 20), method=method)), expected)
    assert np.array_equal(as_array(resize(np.asarray(picture(mode)), size=(50, 20), method=method)), expected)


def test_one_number_is_a_square_and_bilinear_the_default() -> None:
    assert np.array_equal(as_array(resize(picture(), size=16)), np.asarray(picture().resize((16, 16), Image.Resampling.BILINEAR)))


def test_the_argument_is_left_alone() -> None:
    image, array = picture(), np.asarray(picture()).copy()
    before = image.tobytes()
    for pixels in (image, array):
        resize(pixels, size=8)
        Pad().apply(pixels, PadParams(padding=2), None, UNKNOWN)
        CenterCrop().apply(pixels, CenterCropParams(size=8), None, UNKNOWN)
    assert image.tobytes() == before == array.tobytes()


@pytest.mark.parametrize("size", [(20, 20), (30, 10), (60, 50), (7, 40)])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "lanczos"])
def test_cover_is_imageops_fit(size: tuple[int, int], method: str) -> None:
    expected = ImageOps.fit(picture(), (size[1], size[0]), FILTERS[method])
    assert np.array_equal(as_array(resize(picture(), size=size, method=method, mode="cover")), np.asarray(expected))


def test_cover_of_an_extreme_aspect_stays_small() -> None:
    assert as_array(resize(Image.new("RGB", (60_000, 2)), size=224, mode="cover")).shape == (224, 224, 3)


def test_fit_keeps_the_aspect() -> None:
    assert as_array(resize(picture(), size=(20, 20), mode="fit")).shape == (15, 20, 3)
    assert as_array(resize(picture(), size=(60, 400), mode="fit")).shape == (60, 80, 3)
    assert np.array_equal(
        as_array(resize(picture(), size=20, mode="fit")), np.asarray(picture().resize((20, 15), Image.Resampling.BILINEAR))
    )
    assert Resize().infer(UNKNOWN, ResizeParams(size=20, mode="fit")) == UNKNOWN


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_fitted_sizes_lie_inside_and_touch(height: int, width: int, want_height: int, want_width: int) -> None:
    got = fitted_size(height, width, want_height, want_width)
    assert 1 <= got[0] <= want_height and 1 <= got[1] <= want_width
    assert got[0] == want_height or got[1] == want_width
    scale = min(Fraction(want_height, height), Fraction(want_width, width))
    for side, whole in zip(got, (height, width), strict=True):
        assert side == max(1, math.floor(whole * scale + Fraction(1, 2)))


def test_halves_round_up() -> None:
    assert fitted_size(4, 10, 100, 5) == (2, 5)
    assert fitted_size(3, 10, 100, 5) == (2, 5)
    assert fitted_size(5, 10, 100, 5) == (3, 5)


def test_pad_mode_centres_on_the_ground() -> None:
    done = as_array(resize(picture(), size=20, mode="pad", fill=(1, 2, 3)))
    inner = np.asarray(picture().resize((20, 15), Image.Resampling.BILINEAR))
    assert np.array_equal(done[2:17], inner)
    assert (done[:2] == (1, 2, 3)).all() and (done[17:] == (1, 2, 3)).all()
    grey = as_array(resize(picture("L"), size=20, mode="pad", fill=9))
    assert (grey[:2] == 9).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("planes", [0, 1, 3, 5])
def test_floats_go_channel_by_channel(dtype: type, planes: int) -> None:
    shape = (30, 40, planes) if planes else (30, 40)
    array = ((np.arange(np.prod(shape)) * 37 % 1000) / 7 - 600).reshape(shape).astype(dtype)
    done = as_array(resize(array, size=(10, 12)))
    for i in range(max(planes, 1)):
        plane = array[:, :, i] if planes else array
        expected = np.asarray(Image.fromarray(plane.astype(np.float32)).resize((12, 10), Image.Resampling.BILINEAR)).astype(dtype)
        assert np.array_equal(done[:, :, i] if planes else done, expected)
    assert done.min() < 0
    padded = as_array(resize(array, size=(12, 12), mode="pad", fill=-0.5))
    assert (padded[0] == dtype(-0.5)).all()


@pytest.mark.parametrize("planes", [1, 5])
def test_uint8_arrays_of_odd_channels_keep_their_rank(planes: int) -> None:
    array = np.arange(30 * 40 * planes, dtype=np.uint8).reshape(30, 40, planes)
    done = resize(array, size=10)
    assert done.dtype == np.uint8 and done.shape == (10, 10, planes)
    assert np.array_equal(done[:, :, 0], np.asarray(Image.fromarray(array[:, :, 0]).resize((10, 10), Image.Resampling.BILINEAR)))


def test_the_size_it_has_already_is_no_work() -> None:
    image = picture()
    assert resize(image, size=(30, 40)) is image
    assert resize(image, size=(30, 40), mode="cover") is image


@pytest.mark.parametrize("dtype", ["int32", "uint16", "bool"])
def test_resize_refuses_other_dtypes(dtype: str) -> None:
    with pytest.raises(OpTypeError, match="resize takes uint8 or float images"):
        Resize().infer(ArrayType(dtype, (None, None, 3)), ResizeParams(size=3))


@pytest.mark.parametrize("fill", [256, -1, 0.5, (1, 2)])
def test_a_fill_that_does_not_fit(fill: Any) -> None:
    with pytest.raises(OpTypeError, match="fill"):
        Resize().infer(UNKNOWN, ResizeParams(size=3, mode="pad", fill=fill))
    with pytest.raises(OpTypeError, match="fill"):
        Pad().infer(UNKNOWN, PadParams(padding=3, fill=fill))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"size": 0},
        {"size": -3},
        {"size": "224"},
        {"size": True},
        {"size": 2.5},
        {"size": [1, 2, 3]},
        {"size": 70_000},
        {"size": 3, "metod": 1},
    ],
)
def test_bad_resize_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ResizeParams(**params)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_center_crop(mode: str) -> None:
    image = picture(mode, 41, 30)
    expected = np.asarray(image)[6:23, 10:31]
    for pixels in (image, np.asarray(image), np.asarray(image).astype(np.float32)):
        done = as_array(CenterCrop().apply(pixels, CenterCropParams(size=(17, 21)), None, UNKNOWN))
        assert np.array_equal(done, expected) and done.flags.c_contiguous
    assert CenterCrop().infer(UNKNOWN, CenterCropParams(size=(17, 21))) == ArrayType("uint8", (17, 21, 3))


def test_center_crop_of_smaller_images() -> None:
    with pytest.raises(BadRecord, match="wrong_size: center_crop to 31 x 20: the image is 30 x 40, smaller"):
        CenterCrop().apply(picture(), CenterCropParams(size=(31, 20)), None, UNKNOWN)
    with pytest.raises(OpTypeError, match="Resize or pad first"):
        CenterCrop().infer(ArrayType("uint8", (30, 40, 3)), CenterCropParams(size=(31, 20)))


@pytest.mark.parametrize(
    "pixels", [picture(), np.asarray(picture()), np.asarray(picture()).astype(np.float64), picture("L"), picture("RGBA")]
)
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad_is_numpys_pad(pixels: Any, mode: str) -> None:
    array = as_array(pixels)
    around = ((1, 2), (3, 4), (0, 0))[: array.ndim]
    expected = np.pad(array, around, mode=mode, **({"constant_values": 7} if mode == "constant" else {}))
    params = PadParams(padding=(1, 2, 3, 4), mode=mode, fill=7)
    out = Pad().infer(ArrayType(str(array.dtype), array.shape), params)
    done = as_array(Pad().apply(pixels, params, None, out))
    assert np.array_equal(done, expected) and (str(done.dtype), done.shape) == out


def test_pad_to_a_size() -> None:
    done = as_array(Pad().apply(picture(), PadParams(size=(33, 45)), None, UNKNOWN))
    assert np.array_equal(done[1:31, 2:42], np.asarray(picture())) and done.sum() == np.asarray(picture()).sum()
    assert Pad().infer(UNKNOWN, PadParams(size=(33, 45))) == ArrayType("uint8", (33, 45, 3))
    assert Pad().infer(UNKNOWN, PadParams(padding=(1, 2))) == UNKNOWN
    with pytest.raises(BadRecord, match="wrong_size"):
        Pad().apply(picture(), PadParams(size=35), None, UNKNOWN)
    with pytest.raises(OpTypeError, match="Resize or crop first"):
        Pad().infer(ArrayType("uint8", (36, 30, 3)), PadParams(size=35))


@pytest.mark.parametrize("params", [{}, {"size": 3, "padding": 3}, {"padding": -1}, {"padding": [1, 2, 3]}, {"size": 3, "mode": "wrap"}])
def test_bad_pad_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PadParams(**params)
