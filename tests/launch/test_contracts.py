"""Assertions end to end: what holds is in the manifest; what does not gates, warns or goes to the ledger, and records are named."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.cache import verify
from refinery_beam.errors import DataError, ErrorGroup, RecipeError, RefineryError
from refinery_beam.identity import record_key
from refinery_beam.launch import RunResult
from refinery_beam.plugins.distances import distance
from refinery_beam.recipe import digest_of_recipe
from refinery_beam.testing.engine import replayed
from support.recipes import NORMALIZE, RESIZE, SPLITS, Run, more, quarantine, write_recipe

V1 = {
    "contracts": """
- {assertion: {kind: record_count, min: 1, max: 1000}}
- {field: label, assertion: {kind: required_field}}
- {field: label, assertion: {kind: dtype, expected: str}}
- {field: label, assertion: {kind: value_in_set, value: [circle, square, triangle]}}
- {field: image, assertion: {kind: dtype, expected: uint8}}
- {field: image, assertion: {kind: range, min: 0, max: 255}}
- {field: label, assertion: {kind: count_by_field, value_per_key: 12}}
""",
    "expectations": """
- {assertion: {kind: record_count, min: 36, max: 36}}
- {field: path, assertion: {kind: required_field}}
- {field: image, assertion: {kind: shape_equals, value: [32, 32, 3]}}
- {field: image, assertion: {kind: dtype, expected: float32}}
- {field: image, assertion: {kind: range, min: -10, max: 10}}
- {assertion: {kind: split_record_counts, counts: {train: 25, val: 6, test: 5}}}
- {field: label, assertion: {kind: per_class_count_per_split, per_class: 5, tolerance: 4}}
- {assertion: {kind: count_by_fields, fields: [label, path], value_per_combination: 1}}
- {field: label, assertion: {kind: per_class_count_equals, value: 12}}
- field: label
  assertion: {kind: distributional, reference: {fractions: {circle: 0.25, square: 0.25, triangle: 0.5}}, distance: l_infinity, max: 0.2}
