"""What a number cannot say: functions that a recipe of the suite names. Pixels are recomputed with Pillow and NumPy alone."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

import refinery_beam as rb
from refinery_beam.launch import RunResult
from support.kitchen import Kitchen, rows
from support.law import digest

NINETEEN = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    *("speckle_noise", "gaussian_blur", "spatter", "saturate"),
)


def file_of(kitchen: Kitchen, record_id: str, folder: str = "shapes") -> Path:
    return kitchen.root / folder / Path(*record_id.split("#")[0].split("/")[1:])


def resized(file: Path, size: tuple[int, int] = (16, 16)) -> np.ndarray[Any, Any]:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


def image(row: dict[str, Any], shape: tuple[int, ...] = (16, 16, 3), dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.frombuffer(row["image"], dtype).reshape(shape)


def statistics(kitchen: Kitchen, result: RunResult, name: str) -> None:
    """The fitted sums and means, from train alone, in exact integers."""
    train = [resized(file_of(kitchen, i)).astype(object) for i, row in rows(result).items() if row["split"] == "train"]
    fitted = json.loads((Path(result.path) / "fitted_statistics" / f"{name}.json").read_text())
    count = len(train) * 16 * 16
    sums = [sum(int(a[..., c].sum()) for a in train) for c in range(3)]
    squares = [sum(int((a[..., c] ** 2).sum()) for a in train) for c in range(3)]
    assert [(c["count"], c["sum"], c["sum_squares"]) for c in fitted["channels"]] == [
        (count, s, q) for s, q in zip(sums, squares, strict=True)
    ]
    assert fitted["mean"] == [float(Fraction(s, count)) for s in sums]


def copies_are_dealt_evenly(kitchen: Kitchen, result: RunResult) -> None:
    """Of train's 5, 3 and 2 the smaller classes grow to 5: 3 get two copies (of two), 2 get three (2 + 1). Ids are unique."""
    made = Counter(i.split("#")[0] for i in rows(result) if "#" in i)
    by_class: dict[str, list[int]] = {}
    for parent, count in made.items():
        by_class.setdefault(parent.split("/")[1], []).append(count)
    assert {label: sorted(counts) for label, counts in by_class.items()} == {"square": [1, 1], "triangle": [1, 2]}
    found = rows(result)
    assert all(row["image"] == found[i.split("#")[0]]["image"] for i, row in found.items())


def corrupted_pixels(kitchen: Kitchen, result: RunResult) -> None:
    """The children's pixels are stored, not those of the clean parent."""
    found = rows(result)
    for record_id, row in found.items():
        clean = resized(file_of(kitchen, record_id))
        if "#" in record_id:
            parent, variant = record_id.split("#noisy:")
            assert (row["corruption"], f"{row['corruption']}:{row['severity']}") == ("fog", variant)
            assert row["source_path"] == parent.split("/", 1)[1] and row["split"] == "train"
            assert (image(row) != clean).any()
        else:
            assert (image(row) == clean).all() and row["corruption"] is None


def ninety_five(kitchen: Kitchen, result: RunResult) -> None:
    found = rows(result)
    pairs = Counter((row["corruption"], row["severity"]) for row in found.values() if row["split"] == "train")
    assert pairs == Counter((name, severity) for name in NINETEEN for severity in range(1, 6))
    assert len({row["image"] for row in found.values() if row["split"] == "train"}) > 90, "pairs differ in their pixels"


def renamed_tags(kitchen: Kitchen, result: RunResult) -> None:
    train = [(row["how"], row["strength"]) for row in rows(result).values() if row["split"] == "train"]
    assert Counter(train) == {("none", 0): 18, ("contrast", 2): 18}


