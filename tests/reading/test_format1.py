"""Instances of format 1, as release 0.1 wrote them, are read, verified, drawn and replayed like those of today.

tests/data/format1 holds three of them (images with a deferred tail, a sample and a sink; PNG cells; a table), what the readers of that
release gave for every row, and one of the files they were made of.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam.cache.manifest import ManifestDamage, parse_manifest

DATA = Path(__file__).parents[1] / "data" / "format1"
NAMES = ("photos", "png", "table")


def shown(row: dict[str, Any]) -> list[Any]:
    value = hashlib.sha256(np.ascontiguousarray(row["image"]).tobytes()).hexdigest() if "image" in row else row["path"]
    return [row["label"], value]


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_what_they_were(name: str) -> None:
    data = rb.open_instance(DATA / name)
    assert data.manifest.format == 1
    assert {split: [shown(row) for row in data[split]] for split in data.splits} == json.loads((DATA / "rows.json").read_text())[name]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_verified(name: str, tmp_path: Path) -> None:
    report = rb.verify(DATA / name, deep=True)
    assert (report.findings, report.notes) == ((), ())
    copy = tmp_path / name
    shutil.copytree(DATA / name, copy)
    (copy / "recipe.yaml").write_text((copy / "recipe.yaml").read_text().replace("seed: 3", "seed: 4"))
    assert [finding.code for finding in rb.verify(copy).findings] == ["recipe-changed"]


def test_its_status_statistics_sample_and_replay() -> None:
    status = rb.status(DATA / "photos")
    assert (status.status, status.to_dict()["counts"]) == ("hit", {"train": 12, "test": 3})
    data = rb.open_instance(DATA / "photos")
    assert data.statistics_names == ("normalize",)
    assert len(data.sample("train")) + len(data.sample("test")) == 6
    replayed = hashlib.sha256(np.ascontiguousarray(data.replay(DATA / "circle.png")).tobytes()).hexdigest()
    assert replayed == json.loads((DATA / "rows.json").read_text())["replay"]


def test_it_is_drawn(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(DATA / "photos", tmp_path / "photos"))
    drawn = rb.draw(copy)
    assert (list(drawn.pictures), drawn.notes) == (["samples"], ())
    assert Path(drawn.pictures["samples"]) == copy / "report" / "pictures" / "samples.png"
    assert rb.verify(copy).ok


def test_a_manifest_of_today_is_none_of_format_1() -> None:
    text = (DATA / "table" / "manifest.json").read_bytes()
    assert parse_manifest(text, location="here").annexes == ()
    with pytest.raises(ManifestDamage, match="format is 1"):
        raw = json.loads(text) | {"format": 1, "annexes": []}
        from refinery_beam.cache.manifest import manifest_bytes, sealed

        parse_manifest(manifest_bytes(sealed(raw)), location="here")
