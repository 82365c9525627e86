"""Splits on a real runner: exact quotas, groups whole, strata by real labels, the rest in the ledger."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import apache_beam as beam
import pytest

import refinery_beam.pipeline.rows.coders  # noqa: F401
from refinery_beam.pipeline.split import LEDGER, AssignSplits
from refinery_beam.planning.nodes import Plan, SplitPlan
from refinery_beam.planning.splits.quotas import position, weights
from refinery_beam.planning.splits.strata import divide
from refinery_beam.planning.splits.table import controlled_rounding
from refinery_beam.records import Ref
from refinery_beam.runners.parsed_once import pipeline_options_of
from support.plans import bare_plan, make_ref

RATIOS = (("train", 0.7), ("val", 0.2), ("test", 0.1))


def append_id(row: Any, path: str) -> None:
    """Add a row's record id to a file. One small write to a file opened for appending is never torn."""
    with open(path, "ab", buffering=0) as file:
        file.write(row.record_id.encode() + b"\n")


def assign(refs: Iterable[Ref], plan: Plan, *, grouped: bool = False, workers: int = 1) -> dict[str, str]:
    """{record_id: split}, '' for the ledger."""
    import tempfile
    from pathlib import Path

    shuffled = list(refs)
    random.Random(workers).shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        options = pipeline_options_of([f"--direct_num_workers={workers}", "--direct_running_mode=in_memory"])
        with beam.Pipeline(runner="FnApiRunner", options=options) as p:
            outputs = p | beam.Create(shuffled).with_output_types(Ref) | AssignSplits(plan, grouped=grouped)
            for name, rows in outputs.items():
                _ = rows | f"Write[{name}]" >> beam.Map(append_id, f"{folder}/out-{name}")
        found: dict[str, str] = {}
        for name in [*plan.split.splits, LEDGER]:
            path = Path(folder) / f"out-{name}"
            for line in path.read_text().splitlines() if path.exists() else ():
                assert line not in found
                found[line] = name
    return found


def expected(refs: list[Ref], seed: int) -> dict[str, str]:
    """The obvious way: sort every class by position and cut."""
    found = {}
    table = controlled_rounding(Counter(f'"{ref.label}"' for ref in refs), weights([ratio for _, ratio in RATIOS]), seed=seed)
    for label in {r.label for r in refs}:
        order = sorted((r for r in refs if r.label == label), key=lambda r: position("split", seed, "Splits", r.group))
        names = [name for (name, _), quota in zip(RATIOS, table[f'"{label}"'], strict=True) for _ in range(quota)]
        found.update({r.record_id: name for r, name in zip(order, names, strict=True)})
    return found


@pytest.mark.parametrize("workers", [1, 3])
def test_stratified_quotas_are_exact(workers: int) -> None:
    refs = [make_ref(i, label=("cat", "dog", "owl")[i % 3]) for i in range(90)]
    plan = bare_plan(SplitPlan(mode="ratios", splits=("train", "val", "test"), ratios=RATIOS, seed=11, stratify_by="label"))
    got = assign(refs, plan, workers=workers)
    assert got == expected(refs, 11)
    assert Counter((got[r.record_id], r.label) for r in refs) == {
        (s, c): n for s, n in (("train", 21), ("val", 6), ("test", 3)) for c in ("cat", "dog", "owl")
    }


def test_ratio_order_matters() -> None:
    refs = [make_ref(i) for i in range(40)]
    base = SplitPlan(mode="ratios", splits=("a", "b"), ratios=(("a", 0.5), ("b", 0.5)))
    other = replace(base, ratios=(("b", 0.5), ("a", 0.5)))
    assert assign(refs, bare_plan(base)) != assign(refs, bare_plan(other))


def test_the_rest_is_unassigned() -> None:
    refs = [make_ref(i) for i in range(20)]
    got = assign(refs, bare_plan(SplitPlan(mode="ratios", splits=("train",), ratios=(("train", 0.75),))))
    assert Counter(got.values()) == {"train": 15, "": 5}


