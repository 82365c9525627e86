"""The nineteen corruptions of ImageNet-C at five severities, by name, as functions of one image.

Parameters are those of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (ICLR
2019, arXiv 1903.12261), as their published program states them for 224 x 224 pixels; at other sizes they hold in pixels. Those of
``elastic_transform`` are the milder ones of the package imagecorruptions, which people compare against. The libraries
that carry them draw from NumPy's global generator and need OpenCV, scikit-image and Numba, so the code is our own: NumPy and Pillow, every
random number from the op's stream, sums in a fixed order. docs/compatibility.md lists where results differ beyond rounding.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from refinery_beam.identity import Stream
from refinery_beam.plugins.image_classification.ops.sampling import disc, gaussian, motion, sample, zoom
from refinery_beam.plugins.image_classification.ops.weather import fog, frost, snow, spatter
from refinery_beam.plugins.image_classification.pixels import Pixels, as_array, as_image, channels, is_bytes
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.randoms import integers, normals, poissons, uniforms

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

SMALLEST = 32
"""Height and width that an image needs at least."""


def corrupt(pixels: Pixels, kind: str, severity: int, stream: Stream) -> Pixels:
    """The image under one corruption: uint8 in, uint8 out, same shape. Raises BadRecord ``unsupported_mode`` or ``wrong_size``.

    Values are clipped to 0..255 and cut to whole numbers, as the benchmark does.
    """
    import numpy as np

    if not is_bytes(pixels) or channels(pixels) not in (1, 3):
        raise BadRecord("unsupported_mode", f"{kind} takes 8-bit images of one or three channels")
    array = as_array(pixels)
    if min(array.shape[:2]) < SMALLEST:
        raise BadRecord("wrong_size", f"{kind} needs {SMALLEST} x {SMALLEST} pixels, the image is {array.shape[0]} x {array.shape[1]}")
    if kind in _ENCODED:
        return as_array(_ENCODED[kind](as_image(array), severity)).reshape(array.shape)
    planes = array.reshape(*array.shape[:2], -1)
    values = _FUNCTIONS[kind](planes.astype(np.float64) / 255.0, severity, stream)
    done: Array = (np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8).reshape(array.shape)
    return done


def gaussian_noise(image: Array, severity: int, stream: Stream) -> Array:
    """x + normal noise."""
    return image + normals(stream, image.shape, 0.0, (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1])


def shot_noise(image: Array, severity: int, stream: Stream) -> Array:
    """Poisson(x * c) / c: few photons."""
    import numpy as np

    photons = (60, 25, 12, 5, 3)[severity - 1]
    byte_values = np.floor(image * 255.0 + 0.5).astype(np.int64)
    counts = poissons(stream, byte_values, [value * photons / 255.0 for value in range(256)])
    result: Array = counts / float(photons)
    return result


def impulse_noise(image: Array, severity: int, stream: Stream) -> Array:
    """A share of all values becomes black or white."""
    import numpy as np

    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    hit, white = uniforms(stream, image.shape) < share, uniforms(stream, image.shape) < 0.5
    result: Array = np.where(hit, white.astype(np.float64), image)
    return result


def speckle_noise(image: Array, severity: int, stream: Stream) -> Array:
    """x + x * normal noise."""
    result: Array = image + image * normals(stream, image.shape, 0.0, (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1])
    return result


def gaussian_blur(image: Array, severity: int, stream: Stream) -> Array:
    """A Gaussian."""
    return gaussian(image, (1.0, 2.0, 3.0, 4.0, 6.0)[severity - 1])


def glass_blur(image: Array, severity: int, stream: Stream) -> Array:
    """A Gaussian, then pixels taken from near neighbours one after the other from the lower right, then a Gaussian again.

    The benchmark means to swap two pixels, but overwrites the first before it is kept, so one of the two is lost; this does the same.
    """
    import numpy as np

    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    smooth = np.floor(np.clip(gaussian(image, sigma), 0.0, 1.0) * 255.0)
    height, width = image.shape[:2]
    rows, columns = np.arange(height - reach, reach, -1), np.arange(width - reach, reach, -1)
    positions = (rows[:, None] * width + columns[None, :]).ravel()
    source = list(range(height * width))
    for _ in range(rounds):
        moves = integers(stream, (len(positions), 2), -reach, reach)
        others = positions + moves[:, 1] * width + moves[:, 0]
        for here, there in zip(positions.tolist(), others.tolist(), strict=True):
            source[here] = source[there]
    shuffled = smooth.reshape(height * width, -1)[np.array(source)].reshape(image.shape)
    return gaussian(shuffled / 255.0, sigma)


def defocus_blur(image: Array, severity: int, stream: Stream) -> Array:
    """The mean over a disc with a soft rim."""
    import numpy as np

    radius, alias = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    return disc(np.floor(image * 255.0 + 0.5), radius, alias) / 255.0


def motion_blur(image: Array, severity: int, stream: Stream) -> Array:
    """Smeared along a line of a random angle within 45 degrees of the horizontal."""
    radius, sigma = ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0))[severity - 1]
    return motion(image, radius, sigma, stream.uniform(-45.0, 45.0))


def zoom_blur(image: Array, severity: int, stream: Stream) -> Array:
    """The mean of the image and of itself enlarged a little, a little more, and so on."""
    step, count = ((0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11))[severity - 1]
    total = image.copy()
    for i in range(count):
        total += zoom(image, 1.0 + i * step)
    result: Array = total / (count + 1)
    return result


def brightness(image: Array, severity: int, stream: Stream) -> Array:
    """The value of HSV raised: all channels are multiplied by the same number, black becomes grey."""
    import numpy as np

    value = image.max(axis=2, keepdims=True)
    raised = np.clip(value + (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1], 0.0, 1.0)
    result: Array = np.where(value > 0, image * raised / np.where(value > 0, value, 1.0), raised)
    return result


def saturate(image: Array, severity: int, stream: Stream) -> Array:
    """The saturation of HSV scaled and shifted; a grey pixel has hue 0, red. Images of one channel stay as they are."""
    import numpy as np

    if image.shape[2] == 1:
        return image
    scale, shift = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))[severity - 1]
    value, least = image.max(axis=2, keepdims=True), image.min(axis=2, keepdims=True)
    span = value - least
    saturation = span / np.where(value > 0, value, 1.0)
    wanted = np.clip(saturation * scale + shift, 0.0, 1.0)
    # How far each channel lies below the value, as a share of the span: 0 for the largest, 1 for the smallest.
    below = np.where(span > 0, (value - image) / np.where(span > 0, span, 1.0), np.array([0.0, 1.0, 1.0]))
    result: Array = value - value * wanted * below
    return result


def contrast(image: Array, severity: int, stream: Stream) -> Array:
    """Every value drawn towards its channel's mean."""
    import numpy as np

    share = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    sums = np.floor(image * 255.0 + 0.5).astype(np.int64).sum(axis=(0, 1), keepdims=True)
    means = sums / (255.0 * image.shape[0] * image.shape[1])
    result: Array = (image - means) * share + means
    return result


