"""What is done with every image, written by hand: what the bare loop and the peers share, so that all of them do the same work.

A picture is read, hashed, decoded, brought to its size, changed and encoded as the workload says. Seven of ten records, by their digest,
are train: these are counted, generated from, and fitted on.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Array = np.ndarray[Any, Any]
EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class Work(NamedTuple):
    """A workload: the side of the images (None leaves them), how they are stored, and what is made of those in train."""

    side: int | None = 224
    encoding: str = "tensor"
    draft: bool = False
    floats: bool = False
    augmented: bool = False
    corrupted: bool = False

    @property
    def row_bytes(self) -> int:
        """The bytes of a stored tensor; -1 for files, which differ."""
        return -1 if self.encoding != "tensor" else (self.side or 32) ** 2 * 3 * (4 if self.floats else 1)


WORKS = {
    "photographs": Work(),
    "12 Mpx": Work(),
    "12 Mpx, draft": Work(draft=True),
    "icons": Work(side=None),
    "float32": Work(floats=True),
    "augmentation x4": Work(augmented=True),
    "corruptions": Work(corrupted=True),
    "png": Work(encoding="png"),
    "jpeg": Work(encoding="jpeg"),
    "source": Work(side=None, encoding="source"),
}


class Made(NamedTuple):
    """The digest of a file, what is stored of it, and the histogram of the channels, of train only."""

    digest: bytes
    cells: list[bytes]
    histogram: Array | int


def listed(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in EXTENSIONS)


def make(file: Path, work: Work, fitted: tuple[Array, Array] | None = None) -> Made:
    """The work on one file; `fitted` is the mean and the deviation of every channel, for floats."""
    content = file.read_bytes()
    digest = hashlib.sha256(content).digest()
    if work.encoding == "source":
        return Made(digest, [content], 0)
    train = digest[0] < 179
    with Image.open(io.BytesIO(content)) as opened:
        if work.draft and work.side:
            opened.draft(None, (work.side, work.side))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    images = [image, *(change(image, digest) for change in CORRUPTIONS)] if work.corrupted and train else [image]
    if work.side:
        images = [each.resize((work.side, work.side), Image.Resampling.BILINEAR) for each in images]
    histogram = sum(np.array(each.histogram(), np.int64) for each in images) if train else 0
    if work.augmented and train:
        images = [augmented(each, digest + bytes([number])) for each in images for number in range(4)]
    return Made(digest, [encoded(each, work, fitted) for each in images], histogram)


def encoded(image: Image.Image, work: Work, fitted: tuple[Array, Array] | None) -> bytes:
    if work.floats and fitted:
        return bytes(((np.asarray(image, np.float32) - fitted[0]) / fitted[1]).tobytes())
    if work.encoding == "tensor":
        return image.tobytes()
    file = io.BytesIO()
    image.save(file, work.encoding, **({"quality": 95, "subsampling": "4:2:0"} if work.encoding == "jpeg" else {"compress_level": 1}))
    return file.getvalue()


def augmented(image: Image.Image, seed: bytes) -> Image.Image:
    """A window of the padded picture, brighter or darker, with more or less contrast."""
    chance = random.Random(seed)
    padded = Image.fromarray(np.pad(np.asarray(image), ((16, 16), (16, 16), (0, 0)), mode="reflect"))
    x, y = chance.randrange(33), chance.randrange(33)
    window = padded.crop((x, y, x + image.width, y + image.height))
    return ImageEnhance.Contrast(ImageEnhance.Brightness(window).enhance(chance.uniform(0.8, 1.2))).enhance(chance.uniform(0.8, 1.2))


def noisy(image: Image.Image, seed: bytes) -> Image.Image:
    normals = np.random.default_rng(list(seed)).normal(0, 0.18, (image.height, image.width, 3))
    return Image.fromarray((np.clip(np.asarray(image) / 255 + normals, 0, 1) * 255).astype(np.uint8))


def pale(image: Image.Image, seed: bytes) -> Image.Image:
    pixels = np.asarray(image) / 255
    means = pixels.mean(axis=(0, 1), keepdims=True)
    return Image.fromarray((np.clip((pixels - means) * 0.2 + means, 0, 1) * 255).astype(np.uint8))


def squeezed(image: Image.Image, seed: bytes) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=15, subsampling="4:2:0")
    return Image.open(file).convert("RGB")


CORRUPTIONS: tuple[Callable[[Image.Image, bytes], Image.Image], ...] = (noisy, pale, squeezed)
"""gaussian_noise, contrast and jpeg_compression, of severity 3."""


def fit(histograms: Iterable[Array | int]) -> tuple[Array, Array]:
    """The mean and the deviation of every channel."""
    counts = np.asarray(sum(histograms)).reshape(3, 256)
    values, totals = np.arange(256), counts.sum(axis=1)
    means = (counts * values).sum(axis=1) / totals
    return means.astype(np.float32), np.sqrt((counts * values**2).sum(axis=1) / totals - means**2).astype(np.float32)
