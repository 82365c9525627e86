"""Accounting before promotion, on plain rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from refinery_beam.errors import EngineError
from refinery_beam.launch.build.collected.accounting import account, account_steps
from refinery_beam.launch.build.collected.shard_rows import one_row_a_shard
from refinery_beam.launch.build.expected import MAX_SHARD_BYTES, MIN_SHARD_BYTES, expected_records, shard_records
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.plugins.base import FieldType
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.records import LedgerRow, ShardRow
from support.plans import STORAGE
from support.recipes import more, write_recipe

ROW = ShardRow("train", 0, 1, 5, "dataset/train/part", 10, "ab", "cd", "{}")


def lost(number: int, reason: str = "truncated") -> LedgerRow:
    return LedgerRow(f"s/{number}.png", "train", "Input", "decode", reason, "")


def test_in_is_out_plus_ledger() -> None:
    account(7, {"train": 5}, [lost(0), lost(1)])
    with pytest.raises(EngineError, match="8 records went in, 5 came out and 2 are in the ledger"):
        account(8, {"train": 5}, [lost(0), lost(1)])
    with pytest.raises(EngineError):
        account(7, {"train": 5}, [lost(0), lost(0, "not_an_image")])


PLAN = SimpleNamespace(
    contracts=(),
    pre_filters=(SimpleNamespace(name="some"),),
    split=SimpleNamespace(near_distance=None, splits=("train", "test")),
    post_filters=(SimpleNamespace(name="few", splits=("train",)),),
    generation=(SimpleNamespace(name="fog", splits=("test",)),),
    augmentations=(),
)
COUNTS = {
    ("", "some", "kept"): 9,
    ("", "some", "lost"): 1,
    ("train", "Splits", "kept"): 6,
    ("test", "Splits", "kept"): 2,
    ("", "Splits", "lost"): 1,
    ("train", "few", "kept"): 4,
    ("train", "few", "lost"): 2,
    ("test", "fog", "generated"): 6,
    ("test", "fog", "replaced"): 2,
}
GONE = [LedgerRow(f"s/{n}", split, "", "", "", "") for n, split in enumerate(("", "", "train", "train", "train", "test"))]


def test_every_step_and_split_has_its_own_balance() -> None:
    account_steps(PLAN, 10, COUNTS, {"train": 3, "test": 5}, GONE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "change", "counts", "step"),
    [
        (("", "some", "kept"), 1, (3, 5), "some: 10 records went in, 10 came out and 1 are"),
        (("train", "Splits", "kept"), 1, (3, 5), "Splits: 9 records"),
        (("train", "few", "lost"), -1, (3, 5), "few in train: 6 records"),
        (("test", "fog", "generated"), 1, (3, 5), "writing test: 7 records"),
        (("test", "fog", "replaced"), -2, (3, 5), "writing test: 8 records"),
        (("", "some", "kept"), 0, (4, 4), "writing train: 4 records"),
    ],
)
def test_what_would_cancel_out_in_the_whole_is_found(key: tuple[str, str, str], change: int, counts: tuple[int, int], step: str) -> None:
    changed = {**COUNTS, key: COUNTS[key] + change}
    with pytest.raises(EngineError, match=step):
        account_steps(PLAN, 10, changed, dict(zip(("train", "test"), counts, strict=True)), GONE)  # type: ignore[arg-type]


def test_the_ledger_must_hold_what_the_steps_lost() -> None:
    moved = [GONE[0]._replace(split="test"), *GONE[1:]]
    with pytest.raises(EngineError, match="the ledger before splits: 1 records went in, 2 came out"):
        account_steps(PLAN, 10, COUNTS, {"train": 3, "test": 5}, moved)  # type: ignore[arg-type]


def test_a_replayed_bundle_is_one_row_and_other_bytes_are_an_error() -> None:
    assert one_row_a_shard([ROW, ROW]) == [ROW]
    with pytest.raises(EngineError, match="two attempts at shard 0 of train gave different bytes"):
        one_row_a_shard([ROW, ROW._replace(sha256="ef")])


TENSOR = OutputPlan(
    fields=(("image", FieldType("uint8", (224, 224, 3))),),
    content_field="image",
    encoding="tensor",
    quality=95,
    shard_records=None,
    shard_bytes=None,
    storage=STORAGE,
)


def test_shards_follow_the_data() -> None:
    row = 224 * 224 * 3 + 128
    assert shard_records(TENSOR, PLUGIN, 10, average_bytes=100_000) == MIN_SHARD_BYTES // row
    assert shard_records(TENSOR, PLUGIN, 4_000, average_bytes=100_000) == MIN_SHARD_BYTES // row
    assert shard_records(TENSOR, PLUGIN, 10_000, average_bytes=100_000) == (row * 10_000 // 64) // row
    assert shard_records(TENSOR, PLUGIN, 1_000_000, average_bytes=1) == MAX_SHARD_BYTES // row
    assert shard_records(replace(TENSOR, shard_records=7), PLUGIN, 100, average_bytes=1) == 7
    assert shard_records(replace(TENSOR, shard_bytes=1 << 20), PLUGIN, 100, average_bytes=1) == (1 << 20) // row
    assert shard_records(TENSOR, PLUGIN, 40_000, average_bytes=100_000) == (row * 40_000 // 64) // row


SOURCES = [SimpleNamespace(label="a", partition="")] * 60 + [SimpleNamespace(label="b", partition="")] * 40


BALANCE = "{name: b, op: duplicate_minority_class, seed: 1, output_schema: matches_input, splits: [train, val]}"
CORRUPT = (
    "{name: c, op: imagecorruptions_apply, seed: 1, output_schema: matches_input, splits: [test],"
    " params: {corruption_types: [fog, snow], severities: [1, 2, 3], tag_fields: []}}"
)
VARY = ["{name: a, op: horizontal_flip, materialization: aggressive, expansion: 4}", "{name: z, op: vertical_flip}"]


@pytest.mark.parametrize(
    ("parts", "records"),
    [
        ({}, 100),
        ({"generation": [BALANCE]}, 85 * 120 // 100 + 15),
        ({"generation": [CORRUPT]}, 85 + 15 * 7),
        ({"generation": [more(CORRUPT, replace_input_records=True)]}, 85 + 15 * 6),
        ({"augmentations": VARY}, 70 * 4 + 30),
    ],
)
def test_made_records_are_foreseen(class_folders: Path, tmp_path: Path, parts: dict[str, Any], records: int) -> None:
    """Shards are cut, and progress is told, for what will be stored and not for what is there."""
    prepared = prepare(write_recipe(class_folders, tmp_path, **parts), Settings(cache_root=str(tmp_path)))
    assert expected_records(prepared.plan, prepared.plugin, SOURCES) == records


def test_partitions_say_how_many(train_test: Path, tmp_path: Path) -> None:
    sources = [{"name": s, "type": "image_folder", "path": f"{train_test}/{s}", "partition": s} for s in ("train", "test")]
    splits = {"ratios": {"train": 0.75, "val": 0.25}, "applies_to": "train", "stratify_by": "label"}
    recipe = write_recipe(train_test, tmp_path, input={"sources": sources}, splits=splits, augmentations=VARY)
    prepared = prepare(recipe, Settings(cache_root=str(tmp_path)))
    assert expected_records(prepared.plan, prepared.plugin, prepared.index.entries) == 27 * 4 + 9 + 9