""",
}
"""Every kind, in the words of the first version of the language."""

FEW = "{assertion: {kind: record_count_in_range, max: 9}}"
CIRCLES = "{field: label, assertion: {kind: value_in_set, value: [circle]}}"
UNIT = "{field: image, assertion: {kind: value_range, min: 0, max: 1}}"
FLOATS = {"image": {"dtype": "float32"}}


def by_key(ids: list[str]) -> list[str]:
    return sorted(ids, key=record_key)


def ids_of(result: RunResult) -> list[str]:
    instance = rb.open_instance(result.path)
    return [row["record_id"] for split in instance.splits for row in instance.split(split, columns=["record_id"])]


@pytest.fixture(scope="module")
def built(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("contracts")
    return rb.run(write_recipe(class_folders, folder, schema_version=1, **V1), cache_root=folder / "cache")


def test_all_twelve_kinds_hold(built: RunResult) -> None:
    entries = built.manifest.raw["expectations"]
    assert [(e["section"], e["index"], e["kind"]) for e in entries] == [
        ("InputContracts", 0, "record_count_in_range"),
        ("InputContracts", 1, "required_field"),
        ("InputContracts", 2, "dtype_equals"),
        ("InputContracts", 3, "value_in_set"),
        ("InputContracts", 4, "dtype_equals"),
        ("InputContracts", 5, "value_range"),
        ("InputContracts", 6, "count_by_field"),
        ("OutputExpectations", 0, "record_count_in_range"),
        ("OutputExpectations", 1, "required_field"),
        ("OutputExpectations", 2, "shape_equals"),
        ("OutputExpectations", 3, "dtype_equals"),
        ("OutputExpectations", 4, "value_range"),
        ("OutputExpectations", 5, "split_record_counts"),
        ("OutputExpectations", 6, "per_class_count_per_split"),
        ("OutputExpectations", 7, "count_by_fields"),
        ("OutputExpectations", 8, "per_class_count_equals"),
        ("OutputExpectations", 9, "distributional"),
    ]
    assert all(e["passed"] and e["severity"] == "error" and e["version"] == 1 for e in entries)
    assert entries[5] == {
        "section": "InputContracts",
        "index": 5,
        "kind": "value_range",
        "version": 1,
        "field": "image",
        "severity": "error",
        "params": {"min": 0.0, "max": 255.0},
        "passed": True,
        "observed": {"checked": 36, "failed": 0, "records": []},
    }
    assert entries[13]["observed"] == {"classes": 3, "least": 1, "most": 9, "violations": 0}
    assert entries[16]["observed"] == {"values": 36, "distance": 1 / 6}
    assert built.manifest.warnings == ()
    assert verify(built.path, deep=True, recipe_digest=digest_of_recipe).ok
    report = (Path(built.path) / "report/report.md").read_text()
    assert "| OutputExpectations | split_record_counts |" in report and "does not hold" not in report


def test_kinds_and_their_versions_are_in_the_key(built: RunResult) -> None:
    assert built.manifest.raw["op_versions"]["assertion:value_range"] == 1


def test_the_stored_recipe_means_the_same(built: RunResult) -> None:
    again = rb.run(Path(built.path) / "recipe.yaml", cache_root=Path(built.path).parents[3])
    assert (again.status, again.path) == ("hit", built.path)


def test_failed_input_contracts_stop_before_pixels(class_folders: Path, tmp_path: Path, run: Run) -> None:
    recipe = write_recipe(class_folders, tmp_path, contracts=[CIRCLES, FEW])
    with pytest.raises(ErrorGroup) as caught:
        run(recipe)
    errors = caught.value.errors()
    first = recipe.read_text().splitlines().index("InputContracts:") + 2
    assert [(e.code, e.exit_code) for e in errors] == [("contract", 1)] * 2
    assert [e.at.split(":")[-2] for e in errors] == [str(first), str(first + 1)]
    wrong = by_key([f"photos/{p.parent.name}/{p.name}" for p in class_folders.rglob("*.*") if p.parent.name in ("square", "triangle")])
    texts = sorted(e.message for e in errors)
    assert texts[1].startswith("InputContracts: value_in_set of 'label' does not hold: 24 of 36 records: ")
    assert texts[1].endswith("; and 14 more") and [part.split(" ")[0] for part in texts[1].split(": ", 3)[3].split("; ")[:10]] == wrong[:10]
    assert texts[0] == "InputContracts: record_count_in_range does not hold: there are 36 records"
    assert not (tmp_path / "cache" / "instances").exists()


def test_failed_expectations_are_all_listed(class_folders: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(ErrorGroup) as caught:
        run(write_recipe(class_folders, tmp_path, expectations=[UNIT, FEW]))
    assert [e.code for e in caught.value.errors()] == ["contract", "contract"]
    assert "36 of 36 records" in caught.value.errors()[0].message
    assert not (tmp_path / "cache" / "instances").exists()


def test_warnings_reach_manifest_and_report(class_folders: Path, tmp_path: Path, run: Run) -> None:
    result = run(write_recipe(class_folders, tmp_path, expectations=[more(FEW, severity="warning")]))
    text = "OutputExpectations: record_count_in_range does not hold: there are 36 records"
    assert {"code": "contract", "message": text} in result.manifest.warnings
    assert result.manifest.raw["expectations"][0]["passed"] is False
    assert f"`contract`: {text}" in (Path(result.path) / "report/report.md").read_text()


@pytest.mark.parametrize("dtype", ["uint8", pytest.param("float32", marks=pytest.mark.slow)])
def test_quarantine_sends_records_to_the_ledger(class_folders: Path, tmp_path: Path, run: Run, copy_of: Any, dtype: str) -> None:
    images = copy_of(class_folders)
    victim = sorted((images / "square").iterdir())[0]
    Image.new("RGB", (40, 40), (255, 0, 0)).save(victim, "PNG")
    no_triangle = "{field: label, assertion: {kind: value_in_set, value: [circle, square]}}"
    not_bright = "{field: image, assertion: {kind: value_range, max: 254}}"
    fields = {"image": {"dtype": dtype}}
    result = run(write_recipe(images, tmp_path, contracts=[no_triangle, not_bright], input=quarantine(0.9), fields=fields))
    bright = [
        p.relative_to(images).as_posix()
        for c in ("circle", "square")
        for p in (images / c).iterdir()
        if max(max(Image.open(p).convert("RGB").tobytes()), 0) > 254
    ]
    assert result.manifest.ledger == {"contract:value_in_set": 12, "contract:value_range": len(bright)}
    labels, pixels = result.manifest.raw["expectations"]
    assert (labels["passed"], labels["quarantined"], labels["observed"]["failed"]) == (False, 12, 12)
    assert (pixels["quarantined"], pixels["observed"]["checked"], pixels["observed"]["failed"]) == (len(bright), 24, len(bright))
    assert pixels["observed"]["records"] == by_key([f"photos/{p}" for p in bright])[:10]
    assert f"photos/square/{victim.name}" in pixels["observed"]["records"]
    assert set(ids_of(result)).isdisjoint({f"photos/{p}" for p in bright})
    # Statistics saw none of them: the greatest value of any channel is 254 or less.
    statistics = rb.open_instance(result.path).statistics("normalize")
    assert max(channel["max"] for channel in statistics["channels"]) <= 254


def test_a_reader_sees_what_was_asserted(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """The range is that of normalized values: the least and the greatest a reader meets pass, anything tighter names the record."""
    first = run(write_recipe(class_folders, tmp_path))
    instance = rb.open_instance(first.path)
    found = {row["record_id"]: row["image"] for split in instance.splits for row in instance.split(split)}
    low, high = min(float(v.min()) for v in found.values()), max(float(v.max()) for v in found.values())
    exact = {"field": "image", "assertion": {"kind": "value_range", "min": low, "max": high}}
    assert run(write_recipe(class_folders, tmp_path, name="exact.yaml", expectations=[exact])).manifest.raw["expectations"][0]["passed"]
    limit = sorted(float(v.max()) for v in found.values())[-4]
    tight = {"field": "image", "assertion": {"kind": "value_range", "max": limit}, "severity": "warning"}
    entry = run(write_recipe(class_folders, tmp_path, name="tight.yaml", expectations=[tight])).manifest.raw["expectations"][0]
    wrong = by_key([record_id for record_id, v in found.items() if float(v.max()) > limit])
    assert entry["observed"] == {"checked": 36, "failed": len(wrong), "records": wrong[:10]}


def comparison(
    path: Path | str, *, field: str = "label", distance: str = "jensen_shannon", limit: float = 0.1, split: str = "train"
) -> Any:
    given = {"kind": "distributional", "reference": {"instance": str(path), "split": split}, "distance": distance, "max": limit}
    return [{"field": field, "assertion": given}]


def test_against_a_named_instance(class_folders: Path, tmp_path: Path, run: Run) -> None:
    even = {**SPLITS, "ratios": {"train": 0.5, "val": 0.25, "test": 0.25}}
    other = run(write_recipe(class_folders, tmp_path, name="other.yaml", splits=even))
    by_location = run(write_recipe(class_folders, tmp_path, name="a.yaml", expectations=comparison(other.path)))
    entry = by_location.manifest.raw["expectations"][0]
    assert (entry["passed"], entry["observed"]) == (True, {"values": 36, "distance": 0.0})
    key = {"recipe_hash": other.manifest.recipe_hash, "input_hash": other.manifest.input_hash, "seed": 0, "split": "train"}
    assert entry["params"]["reference"] == key
    assert str(tmp_path) not in (Path(by_location.path) / "manifest.json").read_text()
    by_recipe = run(write_recipe(class_folders, tmp_path, name="b.yaml", expectations=comparison("other.yaml")))
    assert (by_recipe.status, by_recipe.path) == ("hit", by_location.path)


@pytest.mark.slow
def test_another_instance_is_another_key(class_folders: Path, tmp_path: Path, run: Run) -> None:
    one = run(write_recipe(class_folders, tmp_path, name="one.yaml"))
    two = run(write_recipe(class_folders, tmp_path, name="two.yaml", splits={**SPLITS, "seed": 12}))
    a = run(write_recipe(class_folders, tmp_path, name="a.yaml", expectations=comparison(one.path)))
    b = run(write_recipe(class_folders, tmp_path, name="b.yaml", expectations=comparison(two.path)))
    assert (b.status, b.path != a.path) == ("built", True)


BARE: dict[str, Any] = {"fields": {"image": None}, "transformations": None}
"""Nothing of the picture is stored, and nothing is decoded."""


def values_of(result: RunResult, split: str | None = None) -> Counter[float]:
    """Every value of every channel that a reader sees, with how often."""
    instance = rb.open_instance(result.path)
    rows = (row["image"] for name in ([split] if split else instance.splits) for row in instance.split(name, columns=["image"]))
    return sum((Counter(image.reshape(-1).tolist()) for image in rows), Counter())


@pytest.mark.slow
def test_pixels_against_a_named_instance(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """As readers see them: normalized here, by statistics of other records, and as they are stored there."""
    other = run(write_recipe(class_folders, tmp_path, name="other.yaml", splits={**SPLITS, "seed": 12}))
    near = run(write_recipe(class_folders, tmp_path, expectations=comparison(other.path, field="image", distance="wasserstein", limit=0.2)))
    entry = near.manifest.raw["expectations"][0]
    here, there = values_of(near), values_of(other, "train")
    weights = [{v: Fraction(n, sum(c.values())) for v, n in c.items()} for c in (here, there)]
    assert entry["observed"] == {"values": 36 * 32 * 32 * 3, "distance": float(distance("wasserstein", *weights))}
    assert entry["passed"] and 0 < entry["observed"]["distance"] < 0.2
    plain = run(write_recipe(class_folders, tmp_path, name="plain.yaml", transformations=[RESIZE]))
    far = write_recipe(class_folders, tmp_path, name="f.yaml", expectations=comparison(plain.path, field="image", distance="ks", limit=0.4))
    with pytest.raises(DataError, match=r"the ks distance is 0\.[5-9]"):
        run(far)


@pytest.mark.slow
def test_pixels_against_stated_numbers(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """Decoded pixels under InputContracts, levels of all channels together; the same result from processes."""
    stated = "reference: {edges: [0, 128, 256], fractions: [0.5, 0.5]}, distance: l_infinity, max: 0"
    contract = f"{{field: image, assertion: {{kind: distributional, {stated}}}, severity: warning}}"
    recipe = write_recipe(class_folders, tmp_path, contracts=[contract])
    one, two = run(recipe), run(recipe, cache="two", mode="processes", workers=2, runner_factory=replayed(1))
    dark = total = 0
    for path in class_folders.rglob("*.*"):
        with Image.open(path) as image:
            data = image.convert("RGB").tobytes()
        dark, total = dark + sum(v < 128 for v in data), total + len(data)
    entry = one.manifest.raw["expectations"][0]
    assert entry["observed"] == {"values": total, "distance": float(abs(Fraction(dark, total) - Fraction(1, 2)))}
    assert not entry["passed"] and [w["code"] for w in one.manifest.raw["warnings"]] == ["contract"]
    assert two.manifest.raw["files_digest"] == one.manifest.raw["files_digest"]


def test_pixels_that_are_no_levels_are_not_counted(class_folders: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(RecipeError, match="cannot count the values of float32 images"):
        run(write_recipe(class_folders, tmp_path, expectations=comparison("nowhere", field="image"), fields=FLOATS))


@pytest.mark.parametrize(
    ("other", "given", "words"),
    [
        (None, {"path": "nowhere"}, "no finished instance"),
        (None, {"path": "recipe.yaml"}, "compares itself"),
        ({}, {"split": "dev"}, "no split 'dev'"),
        pytest.param({"fields": FLOATS}, {"field": "image"}, "stores float32 content", marks=pytest.mark.slow),
        pytest.param(BARE, {"field": "image"}, "no field 'image'", marks=pytest.mark.slow),
    ],
)
def test_bad_references(
    class_folders: Path, tmp_path: Path, run: Run, other: dict[str, Any] | None, given: dict[str, str], words: str
) -> None:
    """`other` is the recipe of the instance that is compared with."""
    if other is not None:
        given = {"path": run(write_recipe(class_folders, tmp_path, name="other.yaml", **other)).path, **given}
    with pytest.raises(RecipeError, match=words) as caught:
        run(write_recipe(class_folders, tmp_path, expectations=comparison(**given)))  # type: ignore[arg-type]
    assert caught.value.code in ("contract-reference", "assertion-field") and "recipe.yaml:" in caught.value.at


def test_metadata_only_recipes_never_decode(class_folders: Path, tmp_path: Path, run: Run, copy_of: Any) -> None:
    images = copy_of(class_folders)
    for path in images.rglob("*.*"):
        path.write_bytes(b"no image " + path.name.encode())
    contract = "{field: label, assertion: {kind: value_in_set, value: [circle, square, triangle]}}"
    result = run(write_recipe(images, tmp_path, contracts=[contract], **BARE))
    assert result.manifest.raw["expectations"][0]["observed"]["checked"] == 36


def test_one_error_is_no_group(class_folders: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(RefineryError) as caught:
        run(write_recipe(class_folders, tmp_path, expectations=["{field: label, assertion: {kind: per_class_count_equals, value: 3}}"]))
    assert isinstance(caught.value, DataError)
    assert caught.value.message.endswith("does not hold: 'circle' has 12, 'square' has 12, 'triangle' has 12")


def test_tails_from_other_than_bytes_are_refused(class_folders: Path, tmp_path: Path, run: Run) -> None:
    half = "{name: half, op: cast, params: {dtype: float16, scale: 1}, splits: [train, val, test]}"
    with pytest.raises(RecipeError, match="is not executed yet") as caught:
        run(write_recipe(class_folders, tmp_path, transformations=[RESIZE, NORMALIZE, half], fields=FLOATS, expectations=[UNIT]))
    assert caught.value.code == "not-executed-yet"


@pytest.mark.slow
def test_both_forms_of_an_image_agree(class_folders: Path, tmp_path: Path, run: Run) -> None:
    """Stored normalized or normalized by the reader: the same verdict and the same records."""
    near = "{field: image, assertion: {kind: value_range, min: -1.5, max: 1.5}, severity: warning}"
    late = run(write_recipe(class_folders, tmp_path, name="late.yaml", expectations=[near]))
    early = run(write_recipe(class_folders, tmp_path, name="early.yaml", expectations=[near], fields=FLOATS))
    assert late.manifest.raw["expectations"] == early.manifest.raw["expectations"]
    assert late.manifest.raw["expectations"][0]["observed"]["failed"] > 0