def lazy_defaults(kitchen: Kitchen, result: RunResult) -> None:
    params = {a["name"]: a["params"] for a in result.manifest.raw["augmentations"]}
    assert params == {
        "flip": {"p": 0.5},
        "crop": {"size": 16, "padding": 0, "padding_mode": "reflect"},
        "jitter": {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
        "erase": {"p": 0.5, "scale": [0.02, 0.33], "ratio": [0.3, 3.3]},
    }


def lazy_epochs(kitchen: Kitchen, result: RunResult) -> None:
    """Every image of an epoch is the stored one or its mirror image, some are each, and an epoch is the same twice."""
    train = rb.open_instance(result.path).split("train")
    plain = {row["record_id"]: row["image"] for row in train}
    first, again, second = ({row["record_id"]: row["image"] for row in train.epoch(n)} for n in (0, 0, 1))
    turned = {i: bool((pixels == plain[i][:, ::-1]).all()) for i, pixels in first.items()}
    assert all((pixels == plain[i]).all() or turned[i] for i, pixels in first.items())
    assert 0 < sum(turned.values()) < 18
    assert all((first[i] == again[i]).all() for i in first) and any((first[i] != second[i]).any() for i in first)


def variants_by_name(kitchen: Kitchen, result: RunResult) -> None:
    found = rows(result)
    train = {i: row for i, row in found.items() if row["split"] == "train"}
    assert Counter(i.split("#")[1] for i in train) == {"flip:0": 18, "flip:1": 18}
    for record_id, row in train.items():
        clean = resized(file_of(kitchen, record_id))
        assert (image(row) == clean).all() or (image(row) == clean[:, ::-1]).all()


def labels_of_the_table(kitchen: Kitchen, result: RunResult) -> None:
    with (kitchen.root / "flat" / "stems.csv").open(newline="") as file:
        table = {row["filename"]: row["class"] for row in csv.DictReader(file)}
    assert {Path(i).stem: row["label"] for i, row in rows(result).items()} == table


def tags_decide(kitchen: Kitchen, result: RunResult) -> None:
    tags = {(row["split"], *row["sample_per_class_tags"]) for row in rows(result).values()}
    assert tags == {("train", "main"), ("val", "main"), ("probe", "probe")}


def class_balance_is_kept(kitchen: Kitchen, result: RunResult) -> None:
    balance = result.manifest.raw["class_balance"]
    assert (balance if isinstance(balance, str) else balance["strategy"]) == "oversample"


def hash_alone(kitchen: Kitchen, result: RunResult) -> None:
    for record_id, row in rows(result).items():
        content = digest("group-content", hashlib.sha256(file_of(kitchen, record_id).read_bytes()).digest())
        first_half = digest("split", 11, "Splits", content)[0] < 128
        assert row["split"] == ("train" if first_half else "test")


def pinned_normalization(kitchen: Kitchen, result: RunResult) -> None:
    for row in rb.open_instance(result.path).split("test"):
        pixels = resized(file_of(kitchen, row["record_id"])).astype(np.float64)
        want = ((pixels - [100.0, 110.0, 120.0]) / [50.0, 40.0, 30.0]).astype(np.float32)
        assert row["image"].dtype == np.float32 and np.abs(row["image"] - want).max() <= 1e-6


def half_as_bright(kitchen: Kitchen, result: RunResult) -> None:
    for row in rb.open_instance(result.path).split("train"):
        assert (row["image"] == np.rint(resized(file_of(kitchen, row["record_id"])) * 0.5)).all()
        assert row["image"].max() > 64


def grey_channels(kitchen: Kitchen, result: RunResult) -> None:
    for record_id, row in rows(result).items():
        with Image.open(file_of(kitchen, record_id)) as picture:
            want = np.asarray(picture.convert("RGB").convert("L").convert("RGB").resize((16, 16), Image.Resampling.BILINEAR))
        assert (image(row) == want).all()


def borders_are_black(kitchen: Kitchen, result: RunResult) -> None:
    """40 x 32 into 16 is 16 x 13 with rows of black; the middle 12 x 12 touches none of them; then four columns on each side."""
    for row in rows(result).values():
        pixels = image(row, (16, 20, 3))
        middle = pixels[2:14, 4:16]
        assert middle.any() and int(pixels.sum()) == int(middle.sum())


def upright(kitchen: Kitchen, result: RunResult) -> None:
    for split in ("train", "test"):
        (row,) = rb.open_instance(result.path).split(split)
        with Image.open(file_of(kitchen, row["record_id"], "sideways")) as picture:
            assert picture.size == (40, 32)
            want = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        assert row["image"].shape == (40, 32, 3) and (row["image"] == want).all()


def imported_statistics(kitchen: Kitchen, result: RunResult) -> None:
    theirs = json.loads((Path(kitchen.cook("v3_main").path) / "fitted_statistics" / "normalize.json").read_text())
    ours = json.loads((Path(result.path) / "fitted_statistics" / "normalize.json").read_text())
    assert (ours["mean"], ours["std"]) == (theirs["mean"], theirs["std"])


def png_equals_tensor(kitchen: Kitchen, result: RunResult) -> None:
    for row in rb.open_instance(result.path).split("train", raw=True):
        assert (row["image"] == resized(file_of(kitchen, row["record_id"]))).all()


def kind_is_the_label(kitchen: Kitchen, result: RunResult) -> None:
    assert all(row["kind"] == i.split("/")[1] for i, row in rows(result).items())
    assert Counter((row["split"], row["kind"]) for row in rows(result).values()) == {
        (split, kind): 6 for split in ("train", "test") for kind in ("circle", "square", "triangle")
    }


def parts_of_the_path(kitchen: Kitchen, result: RunResult) -> None:
    for record_id, row in rows(result).items():
        file = file_of(kitchen, record_id)
        assert (row["folder"], row["file"], row["stem"]) == (file.parent.name, file.name, file.stem)


def sizes(kitchen: Kitchen, result: RunResult) -> None:
    assert {tuple(row["size"]) for row in rows(result).values()} == {(16, 16, 3)}


def label_numbers(kitchen: Kitchen, result: RunResult) -> None:
    _numbers(result, {"circle": 0, "square": 1, "triangle": 2})


def label_numbers_turned(kitchen: Kitchen, result: RunResult) -> None:
    _numbers(result, {"triangle": 0, "square": 1, "circle": 2})


def _numbers(result: RunResult, want: dict[str, int]) -> None:
    assert all(row["label_id"] == want[row["label"]] for row in rows(result).values())
    assert str(pq.read_schema(next(Path(result.path).glob("dataset/train/*.parquet"))).field("label_id").type) == "int32"


def flat_pixels(kitchen: Kitchen, result: RunResult) -> None:
    assert all(row["vector"] == image(row).reshape(-1).tolist() for row in rows(result).values())


def contracts_hold(kitchen: Kitchen, result: RunResult) -> None:
    outcomes = result.manifest.raw["expectations"]
    assert Counter(o["section"] for o in outcomes) == {"InputContracts": 3, "OutputExpectations": 11}
    assert all(o["passed"] for o in outcomes)
    report = (Path(result.path) / "report" / "report.md").read_text()
    assert report.count("| error | holds |") == 14


def sample(result: RunResult, want: dict[str, int]) -> None:
    """The sample is a part of the dataset, row by row."""
    found = rows(result)
    counts = {}
    for split in want:
        sampled = pq.read_table(f"{result.path}/sample/{split}", partitioning=None).to_pylist()
        assert all({**row, "split": split} == found[row["record_id"]] for row in sampled)
        counts[split] = len(sampled)
    assert counts == want
    assert {p.name for p in (Path(result.path) / "sample").iterdir()} == set(want)


def sink_pixels(kitchen: Kitchen, result: RunResult) -> None:
    for record_id, row in rows(result).items():
        file = Path(result.path) / "sinks" / "pictures" / row["split"] / row["label"] / f"{Path(record_id).stem}.png"
        with Image.open(file) as picture:
            assert (np.asarray(picture) == image(row)).all()


def sources_untouched(kitchen: Kitchen) -> None:
    with Image.open(kitchen.root / "shapes" / "circle" / "circle_000.png") as picture:
        assert picture.size == (40, 32)
