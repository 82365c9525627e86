"""Accounting before promotion, on plain rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from refinery_beam.errors import DataError, EngineError
from refinery_beam.launch.build import MAX_SHARD_BYTES, MIN_SHARD_BYTES, shard_records
from refinery_beam.launch.collect import account, check_budget, one_row_a_shard
from refinery_beam.plan.nodes import OutputPlan
from refinery_beam.plugins.base import FieldType
from refinery_beam.records import LedgerRow, ShardRow

ROW = ShardRow("train", 0, 1, 5, "dataset/train/part", 10, "ab", "cd", "{}")


def lost(number: int, reason: str = "truncated") -> LedgerRow:
    return LedgerRow(f"s/{number}.png", "train", "Input", "decode", reason, "")


def test_in_is_out_plus_ledger() -> None:
    account(7, {"train": 5}, [lost(0), lost(1)])
    with pytest.raises(EngineError, match="8 records went in, 5 came out and 2 are in the ledger"):
        account(8, {"train": 5}, [lost(0), lost(1)])
    with pytest.raises(EngineError):
        account(7, {"train": 5}, [lost(0), lost(0, "not_an_image")])


def test_a_replayed_bundle_is_one_row_and_other_bytes_are_an_error() -> None:
    assert one_row_a_shard([ROW, ROW]) == [ROW]
    with pytest.raises(EngineError, match="two attempts at shard 0 of train gave different bytes"):
        one_row_a_shard([ROW, ROW._replace(sha256="ef")])


def test_the_budget_counts_bad_records_only(make_plan_with_budget: object) -> None:
    plan = make_plan_with_budget(0.25)  # type: ignore[operator]
    check_budget(plan, 8, [lost(0), lost(1), lost(2, "filtered"), lost(3, "unassigned")])
    with pytest.raises(DataError, match=r"3 of 8 records are bad \(3 truncated\): s/0.png: truncated: .*; s/1.png: truncated: "):
        check_budget(plan, 8, [lost(0), lost(1), lost(2)])


@pytest.fixture
def make_plan_with_budget() -> object:
    from types import SimpleNamespace

    return lambda fraction: SimpleNamespace(max_bad_fraction=fraction)


TENSOR = OutputPlan(
    fields=(("image", FieldType("uint8", (224, 224, 3))),),
    image_field="image",
    encoding="tensor",
    quality=95,
    shard_records=None,
    shard_bytes=None,
)


def test_shards_follow_the_data() -> None:
    row = 224 * 224 * 3 + 128
    assert shard_records(TENSOR, [100_000] * 10) == MIN_SHARD_BYTES // row
    assert shard_records(TENSOR, [100_000] * 4_000) == MIN_SHARD_BYTES // row
    assert shard_records(TENSOR, [100_000] * 10_000) == (row * 10_000 // 64) // row
    assert shard_records(TENSOR, [1] * 1_000_000) == MAX_SHARD_BYTES // row
    assert shard_records(replace(TENSOR, shard_records=7), [1] * 100) == 7
    assert shard_records(replace(TENSOR, shard_bytes=1 << 20), [1] * 100) == (1 << 20) // row