def elastic_transform(image: Array, severity: int, stream: Stream) -> Array:
    """Every pixel moves by smoothed uniform noise: the strengths of the package imagecorruptions 1.1, which follow the size of the image.

    The paper's program moves the image by three points first, at severities 1 and 2 by far more than at 3 to 5.
    """
    import numpy as np

    strength = 250.0 * (0.05, 0.065, 0.085, 0.1, 0.12)[severity - 1]
    height, width = image.shape[:2]
    reach, sigmas = height * 0.005, (height * 0.01, width * 0.01)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    dx, dy = (
        gaussian(uniforms(stream, (height, width, 1), -reach, reach), sigmas, truncate=3.0, border="symmetric")[:, :, 0] * strength
        for _ in range(2)
    )
    return sample(image, rows + dy, columns + dx, border="symmetric")


def pixelate(image: Image.Image, severity: int) -> Image.Image:
    """Made smaller and larger again, by boxes."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    small = image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BOX)


def jpeg_compression(image: Image.Image, severity: int) -> Image.Image:
    """Through a JPEG of low quality (4:2:0)."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1], subsampling="4:2:0", optimize=False, progressive=False)
    file.seek(0)
    with Image.open(file, formats=("JPEG",)) as opened:
        opened.load()
        return opened.copy()


_FUNCTIONS: dict[str, Callable[[Any, int, Stream], Any]] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
_ENCODED: dict[str, Callable[[Image.Image, int], Image.Image]] = {"pixelate": pixelate, "jpeg_compression": jpeg_compression}

CORRUPTIONS = (*_FUNCTIONS, *_ENCODED)
"""The names, in no order of meaning."""
