"""input.parquet names every listed file and where it went; facts/ holds what the headers of the files state."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from refinery_beam.identity import record_key
from refinery_beam.launch import RunResult
from refinery_beam.reading import open_instance
from support.recipes import SMALL, Run, quarantine, write_recipe


def table(result: RunResult, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(Path(result.path) / name).to_pylist()
    return rows


def splits_of(result: RunResult) -> dict[str, str]:
    return {row["record_id"]: split for split in result.splits for row in open_instance(result.path).split(split, raw=True)}


def test_every_file_is_listed_with_its_digest_and_split(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path))
    rows = table(result, "input.parquet")
    files = {f"photos/{path.relative_to(class_folders)}": path for path in class_folders.rglob("*.*") if path.is_file()}
    assert {row["record_id"] for row in rows} == set(files)
    assert [row["record_id"] for row in rows] == sorted(files, key=record_key)
    for row in rows:
        data = files[row["record_id"]].read_bytes()
        assert (row["bytes"], row["digest"]) == (len(data), hashlib.sha256(data).digest())
        assert row["label"] == files[row["record_id"]].parent.name
    assert {row["record_id"]: row["split"] for row in rows} == splits_of(result)
    assert pq.read_schema(Path(result.path) / "input.parquet").metadata[b"refinery:digest"] == b"sha256"


def test_bad_and_filtered_files_are_listed_too(class_folders: Path, tmp_path: Path, run: Run) -> None:
    import shutil

    photos = tmp_path / "photos"
    shutil.copytree(class_folders, photos)
    (photos / "circle" / "text.png").write_bytes(b"no picture")
    (photos / "circle" / "none.png").write_bytes(b"")
    filters = ["{name: some, op: random_sample, params: {n: 6}, stages: [post_split], splits: [train]}"]
    result = run(write_recipe(photos, tmp_path, input=quarantine(0.5), filters=filters))
    rows = {row["record_id"]: row for row in table(result, "input.parquet")}
    assert len(rows) == result.manifest.raw["records_in"] == 38
    text = rows["photos/circle/text.png"]
    assert (text["bytes"], text["digest"], text["label"]) == (10, hashlib.sha256(b"no picture").digest(), "circle")
    ledger = {row["record_id"]: row["split"] for row in table(result, "report/ledger.parquet")}
    # What a filter took from train was dealt to train.
    assert {rows[record]["split"] or "" for record in ledger if ledger[record]} == {"train", *filter(None, {text["split"]})}
    assert {record: row["split"] for record, row in rows.items()} == dict.fromkeys(rows) | ledger_of(ledger) | splits_of(result)


def ledger_of(ledger: dict[str, str]) -> dict[str, str]:
    return {record: split for record, split in ledger.items() if split}


def test_files_that_cannot_be_read_or_labelled_have_a_row(tmp_path: Path, run: Run) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(8):
        Image.new("RGB", (8, 8), (n, 0, 0)).save(photos / f"{n}.png")
    (photos / "labels.csv").write_text("id,label\n" + "".join(f"{n},x\n" for n in range(7)))
    label_from = {"path": str(photos / "labels.csv"), "join": "by_id", "id_field": "id", "label_field": "label"}
    source = {"type": "image_flat", "label_from": label_from}
    recipe = write_recipe(photos, tmp_path, base=SMALL, source=source, input=quarantine(0.5), splits={"ratios": {"train": 1.0}, "seed": 1},
                          transformations=["{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train]}"])  # fmt: skip
    result = run(recipe)
    row = next(row for row in table(result, "input.parquet") if row["record_id"] == "photos/7.png")
    assert (row["label"], row["split"], row["digest"]) == (None, None, hashlib.sha256((photos / "7.png").read_bytes()).digest())


def test_variants_lead_to_their_file(class_folders: Path, tmp_path: Path, run: Run) -> None:
    flips = ["{name: flip, op: horizontal_flip, params: {p: 0.5}, materialization: aggressive, expansion: 3, seed: 9, splits: [train]}"]
    result = run(write_recipe(class_folders, tmp_path, augmentations=flips))
    rows = table(result, "input.parquet")
    assert Counter(row["split"] for row in rows) == {"train": 25, "val": 6, "test": 5}
    facts = table(result, "facts/records.parquet")
    assert Counter(row["split"] for row in facts) == {"train": 75, "val": 6, "test": 5} == result.counts
    sizes = {row["record_id"]: row["bytes"] for row in rows}
    assert all(row["bytes"] == sizes[row["record_id"].partition("#")[0]] for row in facts)


@pytest.mark.parametrize("parts", [{}, {"output": {"encoding": "source"}, "transformations": None, "fields": {"image": {"shape": None}}}])
def test_facts_are_what_headers_state(tmp_path: Path, run: Run, parts: dict[str, Any]) -> None:
    photos = tmp_path / "photos" / "a"
    photos.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 32), (1, 2, 3)).save(photos / "turned.jpg", exif=exif)
    Image.new("P", (20, 24)).save(photos / "palette.png")
    Image.new("L", (33, 44)).save(photos / "grey.webp")
    splits = {"ratios": {"train": 1.0}, "seed": 1}
    parts = {"transformations": ["{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train]}"], **parts}
    result = run(write_recipe(photos.parent, tmp_path, base=SMALL, splits=splits, **parts))
    stated = ("split", "record_id", "bytes", "width", "height", "mode", "format", "orientation")
    rows = {row["record_id"]: {name: row[name] for name in stated[2:] + stated[:1]} for row in table(result, "facts/records.parquet")}
    assert all(row.pop("bytes") == (photos / Path(record).name).stat().st_size for record, row in rows.items())
    assert rows == {
        "photos/a/turned.jpg": {"split": "train", "width": 32, "height": 40, "mode": "RGB", "format": "jpeg", "orientation": 6},
        "photos/a/palette.png": {"split": "train", "width": 20, "height": 24, "mode": "P", "format": "png", "orientation": 1},
        "photos/a/grey.webp": {"split": "train", "width": 33, "height": 44, "mode": "RGB", "format": "webp", "orientation": 1},
    }
    counts = json.loads((Path(result.path) / "facts" / "counts.json").read_text())["train"]
    assert counts["records"] == 3
    values = {name: counts["values"][name] for name in ("format", "mode", "orientation")}
    assert values == {"format": {"jpeg": 1, "png": 1, "webp": 1}, "mode": {"P": 1, "RGB": 2}, "orientation": {"1": 2, "6": 1}}
    assert counts["others"] == {}
    assert (counts["ranges"]["width"], counts["ranges"]["height"]) == ([20, 33], [24, 44])


def test_a_table_of_metadata_reads_no_header(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path, fields={"image": None}, transformations=None))
    rows = table(result, "facts/records.parquet")
    assert len(rows) == 36
    assert all(row["bytes"] > 0 and row["width"] is None for row in rows)


def test_facts_may_be_left_out(class_folders: Path, tmp_path: Path, run: Run) -> None:
    first = run(write_recipe(class_folders, tmp_path))
    on = run(write_recipe(class_folders, tmp_path, output={"facts": "on"}))
    off = run(write_recipe(class_folders, tmp_path, output={"facts": "off"}))
    assert (on.status, on.path) == ("hit", first.path)
    assert off.path != first.path
    assert not (Path(off.path) / "facts").exists()
    assert table(off, "input.parquet") == table(first, "input.parquet")
    assert off.manifest.logical_digest == first.manifest.logical_digest