def test_groups_are_never_divided_and_cut_by_group() -> None:
    refs = [make_ref(i, group=hashlib.sha256(str(i // 4).encode()).digest()) for i in range(40)]
    got = assign(refs, bare_plan(SplitPlan(mode="ratios", splits=("train", "val", "test"), ratios=RATIOS)), grouped=True)
    by_group: dict[bytes, set[str]] = {}
    for ref in refs:
        by_group.setdefault(ref.group, set()).add(got[ref.record_id])
    assert all(len(splits) == 1 for splits in by_group.values())
    assert Counter(next(iter(s)) for s in by_group.values()) == {"train": 7, "val": 2, "test": 1}


def test_the_driver_divides_as_the_engine_does() -> None:
    """With groups over several strata, records the ratios are not about, and a rest."""
    refs = [
        make_ref(
            i, label=("cat", "dog", None)[i % 3], partition=("train", "other")[i % 7 == 0], group=hashlib.sha256(b"%d" % (i // 3)).digest()
        )
        for i in range(60)
    ]
    ratios = (("train", 0.5), ("none", 0.0), ("val", 0.3))
    split = SplitPlan(
        mode="ratios", splits=("train", "none", "val", "other"), ratios=ratios, seed=5, stratify_by="label", applies_to="train"
    )
    plan = bare_plan(split)
    by_group = sorted(refs, key=lambda ref: (ref.group, ref.key))
    assert {ref.record_id: ref.split for ref in divide(by_group, plan)} == assign(refs, plan, grouped=True, workers=2)
    ungrouped = sorted((ref._replace(group=ref.key) for ref in refs), key=lambda ref: ref.key)
    assert {ref.record_id: ref.split for ref in divide(ungrouped, plan)} == assign(ungrouped, plan)


def test_grouping_singletons_changes_nothing() -> None:
    refs = [make_ref(i, label=("cat", "dog")[i % 2]) for i in range(30)]
    plan = bare_plan(SplitPlan(mode="ratios", splits=("train", "val", "test"), ratios=RATIOS, stratify_by="label"))
    assert assign(refs, plan, grouped=True) == assign(refs, plan, grouped=False)


def test_hash_method_does_not_move_old_records() -> None:
    plan = bare_plan(SplitPlan(mode="ratios", splits=("train", "val", "test"), ratios=RATIOS, method="hash", seed=3))
    few = assign([make_ref(i) for i in range(50)], plan)
    more = assign([make_ref(i) for i in range(80)], plan)
    assert {k: more[k] for k in few} == few


def test_applies_to_leaves_other_partitions_alone() -> None:
    refs = [make_ref(i, partition="train" if i < 20 else "test", label=None if i >= 20 else "cat") for i in range(25)]
    split = SplitPlan(
        mode="ratios", splits=("train", "val", "test"), ratios=(("train", 0.8), ("val", 0.2)), applies_to="train", stratify_by="label"
    )
    for grouped in (False, True):
        got = assign(refs, bare_plan(split), grouped=grouped)
        assert Counter(got.values()) == {"train": 16, "val": 4, "test": 5}
        assert {got[r.record_id] for r in refs[20:]} == {"test"}


def test_partitions_and_mappings() -> None:
    by_partition = bare_plan(SplitPlan(mode="partition", splits=("train", "test")))
    refs = [make_ref(0, partition="train"), make_ref(1, partition="test")]
    assert assign(refs, by_partition) == {"s/0000.png": "train", "s/0001.png": "test"}
    by_key = bare_plan(SplitPlan(mode="key", splits=("train", "test"), key_field="site", mapping={"a": "train", "1": "test"}))
    sites: list[Any] = ['{"site":"a"}', '{"site":1}', '{"site":"zzz"}', ""]
    got = assign([make_ref(i, fields=f) for i, f in enumerate(sites)], by_key)
    assert [got[f"s/{i:04d}.png"] for i in range(4)] == ["train", "test", "", ""]
