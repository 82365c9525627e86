"""Exact, order-free statistics: against rational arithmetic, in any grouping."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from refinery_beam import exact
from refinery_beam.exact import ChannelHistogram, ExactError, FloatMoments, Partial, loads, sqrt_float

FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.int64, np.uint64]


def images(dtype: type, **elements: object) -> st.SearchStrategy[list[np.ndarray]]:
    shape = st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(2))
    one = hnp.arrays(dtype, shape, elements=hnp.from_dtype(np.dtype(dtype), **elements) if elements else None)
    return st.lists(one, min_size=1, max_size=5)


def fraction_sums(found: list[np.ndarray], channel: int) -> tuple[int, Fraction, Fraction, Fraction, Fraction]:
    values = [Fraction(v) for image in found for v in image[:, :, channel].reshape(-1).tolist()]
    return len(values), sum(values, Fraction(0)), sum((v * v for v in values), Fraction(0)), min(values), max(values)


def accumulated(kind: type, found: list[np.ndarray]) -> Partial:
    total: Partial = kind()
    for image in found:
        total.add(image)
    return total


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_float_moments_equal_rational_arithmetic(dtype: type, data: st.DataObject) -> None:
    found = data.draw(images(dtype, allow_nan=False, allow_infinity=False))
    total = accumulated(FloatMoments, found)
    assert total.count == len(found)
    for i, sums in enumerate(total.channels()):
        assert (sums.count, sums.sum, sums.sum_squares, sums.minimum, sums.maximum) == fraction_sums(found, i)


@pytest.mark.parametrize("dtype", INTEGERS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_integer_moments_equal_rational_arithmetic(dtype: type, data: st.DataObject) -> None:
    found = data.draw(images(dtype))
    for i, sums in enumerate(accumulated(FloatMoments, found).channels()):
        assert (sums.count, sums.sum, sums.sum_squares, sums.minimum, sums.maximum) == fraction_sums(found, i)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_ends_of_every_integer_dtype(dtype: type) -> None:
    info = np.iinfo(dtype)
    total = accumulated(FloatMoments, [np.array([[info.min, info.max, info.max, 0]], dtype)])
    (sums,) = total.channels()
    assert sums.sum == info.min + 2 * info.max
    assert sums.sum_squares == info.min**2 + 2 * info.max**2
    assert (sums.minimum, sums.maximum) == (info.min, info.max)


@settings(max_examples=40, deadline=None)
@given(found=images(np.uint8))
def test_histogram_equals_rational_arithmetic(found: list[np.ndarray]) -> None:
    for i, sums in enumerate(accumulated(ChannelHistogram, found).channels()):
        assert (sums.count, sums.sum, sums.sum_squares, sums.minimum, sums.maximum) == fraction_sums(found, i)


@pytest.mark.parametrize(("kind", "dtype"), [(ChannelHistogram, np.uint8), (FloatMoments, np.float32), (FloatMoments, np.float64)])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_grouping_and_order_gives_the_same_bytes(kind: type, dtype: type, data: st.DataObject) -> None:
    # NaN and infinities are part of the promise: they are counted, wherever they land.
    found = data.draw(images(dtype))
    whole = accumulated(kind, found)
    order = data.draw(st.permutations(found))
    groups: list[Partial] = [kind()]
    for image in order:
        if data.draw(st.booleans()):
            groups.append(kind())
        groups[-1].add(image)
    merged: Partial = kind()
    for group in data.draw(st.permutations(groups)):
        merged.merge(kind.loads(group.dumps()))
    assert merged.dumps() == whole.dumps()
    assert loads(whole.dumps()).dumps() == whole.dumps()


@pytest.mark.parametrize("kind", [ChannelHistogram, FloatMoments])
@settings(max_examples=20, deadline=None)
@given(a=images(np.uint8), b=images(np.uint8), c=images(np.uint8))
def test_merge_is_associative_and_commutative(kind: type, a: list[np.ndarray], b: list[np.ndarray], c: list[np.ndarray]) -> None:
    def merged(*parts: Partial) -> Partial:
        total: Partial = kind()
        for part in parts:
            total.merge(part)
        return total

    x, y, z = (accumulated(kind, found) for found in (a, b, c))
    assert merged(merged(x, y), z).dumps() == merged(x, merged(y, z)).dumps()
    assert merged(x, y).dumps() == merged(y, x).dumps()
    assert merged(x).dumps() == x.dumps()


def test_merging_leaves_the_other_untouched() -> None:
    a, b = (accumulated(ChannelHistogram, [np.full((2, 2), v, np.uint8)]) for v in (1, 2))
    before = b.dumps()
    a.merge(b)
    a.merge(b)
    assert b.dumps() == before and a.count == 3


def test_known_bytes() -> None:
    moments = accumulated(FloatMoments, [np.array([[0.5, -0.25]], np.float32)])
    assert moments.dumps() == (
        b'{"channels":[{"count":2,"inf":0,"max":"1/2","min":"-1/4","nan":0,"sum":"1/4","sum_squares":"5/16"}],"count":1,"kind":"moments"}'
    )
    histogram = accumulated(ChannelHistogram, [np.array([[3]], np.uint8)])
    assert histogram.dumps() == b'{"channels":[[0,0,0,1,' + b",".join([b"0"] * 252) + b']],"count":1,"kind":"histogram"}'


def test_zeros_of_either_sign_are_one_value() -> None:
    a = accumulated(FloatMoments, [np.array([[0.0, -0.0]])])
    b = accumulated(FloatMoments, [np.array([[-0.0, -0.0]])])
    assert a.dumps() == b.dumps()


def test_a_sum_that_floats_get_wrong() -> None:
    image = np.array([[1e300, 1.0, -1e300, 1e-300]])
    (sums,) = accumulated(FloatMoments, [image]).channels()
    assert sums.sum == 1 + Fraction(1e-300)
    assert float(image.sum()) != float(sums.sum)


def test_subnormals_and_the_largest_double() -> None:
    tiny, huge = 5e-324, 1.7976931348623157e308
    (sums,) = accumulated(FloatMoments, [np.array([[tiny, tiny, huge, huge]])]).channels()
    assert sums.sum == 2 * Fraction(tiny) + 2 * Fraction(huge)
    assert sums.sum_squares == 2 * Fraction(tiny) ** 2 + 2 * Fraction(huge) ** 2
    assert sums.mean() == huge / 2


def test_more_values_than_one_chunk() -> None:
    image = np.full((600, 500, 1), 2.0**20 - 2.0**-33, np.float64)
    (sums,) = accumulated(FloatMoments, [image]).channels()
    assert sums.sum == 300_000 * Fraction(2.0**20 - 2.0**-33)
    assert sums.sum_squares == 300_000 * Fraction(2.0**20 - 2.0**-33) ** 2
    assert sums.std() == 0.0


def test_not_finite_values_are_counted_and_refused_at_the_end() -> None:
    total = accumulated(FloatMoments, [np.array([[np.nan, np.inf], [-np.inf, 1.0]])])
    assert total.nonfinite == 3
    with pytest.raises(ExactError, match="1 values are NaN and 2 infinite"):
        total.channels()
    assert accumulated(FloatMoments, [np.array([[np.nan]])]).nonfinite == 1


def test_mixed_channels_are_refused() -> None:
    for kind, dtype in ((ChannelHistogram, np.uint8), (FloatMoments, np.float32)):
        total = accumulated(kind, [np.zeros((2, 2, 3), dtype)])
        with pytest.raises(ExactError, match="1 channels among images of 3"):
            total.add(np.zeros((2, 2), dtype))


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ExactError, match="float32"):
        ChannelHistogram().add(np.zeros((2, 2), np.float32))
    with pytest.raises(ExactError, match="Pillow mode P"):
        ChannelHistogram().add(Image.new("P", (2, 2)))
    with pytest.raises(ExactError, match="complex128"):
        FloatMoments().add(np.zeros((2, 2), complex))
    with pytest.raises(ExactError, match="no value"):
        accumulated(FloatMoments, [np.zeros((0, 2, 3))]).channels()
    with pytest.raises(ExactError, match="not a moments"):
        FloatMoments.loads(ChannelHistogram().dumps())


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_images_and_arrays_count_alike(mode: str, channels: int) -> None:
    image = Image.frombytes(mode, (17, 11), bytes(i * 31 % 251 for i in range(17 * 11 * channels)))
    a, b = ChannelHistogram(), accumulated(ChannelHistogram, [np.asarray(image)])
    a.add(image)
    assert a.dumps() == b.dumps() and len(a.channels()) == channels
    # A trailing axis of one channel is the same image; so is a view with strides.
    wide = np.repeat(np.asarray(image), 2, axis=0)[::2]
    assert accumulated(ChannelHistogram, [wide]).dumps() == a.dumps()
    if channels == 1:
        assert accumulated(ChannelHistogram, [np.asarray(image)[:, :, None]]).dumps() == a.dumps()


@pytest.mark.parametrize("dtype", [*FLOATS, np.int16, np.uint8])
@settings(max_examples=15, deadline=None)
@given(found=images(np.uint8), table=hnp.arrays(np.int16, (256, 2)))
def test_through_equals_accumulating_the_mapped_images(dtype: type, found: list[np.ndarray], table: np.ndarray) -> None:
    table = (table / (1 if np.issubdtype(dtype, np.integer) else 7)).astype(dtype)
    histogram = accumulated(ChannelHistogram, found)
    mapped = [np.stack([table[image[:, :, i], i] for i in range(2)], axis=2) for image in found]
    expected = accumulated(FloatMoments, mapped)
    assert histogram.through(table).dumps() == expected.dumps()
    assert histogram.through(lambda ramp: np.stack([table[ramp[:, :, i], i] for i in range(2)], axis=2)).dumps() == expected.dumps()


def test_through_a_grey_image_sends_a_grey_ramp() -> None:
    histogram = accumulated(ChannelHistogram, [np.array([[0, 255]], np.uint8)])
    shapes: list[tuple[int, ...]] = []
    moments = histogram.through(lambda ramp: shapes.append(ramp.shape) or ramp)
    assert shapes == [(256, 1)] and moments.channels()[0].mean() == 127.5
    assert moments.channels()[0].to_dict() == histogram.channels()[0].to_dict()


def test_through_infinite_values_counts_only_levels_that_occur() -> None:
    histogram = accumulated(ChannelHistogram, [np.array([[1, 2]], np.uint8)])
    with np.errstate(divide="ignore"):
        table = 1.0 / np.arange(256)
    assert histogram.through(table).nonfinite == 0
    assert histogram.through(np.where(np.arange(256) == 2, np.inf, 0.0)).nonfinite == 1


@settings(max_examples=200, deadline=None)
@given(value=st.fractions(min_value=0))
@example(value=Fraction(1, 3))
@example(value=Fraction(5e-324))
@example(value=Fraction(5e-324) ** 2)
@example(value=Fraction(1.7976931348623157e308) ** 2)
@example(value=Fraction(2**53 + 1) ** 2)
@example(value=Fraction(2**54 + 2, 2) ** 2 + Fraction(1, 10**400))
def test_sqrt_is_the_nearest_double(value: Fraction) -> None:
    root = sqrt_float(value)
    below, above = Fraction(math.nextafter(root, -math.inf)), Fraction(math.nextafter(root, math.inf)) if root < 1.7e308 else None
    middle = (below + Fraction(root)) / 2
    assert middle <= 0 or middle**2 <= value
    assert above is None or value <= ((above + Fraction(root)) / 2) ** 2


def test_derived_floats_on_a_known_case() -> None:
    (sums,) = accumulated(ChannelHistogram, [np.array([[2, 4, 4, 4], [5, 5, 7, 9]], np.uint8)]).channels()
    assert (sums.mean(), sums.std()) == (5.0, 2.0)
    assert sums.to_dict() == {"count": 8, "sum": 40, "sum_squares": 232, "min": 2, "max": 9}
    (halves,) = accumulated(FloatMoments, [np.array([[0.5, 0.25]])]).channels()
    assert halves.to_dict() == {"count": 2, "sum": "3/4", "sum_squares": "5/16", "min": 0.25, "max": 0.5}


@pytest.mark.parametrize("waits", [1, 100, 1 << 20])
@settings(max_examples=30, deadline=None)
@given(found=images(np.uint8), cut=st.integers(0, 6))
def test_small_images_that_wait_count_like_large_ones(waits: int, found: list[np.ndarray], cut: int) -> None:
    """However much waits to be counted, whatever is merged meanwhile, and in another process too."""
    with mock.patch.object(exact, "_SMALL", 0):
        at_once = accumulated(ChannelHistogram, found)
    with mock.patch.object(exact, "_WAITS", waits):
        first, second = (accumulated(ChannelHistogram, part) for part in (found[:cut], found[cut:]))
        first.merge(pickle.loads(pickle.dumps(second)))  # noqa: S301 - its own bytes
        assert (first.count, first.dumps()) == (at_once.count, at_once.dumps())
        assert second.dumps() == accumulated(ChannelHistogram, found[cut:]).dumps()
