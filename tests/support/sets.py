"""The image folders that the suite's recipes name, drawn once."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from refinery_beam.testing import images

SIZE = (40, 32)
"""Width and height: corruptions want 32 at least."""


def draw_all(root: Path) -> None:
    images.class_folders(root / "shapes", size=SIZE)
    shapes = {label: sorted((root / "shapes" / label).iterdir()) for label in ("circle", "square", "triangle")}
    for label, count in (("circle", 10), ("square", 6), ("triangle", 4)):
        _copy(shapes[label][:count], root / "uneven" / label)
    images.class_folders(root / "twenty", classes=("circle", "square"), per_class=20, size=SIZE, formats=("png",))
    images.train_test(root / "hold_out", size=SIZE, formats=("png",))
    images.unlabeled(root / "blind", size=SIZE, formats=("png",))
    _flat(root / "flat")
    for label, files in shapes.items():
        _copy(files[:6], root / "deep" / "one" / label)
        _copy(files[6:], root / "deep" / "two" / label / "more" / "below")
    (root / "deep" / "loose.png").write_bytes(shapes["circle"][0].read_bytes())
    _mixed(root / "mixed")
    for label, source in (("0", "circle"), ("1", "square")):
        _copy(shapes[source][:4], root / "digits" / label)
    for label in ("circle", "square"):
        _copy(shapes[label][:6], root / "twins" / label)
        for i, file in enumerate(shapes[label][:2]):
            shutil.copyfile(file, root / "twins" / label / f"again_{i}{file.suffix}")
    _copy(shapes["circle"][:1], root / "two" / "one")
    _copy(shapes["square"][:1], root / "two" / "other")
    _sideways(root / "sideways" / "a")
    _odd(root / "odd", shapes["circle"])


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _flat(root: Path) -> None:
    files = images.flat_with_csv(root, size=SIZE)
    rows = (root / "labels.csv").read_text().splitlines()[1:]
    (root / "stems.csv").write_text("\n".join(["filename,class", *rows, ""]))
    suffixes = {file.stem: file.name for file in files}
    named = [f"{suffixes[row.split(',')[0]]};{row.split(',')[1]}" for row in rows]
    (root / "names.csv").write_text("\n".join(["\ufefffilename;class", *reversed(named), ""]), encoding="utf-8")
    (root / "order.csv").write_text("".join(row.split(",")[1] + "\n" for row in rows))
    (root / "short.csv").write_text("\n".join(["filename,class", *rows[:-1], ""]))


def _mixed(root: Path) -> None:
    for label, names in (("cat", ["a.PNG", "b.jpeg", "c.webp", "d.bmp", "e.tif"]), ("dog", [f"{i}.png" for i in range(1, 6)])):
        (root / label / "below").mkdir(parents=True)
        for i, name in enumerate(names):
            images.draw(label, i, size=SIZE).save(root / label / name)
        images.draw(label, 99, size=SIZE).save(root / label / "below" / "deeper.png")
        (root / label / "notes.txt").write_text("not an image")


def _sideways(root: Path) -> None:
    root.mkdir(parents=True)
    for i in range(2):
        picture = images.draw("circle", i, size=SIZE)
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
        picture.save(root / f"{i}.jpg", exif=exif)


def _odd(root: Path, good: list[Path]) -> None:
    _copy(good[:3], root / "cat")
    _copy(good[3:5], root / "dog")
    whole = good[1].read_bytes()
    assert good[1].suffix == ".jpg"
    (root / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    shutil.copytree(root / "cat", root.parent / "torn" / "cat")
    (root / "cat" / "nothing.png").write_bytes(b"")
    (root / "dog" / "text.png").write_bytes(b"this is no picture at all, but a sentence")
