"""The drawn image sets: the same pixels everywhere, the layouts they promise, and awkward files that are what they say."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from refinery_beam.testing import awkward, images


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("label", "index", "size", "seed", "expected"),
    [
        ("circle", 0, (96, 72), 0, "eea076b2f9f5d23e"),
        ("square", 7, (96, 72), 0, "e63f39cde2ecede4"),
        ("triangle", 3, (33, 17), 5, "756fef866c0f39a2"),
        ("dog", 1, (96, 72), 0, "3389ca20b9590681"),
    ],
)
def test_pixels_are_the_same_everywhere(label: str, index: int, size: tuple[int, int], seed: int, expected: str) -> None:
    assert digest(images.draw(label, index, size=size, seed=seed)) == expected


def test_class_folders(tmp_path: Path) -> None:
    files = images.class_folders(tmp_path, classes=("cat", "dog"), per_class=4, size=(8, 6))
    assert [f.relative_to(tmp_path).as_posix() for f in files] == [
        *("cat/cat_000.png", "cat/cat_001.jpg", "cat/cat_002.png", "cat/cat_003.jpg"),
        *("dog/dog_000.png", "dog/dog_001.jpg", "dog/dog_002.png", "dog/dog_003.jpg"),
    ]
    assert all(Image.open(f).size == (8, 6) for f in files)


def test_png_holds_the_drawn_pixels(tmp_path: Path) -> None:
    (file,) = images.class_folders(tmp_path, classes=("circle",), per_class=1)
    assert Image.open(file).tobytes() == images.draw("circle", 0).tobytes()


def test_flat_with_csv(flat_with_csv: Path) -> None:
    rows = list(csv.DictReader((flat_with_csv / "labels.csv").open(encoding="utf-8")))
    assert rows[:2] == [{"filename": "img_000", "class": "circle"}, {"filename": "img_001", "class": "square"}]
    assert sorted(row["filename"] for row in rows) == sorted(f.stem for f in (flat_with_csv / "images").iterdir())


def test_given_partitions(train_test: Path, unlabeled: Path) -> None:
    assert len(list(train_test.glob("train/*/*"))) == len(list(unlabeled.glob("train/*/*"))) == 36
    assert len(list(train_test.glob("test/*/*"))) == len(list(unlabeled.glob("test/*.*"))) == 9


def test_every_awkward_reason_is_there_once(awkward_files: list[awkward.AwkwardFile]) -> None:
    reasons = {f.path.name: f.reason for f in awkward_files if f.reason}
    assert reasons == {"truncated.jpg": "truncated", "text.png": "not_an_image", "empty.png": "empty_file", "bomb.png": "too_many_pixels"}


def test_awkward_names(awkward_files: list[awkward.AwkwardFile]) -> None:
    names = {f.path.name for f in awkward_files}
    assert {"UPPER.PNG", "with some spaces.png"} <= names
    assert any(not unicodedata.is_normalized("NFC", name) for name in names)
    assert any(not name.isascii() and unicodedata.is_normalized("NFC", name) for name in names)


def test_awkward_modes(awkward_files: list[awkward.AwkwardFile]) -> None:
    modes = {f.path.name: Image.open(f.path).mode for f in awkward_files if f.path.stem.isascii() and not f.reason}
    expected = {"palette.png": "P", "palette_clear.png": "P", "cmyk.jpg": "CMYK", "sixteen_bit.png": "I;16", "grey.png": "L"}
    assert modes.items() >= {**expected, "grey_clear.png": "LA", "rgba.png": "RGBA", "one_bit.png": "1", "animated.gif": "P"}.items()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_shows_the_same_picture(awkward_files: list[awkward.AwkwardFile], orientation: int) -> None:
    (file,) = [f for f in awkward_files if f.path.name == f"exif_{orientation}.jpg"]
    image = Image.open(file.path)
    assert image.getexif().get(0x0112) == orientation
    upright = ImageOps.exif_transpose(image)
    assert upright.size == file.size
    difference = np.asarray(upright, np.int64) - np.asarray(images.draw("circle", 0), np.int64)
    assert np.abs(difference).mean() < 6  # JPEG at quality 90


def test_bomb_is_small_on_disk(awkward_files: list[awkward.AwkwardFile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)  # Pillow's own limit, which decoding sets aside
    (bomb,) = [f.path for f in awkward_files if f.reason == "too_many_pixels"]
    assert bomb.stat().st_size < 200
    with pytest.raises(Image.DecompressionBombError):
        Image.open(bomb)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.main(["awkward", str(tmp_path), "--per-class", "2", "--size", "32x24"])
    assert capsys.readouterr().out == f"drew {len(list(tmp_path.rglob('*.*')))} images under {tmp_path}\n"
    assert {p.name for p in tmp_path.iterdir()} == {"odd", "plain"}
    with pytest.raises(SystemExit):
        images.main(["folders", str(tmp_path), "--size", "tiny"])
