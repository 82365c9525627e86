"""cast, normalize, mean_subtract: exact bits, fits, and tables that equal computing."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from refinery_beam.exact import ChannelHistogram, FloatMoments
from refinery_beam.plugins.base import ArrayType, BadRecord, OpTypeError
from refinery_beam.plugins.image_classification.ops.normalize import (
    Cast,
    CastParams,
    MeanSubtract,
    MeanSubtractParams,
    Normalize,
    NormalizeParams,
    cast_array,
)

BYTE_VALUES = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
FLOAT32 = ArrayType("float32", (None, None, 3))
FINITE = st.floats(-1e6, 1e6)


@settings(max_examples=50, deadline=None)
@given(st.tuples(FINITE, FINITE, FINITE), st.tuples(*[st.floats(0.001, 1e6)] * 3), st.sampled_from(["float16", "float32", "float64"]))
def test_the_table_gives_the_bits_of_computing(mean: tuple[float, ...], std: tuple[float, ...], dtype: str) -> None:
    fitted = {"mean": list(mean), "std": list(std)}
    with np.errstate(over="ignore"):
        found: Any = Normalize().apply(BYTE_VALUES, NormalizeParams(), fitted, FLOAT32._replace(dtype=dtype))
        expected = ((BYTE_VALUES.astype(np.float64) - np.array(mean)) / np.array(std)).astype(dtype)
    assert found.dtype == dtype and found.tobytes() == expected.tobytes()
    assert found.flags.c_contiguous


def test_images_and_arrays_alike_and_the_argument_untouched() -> None:
    image = Image.fromarray(BYTE_VALUES)
    fitted = {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
    a: Any = Normalize().apply(image, NormalizeParams(), fitted, FLOAT32)
    assert np.array_equal(a, Normalize().apply(BYTE_VALUES, NormalizeParams(), fitted, FLOAT32))
    floats = BYTE_VALUES.astype(np.float32)
    assert np.array_equal(a, Normalize().apply(floats, NormalizeParams(), fitted, FLOAT32))
    assert np.array_equal(floats, BYTE_VALUES)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 2), (4, 4, 3), (4, 4, 4), (4, 4, 5)])
def test_every_number_of_channels(shape: tuple[int, ...]) -> None:
    array = (np.arange(math.prod(shape)) % 256).astype(np.uint8).reshape(shape)
    planes = shape[2] if len(shape) == 3 else 1
    mean, std = [float(10 * i) for i in range(planes)], [float(i + 1) for i in range(planes)]
    found: Any = Normalize().apply(array, NormalizeParams(), {"mean": mean, "std": std}, FLOAT32)
    expected = ((array.astype(np.float64) - (mean if array.ndim == 3 else mean[0])) / (std if array.ndim == 3 else std[0])).astype(
        np.float32
    )
    assert np.array_equal(found, expected) and found.shape == shape
    one: Any = Normalize().apply(array, NormalizeParams(mean=5, std=2), None, FLOAT32)
    assert np.array_equal(one, ((array - 5.0) / 2.0).astype(np.float32))


def test_a_std_of_zero_counts_as_one() -> None:
    found: Any = Normalize().apply(BYTE_VALUES, NormalizeParams(), {"mean": [1.0] * 3, "std": [0.0] * 3}, FLOAT32)
    assert np.array_equal(found, BYTE_VALUES - np.float32(1))


def test_other_channels_than_the_statistics() -> None:
    with pytest.raises(BadRecord, match="wrong_size: an image of 1 channels, statistics of 3"):
        Normalize().apply(BYTE_VALUES[:, :, 0], NormalizeParams(), {"mean": [1.0] * 3, "std": [1.0] * 3}, FLOAT32)
    with pytest.raises(OpTypeError, match="2 values for 3 channels"):
        Normalize().infer(FLOAT32, NormalizeParams(mean=[1, 2], std=[1, 2]))
    with pytest.raises(ValueError, match="neither fitted"):
        Normalize().apply(BYTE_VALUES, NormalizeParams(), None, FLOAT32)


@pytest.mark.parametrize(
    "params", [{"mean": [1]}, {"std": [1]}, {"mean": [1], "std": [-1]}, {"mean": [1, 2], "std": [1, 2, 3]}, {"mean": [], "std": []}]
)
def test_bad_normalize_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NormalizeParams(**params)


def test_pinned() -> None:
    assert Normalize().pinned(NormalizeParams()) is None
    assert Normalize().pinned(NormalizeParams(mean=1, std=[2, 3])) == {"channels": [], "mean": [1.0], "std": [2.0, 3.0]}
    assert MeanSubtract().pinned(MeanSubtractParams(mean=[1, 2])) == {"channels": [], "mean": [1.0, 2.0]}
    again = NormalizeParams.model_validate(NormalizeParams(mean=[1, 2, 3], std=1).model_dump(mode="json"))
    assert again == NormalizeParams(mean=[1, 2, 3], std=1)


def test_fit_is_exact() -> None:
    array = np.array([[[0, 10], [1, 10]], [[255, 10], [4, 10]]], np.uint8)
    partial = Normalize().partial(ArrayType("uint8", (None, None, None)), NormalizeParams())
    assert isinstance(partial, ChannelHistogram)
    partial.add(array)
    fitted = Normalize().fit(partial, NormalizeParams())
    variance = Fraction(65025 + 16 + 1, 4) - Fraction(65, 1) ** 2
    assert fitted == {
        "channels": [
            {"count": 4, "sum": 260, "sum_squares": 65042, "min": 0, "max": 255},
            {"count": 4, "sum": 40, "sum_squares": 400, "min": 10, "max": 10},
        ],
        "mean": [65.0, 10.0],
        "std": [math.sqrt(variance), 0.0],
    }
    floats = Normalize().partial(FLOAT32, NormalizeParams())
    assert isinstance(floats, FloatMoments)
    floats.add(array.astype(np.float32))
    assert Normalize().fit(floats, NormalizeParams()) == fitted == MeanSubtract().fit(partial, MeanSubtractParams())


def test_a_fit_through_a_deferred_tail_equals_a_fit_on_its_values() -> None:
    images = [(BYTE_VALUES // (i + 1)).astype(np.uint8) for i in range(4)]
    cast = CastParams(dtype="float32", scale=1 / 255)
    pinned = NormalizeParams(mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1])

    def tail(pixels: Any) -> Any:
        return Normalize().apply(Cast().apply(pixels, cast, None, FLOAT32), pinned, None, FLOAT32)

    histogram, moments = ChannelHistogram(), FloatMoments()
    for image in images:
        histogram.add(image)
        moments.add(tail(image))
    assert histogram.through(tail).dumps() == moments.dumps()
    assert Normalize().fit(histogram.through(tail), NormalizeParams()) == Normalize().fit(moments, NormalizeParams())


def test_mean_subtract() -> None:
    found: Any = MeanSubtract().apply(BYTE_VALUES, MeanSubtractParams(), {"mean": [1.5, 2.5, 3.5], "std": [9.0] * 3}, FLOAT32)
    assert np.array_equal(found, (BYTE_VALUES.astype(np.float64) - [1.5, 2.5, 3.5]).astype(np.float32))
    with pytest.raises(ValueError, match="neither"):
        MeanSubtract().apply(BYTE_VALUES, MeanSubtractParams(), None, FLOAT32)


def test_infer() -> None:
    grey = ArrayType("uint8", (None, 5))
    assert Normalize().infer(grey, NormalizeParams()) == ArrayType("float32", (None, 5))
    assert MeanSubtract().infer(grey, MeanSubtractParams()) == ArrayType("float32", (None, 5))
    assert Cast().infer(grey, CastParams(dtype="int16")) == ArrayType("int16", (None, 5))


def cast(values: Any, dtype: str, scale: float = 1.0) -> list[Any]:
    return cast_array(np.atleast_2d(np.asarray(values)), dtype, scale)[0].tolist()


def test_cast_scales_before_it_rounds() -> None:
    # v1 multiplied in the target dtype, which made every value zero.
    assert cast(np.array([0, 3, 255], np.uint8), "uint8", 0.5) == [0, 2, 128]
    assert cast(np.array([0, 255], np.uint8), "float32", 1 / 255) == [0.0, 1.0]


def test_cast_rounds_half_to_even_and_saturates() -> None:
    assert cast([-0.5, 0.5, 1.5, 2.5, 254.5, 255.5, 1e30, -1e30], "uint8") == [0, 0, 2, 2, 254, 255, 255, 0]
    assert cast([np.nan, np.inf, -np.inf], "int8") == [0, 127, -128]
    assert cast(np.array([-1, 70_000], np.int32), "uint16") == [0, 65_535]
    assert cast(np.array([2**63 - 1, -(2**63)], np.int64), "uint64") == [2**63 - 1, 0]
    assert cast(np.array([2**64 - 1], np.uint64), "int64") == [2**63 - 1]
    assert cast([1e19, -1e19, 2.0**62], "int64") == [2**63 - 1, -(2**63), 2**62]
    assert cast([1e20, 2.0**63], "uint64") == [2**64 - 1, 2**63]


def test_cast_holds_floats_at_the_greatest_finite_value() -> None:
    assert cast([1e9, -1e9, 0.1], "float16") == [65504.0, -65504.0, float(np.float16(0.1))]
    found = cast([np.inf, np.nan], "float16")
    assert found[0] == math.inf and math.isnan(found[1])


@pytest.mark.parametrize("dtype", CastParams.model_fields["dtype"].annotation.__args__)
@pytest.mark.parametrize("scale", [1.0, 0.3, -2.0])
def test_cast_table_equals_computing(dtype: str, scale: float) -> None:
    params = CastParams(dtype=dtype, scale=scale)
    found: Any = Cast().apply(BYTE_VALUES, params, None, ArrayType(dtype, BYTE_VALUES.shape))
    expected = cast_array(BYTE_VALUES.astype(np.float64), dtype, scale)
    assert found.dtype == dtype and np.array_equal(found, expected)


def test_cast_never_warns(recwarn: pytest.WarningsRecorder) -> None:
    for dtype in CastParams.model_fields["dtype"].annotation.__args__:
        cast([1e300, -1e300, np.nan, np.inf, -np.inf], dtype, 3.0)
        cast([1e300, -1e300, np.nan, np.inf, -np.inf], dtype, 1e300)
    assert not recwarn.list


RANGE_01 = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def test_constants_of_zero_to_one_are_refused_on_whole_numbers() -> None:
    for dtype in ("uint8", "uint16", "int32"):
        with pytest.raises(OpTypeError, match=rf"for values of 0 to 1, and {dtype} pixels") as caught:
            Normalize().infer(ArrayType(dtype, (2, 2, 3)), NormalizeParams(**RANGE_01))
        assert ("preset: imagenet" in caught.value.remedy) == (dtype == "uint8")
    assert "mean: [123.675, 116.28, 103.53]" in _remedy(Normalize(), NormalizeParams(**RANGE_01))
    assert "preset" not in _remedy(Normalize(), NormalizeParams(mean=0.5, std=0.5))
    assert "mean: [127.5]" in _remedy(MeanSubtract(), MeanSubtractParams(mean=0.5))


def _remedy(op: Any, params: Any) -> str:
    with pytest.raises(OpTypeError) as caught:
        op.infer(ArrayType("uint8", (2, 2, 3)), params)
    return caught.value.remedy


@pytest.mark.parametrize(
    "params", [{"mean": 0.0, "std": 1.0}, {"mean": 0.0, "std": 255.0}, {"mean": 0.5, "std": 60.0}, {"mean": 120.0, "std": 0.9}]
)
def test_constants_that_may_be_meant_so(params: dict[str, Any]) -> None:
    assert Normalize().infer(ArrayType("uint8", (2, 2, 3)), NormalizeParams(**params)).dtype == "float32"
    assert Normalize().infer(ArrayType("float32", (2, 2, 3)), NormalizeParams(**RANGE_01)).dtype == "float32"


def test_the_preset_is_right_on_uint8() -> None:
    op, params = Normalize(), NormalizeParams(preset="imagenet")
    out = op.infer(ArrayType("uint8", (1, 2, 3)), params)
    pixels = np.array([[[0, 0, 0], [255, 128, 7]]], np.uint8)
    found: Any = op.apply(pixels, params, op.pinned(params), out)
    expected = (pixels / 255.0 - np.array(RANGE_01["mean"])) / np.array(RANGE_01["std"])
    assert np.allclose(found, expected, atol=1e-6) and found.min() > -2.2 and found.max() < 2.7
    for before in (ArrayType("float32", (1, 2, 3)), ArrayType("uint8", (1, 2, 1))):
        with pytest.raises(OpTypeError, match="preset: imagenet is for uint8"):
            op.infer(before, params)
    with pytest.raises(ValueError, match="a preset, or mean and std"):
        NormalizeParams(preset="imagenet", mean=1.0, std=1.0)


def test_a_parameter_that_came_later_is_written_nowhere_while_it_has_its_default() -> None:
    assert NormalizeParams(mean=1.0, std=2.0).model_dump(mode="json") == {"mean": 1.0, "std": 2.0}
    assert NormalizeParams(preset="imagenet").model_dump(mode="json") == {"mean": None, "std": None, "preset": "imagenet"}
