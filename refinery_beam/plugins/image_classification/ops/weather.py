"""Textures that cover an image: the plasma of fog and frost, snow, water and mud.

The parameters of each severity are those of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (ICLR 2019), as their published program for ImageNet-C states them. The code is ours; where a library did a step there
(a Canny edge detector, a distance map, pictures of frost) the function below says what it does instead. Images are float64
(h, w, c) of one or three channels in 0..1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from refinery_beam.identity import Stream
from refinery_beam.plugins.image_classification.ops.sampling import gaussian, motion, zoom
from refinery_beam.randoms import normals, uniforms

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
ICE_LUMA, ICE_TINT = (0.48, 0.81), (0.895, 1.02, 1.095)
"""Of the photographs that the benchmark draws from: the least and the greatest mean luma, and the mean colour over the mean luma."""
NEEDLES_MEAN, ICE_DEPTH = 0.336, 0.57
"""The mean of the needles over many plasmas, and the factor that gives them the deviation of the photographs, 27 of 255."""
SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
)
SPATTER = (
    (0.65, 0.3, 4.0, 0.69, 0.6, False),
    (0.65, 0.3, 3.0, 0.68, 0.6, False),
    (0.65, 0.3, 2.0, 0.68, 0.5, False),
    (0.65, 0.3, 1.0, 0.65, 1.5, True),
    (0.67, 0.4, 1.0, 0.65, 1.5, True),
)
LUMA = (0.299, 0.587, 0.114)


def fog(image: Array, severity: int, stream: Stream) -> Array:
    """x + strength * plasma, scaled back so that the brightest value stays the brightest."""
    strength, decay = FOG[severity - 1]
    brightest = float(image.max())
    hazy = image + strength * _plasma_over(image, decay, stream)[:, :, None]
    result: Array = hazy * brightest / (brightest + strength)
    return result


def frost(image: Array, severity: int, stream: Stream) -> Array:
    """a * x + b * ice. The ice is a texture made of two plasmas, ridged so that it has needles and clear patches, in a cold white.

    The benchmark lays one of its photographs of frost over the image; they are not part of this package. The ice is as bright as they are:
    its luma is drawn evenly from their range, the needles spread about it as theirs do, and the tint is their mean colour.
    """
    import numpy as np

    keep, cover = FROST[severity - 1]
    coarse, fine = _plasma_over(image, 1.7, stream), _plasma_over(image, 1.3, stream)
    ridges = 1.0 - np.abs(2.0 * fine - 1.0)
    needles = ridges * ridges * (0.25 + 0.75 * coarse)
    ice = stream.uniform(*ICE_LUMA) + ICE_DEPTH * (needles - NEEDLES_MEAN)[:, :, None]
    tint = np.array(ICE_TINT) if image.shape[2] == 3 else np.array([1.0])
    result: Array = keep * image + cover * np.clip(ice * tint, 0.0, 1.0)
    return result


def snow(image: Array, severity: int, stream: Stream) -> Array:
    """Flakes (normal noise, enlarged, cut below a threshold, smeared by the wind) laid twice over a whitened image."""
    import numpy as np

    mean, deviation, factor, threshold, radius, sigma, mix = SNOW[severity - 1]
    flakes = zoom(normals(stream, image.shape[:2], mean, deviation)[:, :, None], factor)
    flakes[flakes < threshold] = 0.0
    flakes = np.floor(np.clip(flakes, 0.0, 1.0) * 255.0)
    flakes = np.floor(motion(flakes, radius, sigma, stream.uniform(-135.0, -45.0)) + 0.5) / 255.0
    whitened = np.maximum(image, grey(image)[:, :, None] * 1.5 + 0.5)
    result: Array = (mix * image + (1.0 - mix) * whitened) + flakes + flakes[::-1, ::-1]
    return result


def spatter(image: Array, severity: int, stream: Stream) -> Array:
    """Drops of water (severity 1 to 3) or of mud (4 and 5), where smoothed normal noise is above a threshold.

    Water is shaded by the distance to the drops' edges. Edges here are the pixels of a drop that touch a pixel without water, and the
    distance is exact, cut at 20; the benchmark uses a Canny detector and an approximate distance.
    """
    import numpy as np

    mean, deviation, sigma, threshold, strength, mud = SPATTER[severity - 1]
    liquid = gaussian(normals(stream, image.shape[:2], mean, deviation)[:, :, None], sigma)[:, :, 0]
    wet = liquid >= threshold
    if mud:
        cover = gaussian(wet.astype(np.float64)[:, :, None], strength)
        cover[cover < 0.8] = 0.0
        brown = _colour(image, 63, 42, 20)
        muddy: Array = image * (1.0 - cover) + brown * cover
        return muddy
    drops = np.floor(np.where(wet, np.clip(liquid, 0.0, 1.0), 0.0) * 255.0)
    distance = np.floor(_box3(_distance(_edges(wet), 20)) + 0.5)
    values = _equalized(distance.astype(np.int64)).astype(np.float64)
    relief = np.clip(_neighbours(values, ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))), 0.0, 255.0)
    shade = drops * _box3(relief)
    most = float(shade.max())
    if most > 0:
        shade = shade / most * strength
    water: Array = image + shade[:, :, None] * _colour(image, 175, 238, 238)
    return water


def grey(image: Array) -> Array:
    """The luma of an image, (h, w)."""
    if image.shape[2] == 1:
        plane: Array = image[:, :, 0]
        return plane
    luma: Array = (LUMA[0] * image[:, :, 0] + LUMA[1] * image[:, :, 1]) + LUMA[2] * image[:, :, 2]
    return luma


def plasma(size: int, decay: float, stream: Stream) -> Array:
    """A square height map in 0..1 by the diamond-square algorithm on a torus; `size` is a power of two.

    Every new point is the mean of its four neighbours plus a uniform number within the square of the roughness, which starts at 100 and
    is divided by `decay` at every halving of the grid.
    """
    import numpy as np

    heights = np.zeros((size, size))
    step, rough = size, 100.0

    def filled(mean4: Array) -> Array:
        return mean4 / 4.0 + rough * uniforms(stream, mean4.shape, -rough, rough)

    while step >= 2:
        half = step // 2
        corners = heights[0:size:step, 0:size:step]
        rows = corners + np.roll(corners, -1, axis=0)
        heights[half:size:step, half:size:step] = filled(rows + np.roll(rows, -1, axis=1))
        centres = heights[half:size:step, half:size:step]
        corners = heights[0:size:step, 0:size:step]
        sideways = (centres + np.roll(centres, 1, axis=0)) + (corners + np.roll(corners, -1, axis=1))
        heights[0:size:step, half:size:step] = filled(sideways)
        above = (centres + np.roll(centres, 1, axis=1)) + (corners + np.roll(corners, -1, axis=0))
        heights[half:size:step, 0:size:step] = filled(above)
        step, rough = half, rough / decay
    heights -= heights.min()
    result: Array = heights / heights.max()
    return result


def _plasma_over(image: Array, decay: float, stream: Stream) -> Array:
    """The upper left of a height map that covers the image; at least 256 wide, as in the benchmark."""
    size = 256
    while size < max(image.shape[:2]):
        size *= 2
    return plasma(size, decay, stream)[: image.shape[0], : image.shape[1]]


def _colour(image: Array, red: int, green: int, blue: int) -> Array:
    import numpy as np

    colour = np.array([red / 255.0, green / 255.0, blue / 255.0]).reshape(1, 1, 3)
    return colour if image.shape[2] == 3 else grey(colour)[:, :, None]


def _edges(wet: Array) -> Array:
    import numpy as np

    padded = np.pad(wet, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    result: Array = wet & ~inner
    return result


def _distance(edges: Array, limit: int) -> Array:
    """The distance of every pixel to the nearest edge, at most `limit`: first along columns, then over the columns within reach."""
    import numpy as np

    far = limit * limit
    height, width = edges.shape
    padded = np.pad(edges, ((limit, limit), (0, 0)))
    down = np.full(edges.shape, far, np.int64)
    for d in range(limit, -1, -1):
        near = padded[limit - d : limit - d + height] | padded[limit + d : limit + d + height]
        down[near] = d * d
    wide = np.pad(down, ((0, 0), (limit, limit)), constant_values=far)
    best = np.full(edges.shape, far, np.int64)
    for d in range(-limit, limit + 1):
        best = np.minimum(best, wide[:, limit + d : limit + d + width] + d * d)
    return np.sqrt(best.astype(np.float64))


def _box3(plane: Array) -> Array:
    return _neighbours(plane, ((1, 1, 1), (1, 1, 1), (1, 1, 1))) / 9.0


def _neighbours(plane: Array, kernel: tuple[tuple[int, ...], ...]) -> Array:
    import numpy as np

    padded = np.pad(plane, 1, mode="reflect")
    out = np.zeros(plane.shape)
    for dy in range(3):
        for dx in range(3):
            out += kernel[dy][dx] * padded[dy : dy + plane.shape[0], dx : dx + plane.shape[1]]
    return out


def _equalized(values: Array) -> Array:
    """Byte values spread so that their histogram is flat."""
    import numpy as np

    counts = np.bincount(values.ravel(), minlength=256)
    first = int(counts[np.flatnonzero(counts)[0]])
    total = int(values.size)
    if total == first:
        return values
    table = np.floor((np.cumsum(counts) - first) * 255.0 / (total - first) + 0.5)
    result: Array = np.clip(table, 0, 255).astype(np.int64)[values]
    return result
