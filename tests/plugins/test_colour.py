"""to_grayscale and to_rgb."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.plugins.base import ArrayType, OpTypeError
from refinery_beam.plugins.image_classification.ops.colour import ToGrayscale, ToGrayscaleParams, ToRgb, ToRgbParams
from refinery_beam.plugins.image_classification.pixels import as_array


def picture(mode: str = "RGB") -> Image.Image:
    planes = len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, (20, 10), bytes((i * 7 + (i * i >> 5)) & 255 for i in range(200 * planes)))


def run(op: Any, pixels: Any, params: Any) -> np.ndarray:
    array = as_array(pixels)
    out = op.infer(ArrayType(str(array.dtype), array.shape), params)
    done = as_array(op.apply(pixels, params, None, out))
    assert (str(done.dtype), done.shape) == out
    return done


RGB = np.asarray(picture()).astype(int)
LUMA = ((19595 * RGB[..., 0] + 38470 * RGB[..., 1] + 7471 * RGB[..., 2] + 32768) >> 16).astype(np.uint8)


def test_luma_of_bytes() -> None:
    for pixels in (picture(), np.asarray(picture())):
        assert np.array_equal(run(ToGrayscale(), pixels, ToGrayscaleParams()), LUMA)
        assert np.array_equal(run(ToGrayscale(), pixels, ToGrayscaleParams(channels=3)), np.repeat(LUMA[..., None], 3, axis=2))


def test_luma_ignores_alpha_and_keeps_grey() -> None:
    rgba = np.asarray(picture("RGBA"))
    assert np.array_equal(run(ToGrayscale(), rgba, ToGrayscaleParams()), np.asarray(Image.fromarray(rgba[..., :3].copy()).convert("L")))
    assert np.array_equal(run(ToGrayscale(), picture("LA"), ToGrayscaleParams()), np.asarray(picture("LA"))[..., 0])
    assert np.array_equal(run(ToGrayscale(), picture("L"), ToGrayscaleParams()), np.asarray(picture("L")))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_luma_of_floats(dtype: type) -> None:
    array = (RGB / 3 - 20).astype(dtype)
    red, green, blue = (array[..., i].astype(np.float64) for i in range(3))
    expected = (0.299 * red + 0.587 * green + 0.114 * blue).astype(dtype)
    assert np.array_equal(run(ToGrayscale(), array, ToGrayscaleParams()), expected)
    assert np.array_equal(run(ToGrayscale(), array[..., :1], ToGrayscaleParams()), array[..., 0])


def test_to_rgb() -> None:
    grey = np.asarray(picture("L"))
    for pixels in (picture("L"), grey, grey[..., None], grey.astype(np.float32)):
        assert np.array_equal(run(ToRgb(), pixels, ToRgbParams()), np.repeat(grey[..., None], 3, axis=2))
    assert ToRgb().apply(picture(), ToRgbParams(), None, ArrayType("uint8", (10, 20, 3))).tobytes() == picture().tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_to_rgb_lays_alpha_over_white(mode: str) -> None:
    values = np.asarray(picture(mode)).astype(int)
    alpha = values[..., -1:]
    colour = values[..., :-1] if mode == "RGBA" else np.repeat(values[..., :1], 3, axis=2)
    expected = ((alpha * colour + (255 - alpha) * 255) * 2 + 255) // 510
    assert np.array_equal(run(ToRgb(), picture(mode), ToRgbParams()), expected)


def test_what_they_refuse() -> None:
    with pytest.raises(OpTypeError, match="to_rgb takes grey, RGB"):
        ToRgb().infer(ArrayType("float32", (None, None, 4)), ToRgbParams())
    with pytest.raises(OpTypeError, match="uint8 or float"):
        ToGrayscale().infer(ArrayType("int16", (None, None, 3)), ToGrayscaleParams())
    with pytest.raises(OpTypeError, match="image"):
        ToGrayscale().infer(ArrayType("uint8", (3,)), ToGrayscaleParams())
