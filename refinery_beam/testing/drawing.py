"""Pictures and tiny image sets, drawn by arithmetic.

Every pixel follows from (seed, class, index, size) by integer arithmetic on the words of `identity.Stream`, so a drawn picture is the same
on every machine. PNG files hold exactly these pixels; the bytes of the files, and the pixels a lossy codec gives back, depend on
Pillow.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from refinery_beam.identity import Stream, record_key

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask: TypeAlias = npt.NDArray[np.bool_]
    Grid: TypeAlias = npt.NDArray[np.int64]

CLASSES = ("circle", "square", "triangle")
"""The default classes. Any other class name is drawn too, as a ring, a cross or stripes."""

SIZE = (96, 72)
"""The default width and height of a drawn picture."""


def draw(label: str, index: int, *, size: tuple[int, int] = SIZE, seed: int = 0) -> Image.Image:
    """One picture of class `label`: its shape, somewhere, in some colour, on a shaded and slightly noisy ground; an RGB image.

    >>> draw("circle", 0).size, draw("circle", 0).tobytes() == draw("circle", 0).tobytes()
    ((96, 72), True)
    >>> draw("circle", 0).tobytes() == draw("circle", 1).tobytes()
    False
    """
    width, height = size
    stream = Stream(seed=seed, op=label, key=record_key(f"{label}/{index}"), domain="drawn image")
    ground, shade, colour = (np.array([stream.integer(256) for _ in range(3)], np.int64) for _ in range(3))
    # So that the shape is visible, its colour differs from the ground's by at least 96 in one channel.
    channel = stream.integer(3)
    colour[channel] = (ground[channel] + 96 + stream.integer(64)) % 256

    radius = max(2, min(size) * (20 + stream.integer(16)) // 100)
    centre_x = radius + stream.integer(max(1, width - 2 * radius))
    centre_y = radius + stream.integer(max(1, height - 2 * radius))
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)

    slope = (x * (1 + stream.integer(4)) + y * (1 + stream.integer(4))) * 128 // (4 * (width + height))
    pixels = (ground * (255 - slope[..., None]) + shade * slope[..., None]) // 255
    inside = _shape(label)(2 * (x - centre_x), 2 * (y - centre_y), 2 * radius)
    pixels[inside] = colour
    words = stream.words(-(-width * height * 3 // 8))
    noise = words.astype("<u8").view(np.uint8)[: width * height * 3].reshape(height, width, 3).astype(np.int64) // 16 - 8
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def class_folders(
    root: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    per_class: int = 12,
    size: tuple[int, int] = SIZE,
    formats: Sequence[str] = ("png", "jpg"),
    seed: int = 0,
) -> list[Path]:
    """Draw ``root/<class>/<class>_<index>.<format>``; the formats take turns. Returns the files, sorted.

    This is the layout of an `image_folder` source.
    """
    return _draw_all(
        [(Path(root) / label / f"{label}_{i:03d}", label, i) for label in classes for i in range(per_class)], formats, size=size, seed=seed
    )


def flat_with_csv(
    root: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    per_class: int = 12,
    size: tuple[int, int] = SIZE,
    formats: Sequence[str] = ("png", "jpg"),
    seed: int = 0,
) -> list[Path]:
    """Draw ``root/images/img_<index>.<format>`` and write ``root/labels.csv`` (columns ``filename,class``); returns the images, sorted.

    The `filename` column holds names without extension. This is the layout of an `image_flat` source with `label_from`.
    """
    root = Path(root)
    # Classes take turns, so that no range of file names is one class.
    plan = [(root / "images" / f"img_{i:03d}", classes[i % len(classes)], i) for i in range(per_class * len(classes))]
    files = _draw_all(plan, formats, size=size, seed=seed)
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["filename", "class"])
        writer.writerows([path.name, label] for path, label, _ in plan)
    return files


def train_test(
    root: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    per_class: int = 12,
    size: tuple[int, int] = SIZE,
    formats: Sequence[str] = ("png", "jpg"),
    seed: int = 0,
) -> list[Path]:
    """Draw ``root/train/<class>/...`` and, a quarter as many, ``root/test/<class>/...``; returns the files, sorted."""
    root, held_out = Path(root), max(1, per_class // 4)
    plan = [(root / "train" / label / f"{label}_{i:03d}", label, i) for label in classes for i in range(per_class)]
    plan += [(root / "test" / label / f"{label}_{i:03d}", label, per_class + i) for label in classes for i in range(held_out)]
    return _draw_all(plan, formats, size=size, seed=seed)


def unlabeled(
    root: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    per_class: int = 12,
    size: tuple[int, int] = SIZE,
    formats: Sequence[str] = ("png", "jpg"),
    seed: int = 0,
) -> list[Path]:
    """Draw ``root/train/<class>/...`` and a flat ``root/test/`` whose names tell no class; returns the files, sorted."""
    root, held_out = Path(root), max(1, per_class // 4) * len(classes)
    plan = [(root / "train" / label / f"{label}_{i:03d}", label, i) for label in classes for i in range(per_class)]
    plan += [(root / "test" / f"test_{i:03d}", classes[i % len(classes)], per_class + i) for i in range(held_out)]
    return _draw_all(plan, formats, size=size, seed=seed)


def _draw_all(plan: Sequence[tuple[Path, str, int]], formats: Sequence[str], *, size: tuple[int, int], seed: int) -> list[Path]:
    files = []
    for number, (stem, label, index) in enumerate(plan):
        path = stem.with_name(f"{stem.name}.{formats[number % len(formats)]}")
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(label, index, size=size, seed=seed).save(path, **save_options(path.suffix))
        files.append(path)
    return sorted(files)


def save_options(suffix: str) -> dict[str, Any]:
    """How drawn pictures are written: JPEG and WebP at quality 90, everything else by Pillow's defaults.

    >>> save_options(".jpg"), save_options(".png")
    ({'quality': 90}, {})
    """
    return {"quality": 90} if suffix.lower() in (".jpg", ".jpeg", ".webp") else {}


def _shape(label: str) -> Callable[[Grid, Grid, int], Mask]:
    if label in _SHAPES:
        return _SHAPES[label]
    others = sorted(set(_SHAPES) - set(CLASSES))
    return _SHAPES[others[record_key(label)[0] % len(others)]]


# Every shape is a test on coordinates relative to its centre; r is its outer radius.
_SHAPES: dict[str, Callable[[Grid, Grid, int], Mask]] = {
    "circle": lambda x, y, r: x * x + y * y <= r * r,
    "square": lambda x, y, r: np.maximum(abs(x), abs(y)) * 5 <= r * 4,
    "triangle": lambda x, y, r: (y * 2 <= r) & (abs(x) * 7 <= (y + r) * 4),
    "ring": lambda x, y, r: (x * x + y * y <= r * r) & (x * x + y * y >= r * r // 3),
    "cross": lambda x, y, r: (np.minimum(abs(x), abs(y)) * 3 <= r) & (np.maximum(abs(x), abs(y)) <= r),
    "stripes": lambda x, y, r: (np.maximum(abs(x), abs(y)) <= r) & ((y + r) * 5 // (2 * r + 1) % 2 == 0),
}
