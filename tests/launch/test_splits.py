"""Splits of whole runs: both margins kept, the same in the driver and behind a filter, plain and under a hostile engine; what is empty or
sparse is said; `plan` says the counts that come.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

import refinery_beam as rb
from refinery_beam.errors import DataError, RecipeError, RefineryError
from refinery_beam.launch import RunResult
from refinery_beam.testing import images
from refinery_beam.testing.engine import hostile
from support.recipes import Run, position, recipe_text

BASE: dict[str, Any] = {
    "schema_version": 3,
    "plugin": "image_classification",
    "Input": {
        "sources": [
            {
                "name": "scans",
                "type": "image_flat",
                "path": None,
                "label_from": {"path": "rows.csv", "join": "by_id", "id_field": "name", "label_field": "finding"},
            }
        ]
    },
    "Output": {"record_schema": {"label": {"dtype": "str"}, "path": {"dtype": "str"}}},
    "Labels": {"field": "label", "source": {"kind": "direct"}},
}
"""Metadata of images beside a table: nothing is decoded."""

NOTHING_OUT = "{name: all, op: filter_by_field, params: {field: ward, in: [north, south]}}"
"""A filter that takes out nobody: then the engine makes the splits."""

RATIOS = {"train": 0.7, "val": 0.15, "test": 0.15}


class Row(NamedTuple):
    finding: str
    ward: str = "north"
    patient: str = ""
    day: str = ""


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Write one small image for each row, the table and a recipe; give the recipe."""

    def make(rows: list[Row], **parts: Any) -> Path:
        folder = tmp_path / "scans"
        if not folder.exists():
            folder.mkdir()
            images.draw("circle", 0, size=(16, 16)).save(tmp_path / "one.png")
            lines = ["name,finding,ward,patient,day"]
            for i, row in enumerate(rows):
                shutil.copyfile(tmp_path / "one.png", folder / f"{i:04d}.png")
                lines.append(",".join((f"{i:04d}", *row)))
            (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
        parts["splits"] = {"keep_duplicates_together": False, "ratios": RATIOS, **parts.get("splits", {})}
        recipe = tmp_path / f"recipe-{len(list(tmp_path.glob('recipe-*')))}.yaml"
        recipe.write_text(recipe_text(folder, base=BASE, **parts))
        return recipe

    return make


def splits_of(result: RunResult) -> dict[str, str]:
    """{path: split}, read by PyArrow alone."""
    found = {}
    for split in result.counts:
        for row in pq.read_table(f"{result.path}/dataset/{split}", partitioning=None).to_pylist():
            found[row["path"]] = split
    return found


def both_ways(run: Run, made: Callable[..., Path], rows: list[Row], **parts: Any) -> Iterator[RunResult]:
    """In the driver, and behind a filter on a hostile engine; both give the same splits."""
    results = [run(made(rows, **parts), cache="plain"), run(made(rows, filters=[NOTHING_OUT], **parts), runner_factory=hostile(2))]
    assert splits_of(results[0]) == splits_of(results[1])
    yield from results


@pytest.mark.slow
@pytest.mark.parametrize(
    "splits", [{"stratify_by": "label"}, {"group_by": "patient", "stratify_by": "label"}, {"method": "ordered", "order_by": "day"}]
)
def test_every_engine_gives_the_same_splits(splits: dict[str, Any], run: Run, made: Callable[..., Path]) -> None:
    rows = [Row(finding=f"f{i % 25}", patient=f"p{i * i % 60}", day=str(i * 7 % 40)) for i in range(150)]
    plain, filtered = made(rows, splits=splits), made(rows, filters=[NOTHING_OUT], splits=splits)
    want = splits_of(run(plain, cache="plain"))
    assert splits_of(run(filtered, cache="filtered")) == want
    assert splits_of(run(filtered, cache="processes", mode="processes", workers=2)) == want
    for seed in range(5):
        assert splits_of(run(filtered, cache=f"hostile-{seed}", runner_factory=hostile(seed))) == want
        assert splits_of(run(plain, cache=f"driver-{seed}", runner_factory=hostile(seed))) == want


@pytest.mark.parametrize(
    ("classes", "each", "ratios", "right"),
    [
        (30, 2, (0.7, 0.15, 0.15), (42, 9, 9)),
        pytest.param(40, 4, (0.7, 0.15, 0.15), (112, 24, 24), marks=pytest.mark.slow),
        pytest.param(10, 12, (0.9, 0.05, 0.05), (108, 6, 6), marks=pytest.mark.slow),
    ],
)
def test_both_margins_are_kept(
    classes: int, each: int, ratios: tuple[float, ...], right: tuple[int, ...], run: Run, made: Callable[..., Path]
) -> None:
    rows = [Row(finding=f"finding {i % classes}") for i in range(classes * each)]
    splits: dict[str, Any] = {"ratios": dict(zip(RATIOS, ratios, strict=True)), "stratify_by": "label", "seed": 5}
    for result in both_ways(run, made, rows, splits=splits):
        assert tuple(result.counts.values()) == right
        totals = result.manifest.raw["split_totals"]
        assert {name: (total["asked"], total["got"]) for name, total in totals.items()} == {
            name: (float(count), count) for name, count in zip(RATIOS, right, strict=True)
        }
        for name, share in splits["ratios"].items():
            labels = result.manifest.raw["classes"][name]
            assert all(abs(labels.get(f"finding {i}", 0) - each * share) < 1 for i in range(classes))
        assert "sparse-class" in [w["code"] for w in result.manifest.warnings]


def test_groups_of_several_sizes_are_whole_and_near_what_was_asked(run: Run, made: Callable[..., Path]) -> None:
    rows = [Row(finding="ab"[patient % 2], patient=f"p{patient}") for patient in range(40) for _ in range(1 + patient * patient % 7)]
    for result in both_ways(run, made, rows, splits={"stratify_by": "label", "group_by": "patient"}):
        found = splits_of(result)
        by_patient: dict[str, set[str]] = {}
        for i, row in enumerate(rows):
            by_patient.setdefault(row.patient, set()).add(found[f"{i:04d}.png"])
        assert all(len(splits) == 1 for splits in by_patient.values())
        assert Counter(next(iter(splits)) for splits in by_patient.values()) == {"train": 28, "val": 6, "test": 6}
        totals = result.manifest.raw["split_totals"]
        assert sum(total["got"] for total in totals.values()) == len(rows)
        assert all(abs(total["got"] - total["asked"]) < 4 for total in totals.values()), totals
        report = (Path(result.path) / "report" / "report.md").read_text()
        assert "### Asked and got" in report
        assert f"| train | 0.7 | {totals['train']['asked']:,.1f} | {totals['train']['got']} |" in report


def test_ordered_splits_cut_time(run: Run, made: Callable[..., Path]) -> None:
    """Days come in no order, each four times: the cut falls into the day at which the quota ends, by seeded rank."""
    rows = [Row(finding="ab"[i % 2], day=f"2024-{1 + i * 7 % 12:02d}-{1 + i * 5 % 15:02d}") for i in range(240)]
    for result in both_ways(run, made, rows, splits={"method": "ordered", "order_by": "day"}):
        assert dict(result.counts) == {"train": 168, "val": 36, "test": 36}
        days: dict[str, list[str]] = {}
        for path, split in splits_of(result).items():
            days.setdefault(split, []).append(rows[int(path[:4])].day)
        assert max(days["train"]) <= min(days["val"]) and max(days["val"]) <= min(days["test"])
        assert result.manifest.raw["op_versions"]["splits:ordered"] == 1


def test_ordered_groups_stand_where_their_last_record_does(run: Run, made: Callable[..., Path]) -> None:
    rows = [Row(finding="a", patient=f"p{i % 20}", day=str(i % 20 + 100 * (i // 20))) for i in range(60)]
    for result in both_ways(run, made, rows, splits={"method": "ordered", "order_by": "day", "group_by": "patient"}):
        want = {f"p{n}": "train" if n < 14 else "val" if n < 17 else "test" for n in range(20)}
        assert splits_of(result) == {f"{i:04d}.png": want[r.patient] for i, r in enumerate(rows)}


def test_an_order_of_text_is_warned_of(run: Run, made: Callable[..., Path], tmp_path: Path) -> None:
    rows = [Row(finding="a", ward=f"ward {i}", day=f"2024-01-{i + 1:02d}") for i in range(20)]
    for field, warned in (("ward", ["ordered-as-text"]), ("day", []), ("path", [])):
        recipe = made(rows, splits={"method": "ordered", "order_by": field})
        assert [code for code, _ in rb.plan(recipe, cache_root=tmp_path / "cache").warnings] == warned
        assert [w["code"] for w in run(recipe).manifest.warnings if w["code"] not in ("label-conflict", "exact-leak")] == warned


@pytest.mark.parametrize("filters", [None, [NOTHING_OUT]])
@pytest.mark.parametrize(
    ("values", "code"), [(("1", "x"), "order-mixed"), (("1", ""), "order-missing"), (("1/2/2024", "3/4/2024"), "order-date")]
)
def test_what_cannot_be_ordered_is_refused(filters: Any, values: tuple[str, str], code: str, run: Run, made: Callable[..., Path]) -> None:
    recipe = made(
        [Row(finding="a", day=values[i % 2]) for i in range(10)], filters=filters, splits={"method": "ordered", "order_by": "day"}
    )
    with pytest.raises(DataError) as caught:
        run(recipe)
    assert {error.code for error in caught.value.errors()} == {code}
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("filters", [None, [NOTHING_OUT]])
def test_an_empty_split_is_an_error_at_its_ratio(filters: Any, run: Run, made: Callable[..., Path], tmp_path: Path) -> None:
    rows = [Row(finding="a") for _ in range(3)]
    recipe = made(rows, filters=filters)
    with pytest.raises(RefineryError) as caught:
        run(recipe)
    errors = caught.value.errors()
    assert [(e.code, e.value, e.at, e.exit_code) for e in errors] == [("empty-split", "test", position(recipe, "0.15}"), 1)]
    assert not list(tmp_path.glob("cache/instances/*/*/*/manifest.json"))
    if filters is None:
        with pytest.raises(RefineryError, match="no record comes to the split 'test'"):
            rb.plan(recipe, cache_root=tmp_path / "cache")
    allowed = run(made(rows, filters=filters, splits={"allow_empty": True}))
    assert dict(allowed.counts) == {"train": 2, "val": 1, "test": 0}
    assert ("empty-split", "split 'test' has no record") in [(w["code"], w["message"]) for w in allowed.manifest.warnings]


def test_every_rule_refuses_an_empty_split(run: Run, made: Callable[..., Path]) -> None:
    rows = [Row(finding="ab"[i % 2]) for i in range(8)]
    none = {"ratios": None}
    mapped = made(rows, splits={**none, "key_assignment": {"field": "label", "mapping": {"a": "train", "b": "train", "c": "test"}}})
    with pytest.raises(DataError, match="no record came to the split 'test'"):
        run(mapped)
    hashed = made(rows, splits={"ratios": {"train": 0.999999, "test": 0.000001}, "method": "hash"})
    with pytest.raises(DataError, match="no record came to the split 'test'"):
        run(hashed)
    emptied = "{name: none, op: filter_by_label, params: {labels: [c]}, stages: [post_split], splits: [test]}"
    with pytest.raises(DataError, match="no record came to the split 'test'"):
        run(made(rows, filters=[emptied]))
    asked = run(made(rows, splits={"ratios": {"train": 1.0, "spare": 0}}))
    assert dict(asked.counts) == {"train": 8, "spare": 0}, "a ratio of 0 asks for it"


def test_classes_that_are_not_everywhere_are_named(run: Run, made: Callable[..., Path]) -> None:
    rows = [Row(finding="common") for _ in range(40)] + [Row(finding=f"rare {i:02d}") for i in range(12)]
    result = run(made(rows, splits={"stratify_by": "label"}))
    (message,) = [w["message"] for w in result.manifest.warnings if w["code"] == "sparse-class"]
    assert message.startswith("12 of 13 classes are not in every split: 'rare 00' (1 record, none in ")
    assert "'rare 09'" in message and "'rare 10'" not in message
    assert message.endswith("; and 2 more; a class of 7 would be")


def test_plan_says_the_counts_that_come(run: Run, made: Callable[..., Path], tmp_path: Path) -> None:
    rows = [Row(finding=f"f{i % 25:02d}", ward="ns"[i % 2]) for i in range(100)]
    for splits in (
        {"stratify_by": "label"},
        {"method": "hash"},
        {"ratios": {"train": 0.5, "test": 0.25}},
        {"ratios": None, "key_assignment": {"field": "ward", "mapping": {"n": "train", "s": "test"}}},
    ):
        recipe = made(rows, splits=splits)
        planned = rb.plan(recipe, cache_root=tmp_path / "cache")
        assert planned.status == "miss" and planned.counts is not None
        result = run(recipe)
        assert planned.counts == dict(result.counts)
        body = planned.to_dict()
        assert (body["counts"], body["classes"]) == (dict(result.counts), result.manifest.raw["classes"])
        again = rb.plan(recipe, cache_root=tmp_path / "cache")
        assert (again.status, again.classes, again.warnings) == ("hit", planned.classes, planned.warnings)
    text = str(rb.plan(made(rows, splits={"stratify_by": "label", "seed": 9}), cache_root=tmp_path / "cache"))
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Splits: "))
    assert lines[at + 1].split() == ["train", "val", "test"]
    assert lines[at + 2].split() == ["all", "70", "15", "15"]
    assert lines[at + 3].split()[0] == "'f00'" and lines[at + 23].strip() == "and 5 more classes; --json has them all"


def test_plan_knows_no_counts_behind_filters(made: Callable[..., Path], tmp_path: Path) -> None:
    planned = rb.plan(made([Row(finding="a")] * 20, filters=[NOTHING_OUT]), cache_root=tmp_path / "cache")
    assert planned.counts is planned.classes is None and planned.warnings == ()
    assert "  how many records each gets is known when the steps before have run" in str(planned).splitlines()
    assert json.loads(json.dumps(planned.to_dict()))["counts"] is None


def test_new_words_leave_an_old_recipe_its_identity(made: Callable[..., Path], tmp_path: Path) -> None:
    rows = [Row(finding="a")] * 20
    plain = rb.plan(made(rows), cache_root=tmp_path / "c")
    written = rb.plan(made(rows, splits={"allow_empty": False, "order_by": None}), cache_root=tmp_path / "c")
    allowed = rb.plan(made(rows, splits={"allow_empty": True}), cache_root=tmp_path / "c")
    assert plain.recipe_hash == written.recipe_hash != allowed.recipe_hash


@pytest.mark.parametrize(
    ("splits", "words"),
    [({"method": "ordered"}, "ordered"), ({"order_by": "day"}, "day"), ({"method": "ordered", "order_by": "nothing"}, "nothing")],
)
def test_an_order_needs_its_field(splits: dict[str, Any], words: str, made: Callable[..., Path], tmp_path: Path) -> None:
    recipe = made([Row(finding="a")] * 20, splits=splits)
    with pytest.raises(RecipeError) as caught:
        rb.plan(recipe, cache_root=tmp_path / "cache")
    assert [(e.code, e.at) for e in caught.value.errors()] == [
        ("unknown-field-name" if words == "nothing" else "order-by-misplaced", position(recipe, words))
    ]
