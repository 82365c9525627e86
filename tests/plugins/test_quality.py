"""Facts of images are what their table says, pixel by pixel, and the same in any batch."""

from __future__ import annotations

import io
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from refinery_beam.plugins.image_classification.measures import QUALITY
from refinery_beam.plugins.image_classification.measures.quality import LOG_UNIT
from refinery_beam.plugins.image_classification.measures.sketch import Sketched
from refinery_beam.plugins.image_classification.ops.phash import phash
from refinery_beam.plugins.image_classification.policy import DecodePolicy

POLICY = DecodePolicy()


def noise(width: int, height: int, *, seed: int = 1, mode: str = "RGB", low: int = 0, high: int = 256) -> Image.Image:
    rng = np.random.Generator(np.random.Philox(seed))
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return Image.fromarray(rng.integers(low, high, shape, dtype=np.uint8))


def sketch_of(image: Image.Image) -> Sketched:
    found = QUALITY.sketch(image, POLICY)
    assert found is not None
    return found


def facts_of(image: Image.Image) -> dict[str, Any]:
    return QUALITY.measure([sketch_of(image)])[0]


def mean_of_squares(array: np.ndarray, factor: int) -> np.ndarray:
    """Means of k x k pixels, fewer at the right and lower border, rounded as Pillow rounds: half up, with 1/n in 24 bits."""

    def mean(cell: Any) -> Any:
        return ((cell.sum(axis=0) + len(cell) // 2) * ((1 << 24) // len(cell))) >> 24

    height, width = array.shape[:2]
    rows = [array[y : y + factor] for y in range(0, height, factor)]
    cells = [[row[:, x : x + factor].reshape(-1, *array.shape[2:]).astype(np.int64) for x in range(0, width, factor)] for row in rows]
    return np.array([[mean(cell) for cell in row] for row in cells]).astype(np.uint8)


def in_plain_python(picture: Image.Image, small: np.ndarray) -> dict[str, Any]:
    """The facts by the words of the table."""
    grey = picture.convert("L")
    width, height = grey.size
    pixels = list(grey.tobytes())
    n = len(pixels)
    counts = Counter(pixels)
    total, squared = sum(pixels), sum(v * v for v in pixels)
    spread = n * squared - total * total

    def percentile(percent: int) -> int:
        return next(v for v in range(256) if 100 * sum(counts[u] for u in range(v + 1)) >= percent * n)

    def y(i: int, j: int) -> int:
        return pixels[j * width + i]

    laplacian = [
        4 * y(i, j) - y(i - 1, j) - y(i + 1, j) - y(i, j - 1) - y(i, j + 1) for j in range(1, height - 1) for i in range(1, width - 1)
    ]
    inner = len(laplacian)
    edges = inner * sum(v * v for v in laplacian) - sum(laplacian) ** 2
    bits = sum(count * round(LOG_UNIT * math.log2(count)) for count in counts.values())
    signature = phash(small)
    return {
        "mean": (200 * total + n) // (2 * n),
        "std": math.isqrt(10_000 * spread) // n,
        "low": percentile(5),
        "high": percentile(99),
        "clipped_dark": (20_000 * sum(counts[v] for v in range(4)) + n) // (2 * n),
        "clipped_bright": (20_000 * sum(counts[v] for v in range(252, 256)) + n) // (2 * n),
        "sharpness": 100 * edges // inner**2 if inner else None,
        "detail": min(400_000, 10_000 * edges * n * n // (inner * inner * spread)) if inner and spread else None,
        "entropy": 1000 * (n * round(LOG_UNIT * math.log2(n)) - bits) // (n * LOG_UNIT),
        "byte_values": len(counts),
        "chroma": int((small.max(axis=2).astype(int) - small.min(axis=2)).max()) if small.ndim == 3 else None,
        "phash": signature - (1 << 64) if signature >> 63 else signature,
    }


SIZES = [(1, 1), (2, 9), (3, 3), (31, 32), (64, 64), (65, 40), (128, 3), (129, 70), (384, 10), (385, 300), (500, 375), (1025, 2)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_facts_are_those_of_the_table(size: tuple[int, int], mode: str) -> None:
    sketch = sketch_of(noise(*size, mode=mode))
    assert QUALITY.measure([sketch]) == [in_plain_python(Image.fromarray(sketch.picture), sketch.small)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_sketch_has_the_means_of_squares(size: tuple[int, int], mode: str) -> None:
    image = noise(*size, mode=mode)
    array, longest = np.asarray(image), max(size)
    if longest > 384:
        step = -(-longest // 256)
        counted = [max(1, side // step) for side in array.shape[:2]]
        # The middle one of every `step`; of a side that is shorter than that, its own middle one.
        rows, columns = (
            [min(step, side) // 2 + step * i for i in range(many)] for side, many in zip(array.shape[:2], counted, strict=True)
        )
        array = array[rows][:, columns]
    for longer in (128, 64):
        factor = -(-max(array.shape[:2]) // longer)
        array = mean_of_squares(array, factor) if factor > 1 else array
        if longer == 128:
            picture = array
    sketch = sketch_of(image)
    assert (np.asarray(sketch.picture) == picture).all()
    assert (sketch.small == array).all()
    assert max(sketch.picture.shape[:2]) <= 128
    assert max(sketch.small.shape[:2]) <= 64


def test_a_sketch_of_a_small_picture_is_a_copy() -> None:
    image = noise(20, 10)
    sketch = sketch_of(image)
    before = np.asarray(image).copy()
    image.paste((0, 0, 0), (0, 0, 20, 10))
    assert (np.asarray(sketch.picture) == before).all()
    assert (sketch.small == before).all()


def test_alpha_lies_over_white() -> None:
    clear = Image.new("RGBA", (600, 400), (10, 20, 30, 0))
    assert facts_of(clear)["mean"] == 25_500
    assert facts_of(Image.new("LA", (8, 8), (40, 255)))["mean"] == 4_000
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    half.paste((0, 0, 0, 0), (0, 0, 8, 4))
    assert facts_of(half)["mean"] == 12_750


def test_sixteen_bits_count_by_their_upper_eight() -> None:
    array = np.full((6, 6), 0x1234, np.uint16)
    assert facts_of(Image.fromarray(array))["mean"] == 0x12 * 100
    found = QUALITY.sketch(Image.fromarray(array), DecodePolicy(mode="keep", bits=14))
    assert found is not None
    assert QUALITY.measure([found])[0]["mean"] == (0x1234 >> 6) * 100


def test_floats_have_no_sketch() -> None:
    assert QUALITY.sketch(Image.new("F", (9, 9), 0.5), POLICY) is None


@settings(deadline=None, max_examples=30)
@given(
    pictures=st.lists(st.tuples(st.sampled_from([(9, 9), (70, 33), (40, 64), (300, 200)]), st.booleans(), st.integers(0, 99)), max_size=12),
    cut=st.integers(0, 12),
)
def test_a_batch_says_what_each_by_itself_does(pictures: list[tuple[tuple[int, int], bool, int]], cut: int) -> None:
    sketches = [sketch_of(noise(*size, seed=seed, mode="L" if grey else "RGB")) for size, grey, seed in pictures]
    singly = [facts for sketch in sketches for facts in QUALITY.measure([sketch])]
    assert QUALITY.measure(sketches) == singly == QUALITY.measure(sketches[:cut]) + QUALITY.measure(sketches[cut:])
    groups = [seed % 3 for _, _, seed in pictures]
    whole = QUALITY.histograms(sketches, groups)
    for channel, counts in whole.items():
        for group in range(max(groups) + 1):
            expected = np.zeros(256, np.int64)
            for sketch, one in zip(sketches, groups, strict=True):
                if one == group and channel in QUALITY.channels_of(sketch):
                    plane = sketch.small if channel == "grey" else sketch.small[..., ("red", "green", "blue").index(channel)]
                    expected += np.bincount(plane.reshape(-1), minlength=256)
            assert counts[group].tolist() == expected.tolist()


def test_blur_takes_the_detail_and_darkness_the_light() -> None:
    from PIL import ImageFilter

    rng = np.random.Generator(np.random.Philox(5))
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    sharp = Image.fromarray(np.clip(np.asarray(smooth).astype(int) + rng.integers(-30, 31, (480, 640, 1)), 0, 255).astype(np.uint8))
    blurred = sharp.filter(ImageFilter.GaussianBlur(24))
    assert facts_of(sharp)["detail"] > 10 * facts_of(blurred)["detail"]
    assert facts_of(blurred)["detail"] < 150
    assert facts_of(sharp.point(lambda v: v // 8))["high"] < 48


def test_a_thumbnail_is_a_jpeg_of_the_sketch() -> None:
    sketch = sketch_of(noise(500, 375))
    thumbnail = QUALITY.thumbnail(sketch)
    opened = Image.open(io.BytesIO(thumbnail.jpeg))
    assert (opened.format, opened.size) == ("JPEG", (thumbnail.width, thumbnail.height)) == ("JPEG", (125, 94))
