"""Filters and tag-driven splits, end to end: who stays, who is in the ledger and why, and one digest whatever the engine does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.errors import DataError, RefineryError
from refinery_beam.identity import record_key
from refinery_beam.launch import RunResult
from refinery_beam.planning.splits.quotas import position
from refinery_beam.testing.engine import hostile, replayed
from support.recipes import NORMALIZE, RESIZE, Run, more, quarantine, write_recipe

TAGS = {"sample_per_class_tags": {"dtype": "str", "shape": [None]}}
FEW = "{name: few, op: sample_per_class, params: {n_per_class: 5}, seed: 3}"


def ledger(result: RunResult) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(Path(result.path) / "report" / "ledger.parquet").to_pylist()
    return rows


def rows(result: RunResult) -> dict[str, dict[str, Any]]:
    """Every stored row by record id, with its split."""
    instance = rb.open_instance(result.path)
    return {row["record_id"]: {**row, "split": split} for split in result.counts for row in instance.split(split, raw=True)}


def lowest(ids: list[str], count: int, *, seed: int, name: str) -> set[str]:
    """The law in one line: the ids of the lowest seeded positions."""
    return set(sorted(ids, key=lambda i: position("filter", seed, name, record_key(i)))[:count])


def ids_of(folder: Path, label: str) -> list[str]:
    return [f"photos/{label}/{p.name}" for p in sorted((folder / label).iterdir())]


def test_sample_per_class_drops_the_others(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path, filters=[FEW]))
    want = set().union(*(lowest(ids_of(class_folders, c), 5, seed=3, name="few") for c in ("circle", "square", "triangle")))
    assert set(rows(result)) == want
    gone = ledger(result)
    assert len(gone) == 21 and {(r["stage"], r["op"], r["reason"], r["detail"]) for r in gone} == {
        ("Filters", "few", "filtered", "sample_per_class")
    }
    assert {r["record_id"] for r in gone} | want == {i for c in ("circle", "square", "triangle") for i in ids_of(class_folders, c)}


def test_fractions_are_exact_and_by_class(class_folders: Path, tmp_path: Path, run: Run) -> None:
    step = "{name: some, op: sample_per_class_fractional, params: {n_per_class_base: 10, fractions: {circle: 0.7, square: 0.0}}, seed: 1}"
    result = run(write_recipe(class_folders, tmp_path, filters=[step]))
    assert Counter(r["label"] for r in rows(result).values()) == {"circle": 7, "triangle": 10}
    warned = [w for w in result.manifest.raw["warnings"] if w["code"] == "class-emptied"]
    assert warned == [{"code": "class-emptied", "message": "filters before the splits took every record of 'square' (12): some"}]


def test_tags_are_stored_and_steer_later_filters(class_folders: Path, tmp_path: Path, run: Run) -> None:
    steps = (
        "{name: a, op: sample_per_class, params: {n_per_class: 4, label: probe}, seed: 1}",
        "{name: b, op: sample_per_class, params: {n_per_class: 3, label: spare, exclude_already_labeled: [probe]}, seed: 2}",
        "{name: c, op: drop_by_label, params: {labels: [spare]}}",
    )
    everything = run(write_recipe(class_folders, tmp_path, filters=steps[:2], fields=TAGS))
    found = rows(everything)
    assert Counter(tuple(r["sample_per_class_tags"]) for r in found.values()) == {("probe",): 12, ("spare",): 9, (): 15}
    assert everything.manifest.raw["ledger"] == {}
    probes = {i for i, r in found.items() if r["sample_per_class_tags"] == ["probe"]}
    assert probes == set().union(*(lowest(ids_of(class_folders, c), 4, seed=1, name="a") for c in ("circle", "square", "triangle")))
    dropped = run(write_recipe(class_folders, tmp_path, name="c.yaml", filters=steps))
    spares = {i for i, r in found.items() if r["sample_per_class_tags"] == ["spare"]}
    assert {r["record_id"] for r in ledger(dropped)} == spares and dropped.manifest.raw["ledger"] == {"filtered": 9}


def test_the_old_spelling_means_the_same(class_folders: Path, tmp_path: Path, run: Run) -> None:
    new = run(write_recipe(class_folders, tmp_path, filters=[FEW]))
    old = "{name: few, predicate: {op: sample_per_class, n_per_class: 5, seed: 3}}"
    v1 = run(write_recipe(class_folders, tmp_path, name="v1.yaml", schema_version=1, filters=[old]))
    assert (v1.status, v1.path) == ("hit", new.path)


def test_quotas_after_the_split_are_a_splits_own(class_folders: Path, tmp_path: Path, run: Run) -> None:
    step = "{name: few, op: sample_per_class, params: {n_per_class: 2}, stages: [post_split], splits: [train, val]}"
    splits = {"ratios": {"train": 0.5, "val": 0.25, "test": 0.25}, "stratify_by": "label"}
    result = run(write_recipe(class_folders, tmp_path, filters=[step], splits=splits))
    each = {"train": 2, "val": 2, "test": 3}
    assert result.manifest.raw["classes"] == {s: {"circle": n, "square": n, "triangle": n} for s, n in each.items()}
    assert {(r["split"], r["reason"]) for r in ledger(result)} == {("train", "filtered"), ("val", "filtered")}
    step = "{name: none, op: random_sample, params: {n: 0}, stages: [post_split], splits: [val]}"
    emptied = run(write_recipe(class_folders, tmp_path, name="e.yaml", filters=[step], splits={**splits, "allow_empty": True}))
    messages = [w["message"] for w in emptied.manifest.raw["warnings"] if w["code"] == "class-emptied"]
    assert messages == [f"filters in 'val' took every record of '{c}' (3): none" for c in ("circle", "square", "triangle")]


def test_nothing_left_is_no_dataset(class_folders: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(DataError, match="none of 36 records came out: 36 filtered by 'none'") as caught:
        run(write_recipe(class_folders, tmp_path, filters=["{name: none, op: random_sample, params: {n: 0}}"]))
    assert caught.value.code == "no-records"


def test_a_class_that_no_record_has_is_told(class_folders: Path, tmp_path: Path, run: Run) -> None:
    slip = "{name: two, op: filter_by_label, params: {labels: [circle, sqare]}}"
    warned = run(write_recipe(class_folders, tmp_path, filters=[slip]))
    messages = [w["message"] for w in warned.manifest.raw["warnings"] if w["code"] == "label-unknown"]
    assert messages == ["the filter 'two' names 'sqare', which no record has; did you mean 'square'?"]
    with pytest.raises(DataError) as caught:
        run(write_recipe(class_folders, tmp_path, name="n.yaml", filters=[more(slip, params={"labels": ["sqare"]})]))
    assert caught.value.remedy == messages[0]


PROBES = (
    "{name: a, op: sample_per_class, params: {n_per_class: 6, label: main}, seed: 1}",
    "{name: b, op: sample_per_class, params: {n_per_class: 2, label: probe, exclude_already_labeled: [main]}, seed: 2}",
)
BY_TAG = {"ratios": {"train": 0.5, "val": 0.5}, "applies_to": "main", "stratify_by": "label"}


def steps_for(*splits: str) -> list[dict[str, Any]]:
    return [more(step, splits=list(splits)) for step in (RESIZE, NORMALIZE)]


def test_tags_become_splits(class_folders: Path, tmp_path: Path, run: Run) -> None:
    steps = steps_for("train", "val", "probe")
    result = run(write_recipe(class_folders, tmp_path, filters=PROBES, splits=BY_TAG, transformations=steps, fields=TAGS))
    assert result.counts == {"train": 9, "val": 9, "probe": 6}
    assert result.manifest.raw["classes"]["train"] == {"circle": 3, "square": 3, "triangle": 3}
    assert result.manifest.raw["ledger"] == {"unassigned": 12}
    for row in rows(result).values():
        assert row["sample_per_class_tags"] == (["probe"] if row["split"] == "probe" else ["main"])


def test_two_tags_name_the_record(class_folders: Path, tmp_path: Path, run: Run) -> None:
    both = "{name: c, op: sample_per_class, params: {n_per_class: 12, label: other}}"
    steps = steps_for("train", "val", "probe", "other")
    with pytest.raises(RefineryError) as caught:
        run(write_recipe(class_folders, tmp_path, filters=[*PROBES, both], splits=BY_TAG, transformations=steps, fields=TAGS))
    for error in caught.value.errors():
        assert (error.code, error.value) == ("two-tags", "probe, other")
        assert error.at.startswith("photos/") and "exclude_already_labeled" in error.remedy


@pytest.fixture
def alike(tmp_path: Path) -> Path:
    """Photo-like pictures in two classes: two identical files, a chain of near ones, one alone, sizes that differ."""
    generator = np.random.Generator(np.random.Philox(7))
    root = tmp_path / "alike"
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
    for i in range(6):
        small = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((120, 90), Image.Resampling.BICUBIC)
        picture.save(root / "a" / f"{i}.png")
        if i < 3:
            picture.resize((60, 45)).save(root / "b" / f"{i}.jpg", quality=70)
    (root / "b" / "copy.png").write_bytes((root / "a" / "5.png").read_bytes())
    return root


def smallest(*ids: str) -> str:
    return min(ids, key=record_key)


def test_identical_files(alike: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(alike, tmp_path, filters=["{name: once, op: drop_duplicates}"]))
    stays = smallest("photos/a/5.png", "photos/b/copy.png")
    goes = ({"photos/a/5.png", "photos/b/copy.png"} - {stays}).pop()
    assert ledger(result) == [
        {"record_id": goes, "split": "", "stage": "Filters", "op": "once", "reason": "duplicate", "detail": f"kept: {stays}"}
    ]


def test_pictures_that_look_alike(alike: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(alike, tmp_path, filters=["{name: once, op: drop_duplicates, params: {kind: near}}"]))
    pairs = [(f"photos/a/{i}.png", f"photos/b/{i}.jpg") for i in range(3)] + [("photos/a/5.png", "photos/b/copy.png")]
    want = {(set(p) - {smallest(*p)}).pop(): f"kept: {smallest(*p)}" for p in pairs}
    assert {r["record_id"]: r["detail"] for r in ledger(result)} == want
    assert result.manifest.raw["ledger"] == {"duplicate": 4}
    assert result.manifest.raw["op_versions"]["drop_duplicates"] == 1


@pytest.mark.parametrize(
    "group", [pytest.param({}, id="each alone", marks=pytest.mark.slow), pytest.param({"group_by": "label"}, id="a class a group")]
)
def test_pictures_that_look_alike_stay_together(group: dict[str, str], alike: Path, tmp_path: Path, run: Run) -> None:
    splits = {"ratios": {"train": 0.5, "val": 0.25, "test": 0.25}, "keep_duplicates_together": "near", "allow_empty": True, **group}
    result = run(write_recipe(alike, tmp_path, splits=splits))
    found = {i: r["split"] for i, r in rows(result).items()}
    assert len(found) == 10
    for i in range(3):
        assert found[f"photos/a/{i}.png"] == found[f"photos/b/{i}.jpg"]
    if group:  # every class is one group, and a picture in both joins the two
        assert len(set(found.values())) == 1
    assert result.manifest.raw["op_versions"]["drop_duplicates"] == 1


def test_sizes_are_read_from_headers_upright(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "sizes" / "a"
    folder.mkdir(parents=True)
    for name, size in (("wide", (90, 30)), ("tall", (40, 80)), ("small", (20, 20)), ("good", (64, 64))):
        Image.new("RGB", size, (9, len(name), 9)).save(folder / f"{name}.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (40, 80), (1, 2, 3)).save(folder / "turned.jpg", exif=turned)  # upright it is 80 wide
    step = "{name: fit, op: image_size, params: {min_width: 64, max_aspect: 2.0}}"
    result = run(write_recipe(folder.parent, tmp_path, filters=[step], splits={"ratios": {"train": 0.5, "val": 0.5, "test": 0}}))
    assert set(rows(result)) == {"photos/a/good.png", "photos/a/turned.jpg"}
    assert {r["record_id"].split("/")[-1]: (r["reason"], r["detail"]) for r in ledger(result)} == {
        "wide.png": ("filtered", "90 x 30 is above max_aspect 2"),
        "tall.png": ("filtered", "width 40 is below min_width 64"),
        "small.png": ("filtered", "width 20 is below min_width 64"),
    }


@pytest.mark.parametrize(
    "op", ["image_size, params: {min_width: 1}", pytest.param("drop_duplicates, params: {kind: near}", marks=pytest.mark.slow)]
)
def test_bad_files_meet_the_error_policy(op: str, alike: Path, tmp_path: Path, run: Run) -> None:
    (alike / "a" / "broken.png").write_bytes((alike / "a" / "0.png").read_bytes()[:200])
    (alike / "a" / "text.png").write_bytes(b"no image at all")
    spare = {"ratios": {"train": 0.7, "val": 0.3, "test": 0}}
    step = "{name: f, op: " + op + "}"
    with pytest.raises(RefineryError) as caught:
        run(write_recipe(alike, tmp_path, name="fail.yaml", filters=[step]))
    assert {e.code for e in caught.value.errors()} <= {"truncated", "not_an_image"}
    result = run(write_recipe(alike, tmp_path, name="go.yaml", filters=[step], input=quarantine(0.5), splits=spare))
    bad = {r["record_id"]: (r["reason"], r["stage"]) for r in ledger(result) if r["stage"] == "Input"}
    assert bad == {"photos/a/broken.png": ("truncated", "Input"), "photos/a/text.png": ("not_an_image", "Input")}


@pytest.mark.slow
def test_fields_of_a_table(flat_with_csv: Path, tmp_path: Path, run: Run) -> None:
    lines = (flat_with_csv / "labels.csv").read_text().splitlines()
    table = tmp_path / "labels.csv"
    table.write_text("\n".join([lines[0] + ",year", *(f"{line},{2000 + i}" for i, line in enumerate(lines[1:]))]) + "\n")
    labels = {"path": str(table), "join": "by_id", "id_field": "filename", "label_field": "class"}
    flat = {"source": {"type": "image_flat", "label_from": labels}, "labels": "{field: label, source: {kind: direct}}"}
    for rule, count in {
        "min: 2010": 26,
        "min: 2010, max: 2011.5": 2,
        "equals: 2003": 1,
        "in: [2001, '2002']": 2,
        "not_in: [2001]": 35,
    }.items():
        step = "{name: recent, op: filter_by_field, params: {field: year, " + rule + "}}"
        splits = {"ratios": {"train": 0.7, "val": 0.15, "test": 0.15}, "allow_empty": True}
        result = run(write_recipe(flat_with_csv / "images", tmp_path, name="f.yaml", filters=[step], splits=splits, **flat))
        assert sum(result.counts.values()) == count, rule
        assert result.manifest.raw["ledger"] == {"filtered": 36 - count}


EVERYTHING: dict[str, Any] = {
    "filters": [
        "{name: once, op: drop_duplicates, params: {kind: near}}",
        "{name: size, op: image_size, params: {min_width: 8}}",
        "{name: named, op: filter_by_field, params: {field: label, not_in: [none]}}",
        *PROBES,
        "{name: fewer, op: sample_per_class_fractional, params: {n_per_class_base: 3, fractions: {circle: 0.5}}, "
        "stages: [post_split], splits: [train]}",
    ],
    "splits": {**BY_TAG, "keep_duplicates_together": "near"},
    "transformations": steps_for("train", "val", "probe"),
    "fields": TAGS,
}
SETTINGS: dict[str, dict[str, object]] = {
    "two threads": {"workers": 2, "mode": "threads"},
    "two processes": {"workers": 2, "mode": "processes"},
    "every bundle twice": {"workers": 1, "mode": "threads", "runner_factory": replayed(1)},
    "a hostile engine": {"workers": 1, "mode": "threads", "runner_factory": hostile(3)},
    "another hostile engine": {"workers": 1, "mode": "threads", "runner_factory": hostile(8)},
}


@pytest.fixture(scope="module")
def expected(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("reference")
    return rb.run(write_recipe(class_folders, folder, **EVERYTHING), cache_root=folder / "cache", workers=1, mode="threads")


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_one_digest(name: str, class_folders: Path, tmp_path: Path, run: Run, expected: RunResult) -> None:
    result = run(write_recipe(class_folders, tmp_path, **EVERYTHING), **SETTINGS[name])
    assert result.status == "built"
    assert json.loads((Path(result.path) / "manifest.json").read_text()) == expected.manifest.raw


@pytest.mark.slow
def test_order_does_not_matter(class_folders: Path, tmp_path: Path, run: Run, expected: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    import refinery_beam.launch.build.attempt as build

    make = build.make_refs

    def shuffled(entries: Any, plan: Any, plugin: Any) -> Any:
        refs, grouped = make(entries, plan, plugin)
        return iter(sorted(refs, key=lambda r: r.digest)), grouped

    monkeypatch.setattr(build, "make_refs", shuffled)
    result = run(write_recipe(class_folders, tmp_path, **EVERYTHING))
    assert result.manifest.raw["files_digest"] == expected.manifest.raw["files_digest"]
