"""A set of pictures with faults that are known: near twins across splits, label conflicts, tell-tale formats and cameras, dark and blurry.

The pictures are smooth blobs under fine grain, each from a seed of its own, so that no two are alike, and odd are only those that are made
so.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

CLASSES = ("ant", "bee", "cat", "dog")
SIDE = 96


class Planted(NamedTuple):
    """The record ids of what was planted. Pairs are sorted."""

    twins: set[tuple[str, str]]
    conflicts: set[tuple[str, str]]
    dark: set[str]
    blurry: set[str]
    png: str
    camera: str


def picture(seed: int) -> Image.Image:
    """A picture of its own."""
    rng = np.random.Generator(np.random.Philox(seed))
    small = rng.integers(0, 256, (7, 7, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = rng.integers(-24, 25, (SIDE, SIDE, 1), dtype=np.int16)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def plant(folder: Path) -> Planted:
    """Write 44 pictures of each class below ``train`` and 16 below ``test``; bees are PNG files, dogs come from one camera."""
    names: dict[tuple[str, str], list[Path]] = {}
    seed = 0
    for split, many in (("train", 44), ("test", 16)):
        for label in CLASSES:
            for n in range(many):
                seed += 1
                path = folder / split / label / f"{n:03}.{'png' if label == 'bee' else 'jpg'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                names.setdefault((split, label), []).append(path)
                _save(picture(seed), path, label)

    def record(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    twins, conflicts = set(), set()
    for n in range(7):
        label = CLASSES[n % 4]
        first, second = names["train", label][n], names["test", label][n]
        _save(Image.open(first).convert("RGB").point(lambda v: min(255, v + 4)), second, label)
        twins.add((record(first), record(second)))
    for n in range(5):
        one, other = CLASSES[n % 4], CLASSES[(n + 1) % 4]
        first, second = names["train", one][10 + n], names["train", other][20 + n]
        _save(Image.open(first).convert("RGB").resize((SIDE + 8, SIDE + 8)), second, other)
        conflicts.add((record(first), record(second)) if record(first) < record(second) else (record(second), record(first)))
    dark = {names["train", CLASSES[n % 4]][26 + n] for n in range(12)}
    for path in dark:
        _save(Image.open(path).convert("RGB").point(lambda v: v // 7), path, path.parent.name)
    blurry = {names["test", CLASSES[n % 4]][7 + n] for n in range(9)}
    for path in blurry:
        _save(Image.open(path).convert("RGB").filter(ImageFilter.GaussianBlur(9)), path, path.parent.name)
    return Planted(twins, conflicts, {record(p) for p in dark}, {record(p) for p in blurry}, "bee", "dog")


def _save(image: Image.Image, path: Path, label: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = ("Nikon", "NIKON D90") if label == "dog" else ("Canon", f"EOS {path.stem[-1]}")
    if path.suffix == ".png":
        image.save(path, exif=exif)
    else:
        image.save(path, quality=85 + int(path.stem) % 10, exif=exif)
