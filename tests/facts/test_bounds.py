"""A hundred thousand records of a thousand classes: documents of facts and the page stay within the bounds that docs/looking.md states."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from refinery_beam.facts import drift
from refinery_beam.facts.drift import Summary, numbers_of
from refinery_beam.facts.findings import Findings, document, find
from refinery_beam.facts.gather import Part, numbered
from refinery_beam.launch.build.fact_tables import COUNTED
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.fact_columns import scales
from refinery_beam.record.facts import facts_schema
from refinery_beam.reporting import ReportFacts
from refinery_beam.reporting.page import PageFacts, bounds, render_page

PAGE = Path(__file__).parents[2] / "docs" / "looking.md"
pytestmark = pytest.mark.slow
KIND = find_plugin("image_classification").kind
SPLITS = {"train": 80_000, "val": 10_000, "test": 10_000}
CLASSES, SHARD = 1_000, 2_000
VALUES = {name: {f"value {n} of {name}": 1_000 + n for n in range(COUNTED)} for name in ("format", "mode", "camera", "jpeg_tables", "date")}
CHANNELS = {channel: [1_000_000 + n for n in range(256)] for channel in ("red", "green", "blue")}
LONG = "a folder whose name is as long as people have them, " * 2


def table_of(count: int, draw: np.random.Generator, start: int) -> pa.Table:
    """Facts at random: every tenth record is dark, every fifth has twins, labels and folders are of a thousand classes."""
    schema = facts_schema(KIND)
    label = draw.integers(0, CLASSES, count)
    columns: dict[str, Any] = {
        "record_id": [f"photos/{LONG}{c:04}/{start + n:06}.jpg" for n, c in enumerate(label.tolist())],
        "label": [f"class number {c:04} of many" for c in label.tolist()],
        "format": [("jpeg", "png", "webp")[n] for n in draw.integers(0, 3, count).tolist()],
        "mode": ["RGB"] * count,
        "camera": [f"camera {c % 300}" for c in label.tolist()],
        "jpeg_tables": [f"{n:016x}" for n in draw.integers(0, 5_000, count).tolist()],
        "date": [f"20{n % 24:02}-{1 + n % 12:02}-{1 + n % 28:02}T00:00:00" for n in draw.integers(0, 9_999, count).tolist()],
        "high": np.where(draw.integers(0, 10, count) == 0, 20, 250),
        "low": np.full(count, 3),
        "std": draw.integers(2_000, 2_100, count),
        "mean": draw.integers(9_000, 9_100, count),
        "orientation": draw.integers(1, 9, count),
        # Two hundred signatures that many share, and others of their own.
        "phash": np.where(
            draw.integers(0, 5, count) == 0, draw.integers(0, 200, count) * 0x0101_0307_0F1F_3F7F, draw.integers(-(1 << 62), 1 << 62, count)
        ),
    }
    for field in schema:
        if field.name not in columns:
            columns[field.name] = draw.integers(1, 120, count)
    return pa.table([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


@pytest.fixture(scope="module")
def shards() -> list[tuple[str, pa.Table, pa.ChunkedArray]]:
    draw = np.random.Generator(np.random.Philox(11))
    found, start = [], 0
    for split, count in SPLITS.items():
        for _ in range(count // SHARD):
            digests = [bytes(16) if n < 3 else draw.bytes(32) for n in range(SHARD)]
            found.append((split, table_of(SHARD, draw, start), pa.chunked_array([pa.array(digests, pa.binary())])))
            start += SHARD
    return found


@pytest.fixture(scope="module")
def found(shards: list[tuple[str, pa.Table, pa.ChunkedArray]]) -> Findings:
    def parts() -> Iterator[Part]:
        return numbered(shards)

    flagged: list[pa.Table] = []
    records = sum(SPLITS.values())
    result = find(
        parts, measures=KIND.measures, records=records, noun="images", splits=[*SPLITS], labels_from_folders=False, keep=flagged.append
    )
    assert sum(map(len, flagged)) > 20_000, "the findings say much"
    return result


@pytest.fixture(scope="module")
def moved(shards: list[tuple[str, pa.Table, pa.ChunkedArray]]) -> dict[str, Any]:
    assert KIND.measures is not None
    schema = facts_schema(KIND)
    names, summaries, classes = numbers_of(schema, signature=KIND.measures.signature), {s: Summary() for s in SPLITS}, {}
    for split, table, _ in shards:
        summaries[split].add(table, names)
        classes.setdefault(split, Counter()).update(table.column("label").to_pylist())
    features = {
        split: {"facts": one.as_document(scales(schema)), "values": VALUES, "channels": CHANNELS} for split, one in summaries.items()
    }
    return drift.document(plugin="x", recipe_hash="0", counts=SPLITS, classes=classes, unlabeled=(), features=features)


def stated(words: str) -> int:
    """The bytes of a bound: the number before ``MiB`` or ``KiB`` in the sentence of the page that has these words."""
    (sentence,) = [s for s in re.split(r"(?<=[.])\s", PAGE.read_text()) if words in s]
    number, unit = re.findall(r"(\d+) (MiB|KiB)", sentence)[0]
    return int(number) << (20 if unit == "MiB" else 10)


def test_findings_are_bounded(found: Findings) -> None:
    body = document(found)
    assert body["quality"]["dark"]["records"] > 9_000 and body["duplicates"]["near"]["groups"] > 100
    assert any(s["property"] == "camera" for s in body["shortcuts"]) and "folder" in {s["property"] for s in body["shortcuts"]}
    size = len(json.dumps(body, indent=2))
    assert size <= stated("`facts/findings.json` is"), size
    for warning in body["warnings"]:
        assert len(warning["message"]) < 4_000, warning["code"]


def test_drift_is_bounded(moved: dict[str, Any]) -> None:
    """But for the counts of classes, which it has all of."""
    size = len(json.dumps(moved, sort_keys=True, separators=(",", ":")))
    names = sum(len(json.dumps(split["class_distribution"])) for split in moved["splits"].values())
    assert size - names <= stated("`report/drift.json` is"), (size, names)


def test_the_page_is_bounded(found: Findings, moved: dict[str, Any]) -> None:
    classes = {split: entry["class_distribution"] for split, entry in moved["splits"].items()}
    body = document(found)
    report = ReportFacts(
        plugin="image_classification 2", recipe_hash="a" * 64, input_hash="b" * 64, seed=0, logical_digest="c" * 64,
        sources=[("photos", "image_folder", sum(SPLITS.values()))], records_in=sum(SPLITS.values()), counts=SPLITS, classes=classes,
        unlabeled=(), noun="images", stored="uint8[2, 2, 3]", encoding="tensor", operations=[], deferred=[], fitted={}, ledger=(),
        warnings=[(w["code"], w["message"]) for w in body["warnings"]], split_rule="train 0.8, val 0.1, test 0.1", steps=[],
    )  # fmt: skip
    size = len(render_page(PageFacts(key="0" * 64, report=report, findings=body, drift=moved)).encode())
    assert size <= stated("A page is at most") == bounds.PAGE_BYTES
