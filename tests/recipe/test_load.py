"""Recipes of the wrong shape: each error with its exact place, code and remedy; places survive overlays and migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refinery_beam.errors import ErrorGroup, RefineryError, UsageError
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import decode_limits, load_recipe, section_seed
from refinery_beam.recipe.model_ops import FromMaster

# (piece of the base recipe, what replaces it with § before the place, code, part of the remedy)
BROKEN: list[tuple[str, str, str, str]] = [
    ("Splits:\n", "§Splitz:\n", "unknown-field", "did you mean 'Splits'?"),
    ("    - name: photos\n", "    - §nam: photos\n      name: photos\n", "unknown-field", "did you mean 'name'?"),
    ("    - name: photos\n      type", "    - §type", "missing-field", "add 'name:'"),
    ("plugin: image_classification\n", "plugin: §5\n", "bad-type", 'in quotes: "5"'),
    ("seed: 7", 'seed: §"7"', "bad-type", "remove the quotes"),
    ("seed: 7", "seed: §true", "bad-type", "write a whole number"),
    ("seed: 7", "seed: §7.0", "bad-type", "write 7"),
    ("seed: 7", "seed: §017", "bad-type", "leading zeros"),
    ("seed: 7", "seed: §18446744073709551616", "bad-value", "write a number that is at most"),
    ("seed: 7", "§seed:", "bad-type", "a value"),
    ("train: 0.7", "train: §'0.7'", "bad-type", "remove the quotes"),
    ("train: 0.7", "train: §yes", "bad-type", "write a number"),
    ("train: 0.7", "train: §false", "bad-type", ""),
    ("{train: 0.7, val: 0.15, test: 0.15}", "§[0.7, 0.3]", "bad-type", "key: value"),
    ("  stratify_by: label\n", "  stratify_by: label\n  method: §exakt\n", "bad-value", "did you mean 'exact'?"),
    ("  stratify_by: label\n", "  stratify_by: label\n  seed: {from: §mster}\n", "bad-value", "did you mean 'master'?"),
    ("  stratify_by: label\n", "  stratify_by: label\n  seed: {§form: master, from: master}\n", "unknown-field", "did you mean 'from'?"),
    ("  stratify_by: label\n", "  stratify_by: label\n  keep_duplicates_together: §true\n", "bad-value", "one of: exact, near, false"),
    ("  stratify_by: label\n", "  stratify_by: label\n  keep_duplicates_together: §0\n", "bad-value", "exact"),
    ("  stratify_by: label\n", "  stratify_by: label\n  class_balance: §3\n", "bad-type", 'in quotes: "3"'),
    ("  stratify_by: label\n", "  stratify_by: label\n  class_balance: {strategy: x, §to: [train]}\n", "unknown-field", ""),
    ("      path: images\n", "      path: images\n      unlabeled: §no\n", "bad-type", "write true or false"),
    ("      path: images\n", "      path: §''\n", "bad-location", ""),
    ("      path: images\n", '      path: §"a\\0b"\n', "bad-location", ""),
    ("      path: images\n", "      path: §a/${env:X}\n", "bad-location", "${env:NAME}/rest"),
    ("      path: images\n", "      path: §${HOME}/x\n", "bad-location", "${env:NAME}/rest"),
    ("name: photos", "name: §${env:USER}", "env-not-location", "overlay"),
    ("      path: images\n", "      path: images\n      label_from: {path: l.csv, join: §by_ids, label_field: c}\n", "bad-value", "by_id"),
    ("      path: images\n", "      path: images\n      label_from: §{path: l.csv, join: by_id, label_field: c}\n", "missing-field", ""),
    (
        "      path: images\n",
        "      path: images\n      label_from: {path: l.csv, join: by_row_order, header: [a, clas], label_field: §clsa}\n",
        "bad-value",
        "did you mean 'clas'?",
    ),
    (
        "      path: images\n",
        "      path: images\n      label_from: {path: l.csv, join: by_row_order, header: §[a, a], label_field: a}\n",
        "bad-value",
        "",
    ),
    ("      path: images\n", "      path: images\n  on_error: §skip\n", "bad-value", "one of: fail, quarantine"),
    ("      path: images\n", "      path: images\n  max_bad_fraction: §1.5\n", "bad-value", ""),
    ("shape: [8, 8, 3]", "shape: [8, §-1, 3]", "bad-value", ""),
    ("shape: [8, 8, 3]", "shape: §8", "bad-type", "write [8]"),
    ("label: {dtype: str}", "label: §str", "bad-type", "key: value"),
    ("  field: label\n", "", "missing-field", "add 'field:'"),
    ("kind: direct", "kind: §dircet", "bad-value", "did you mean 'direct'?"),
    ("    op: filter_by_label\n", "", "missing-field", "add 'op:'"),
    ("params: {labels: [cat, dog]}", "params: §[cat]", "bad-type", ""),
    ("params: {labels: [cat, dog]}", "stages: [§presplit]", "bad-value", "did you mean 'pre_split'?"),
    ("Filters:\n", "Augmentations:\n  - {name: a, op: b, expansion: §2}\nFilters:\n", "bad-value", "aggressive"),
    ("Filters:\n", "§Augmentations:\nFilters:\n", "bad-type", "write []"),
    ("Filters:\n", "InputContracts: [{assertion: §{}}]\nFilters:\n", "missing-field", ""),
    ("Filters:\n", "Visualizations: [{name: a, op: b, mode: reporting, stage: §post_Split}]\nFilters:\n", "bad-value", "post_Splits"),
    ("Filters:\n", "extensions: §[]\nFilters:\n", "bad-type", ""),
    ("Filters:\n", "overlays: {a: §[]}\nFilters:\n", "bad-type", ""),
    ("  - name: some\n    op: filter_by_label\n", "  - §some\n  - name: some\n    op: filter_by_label\n", "bad-type", ""),
    ("params: {labels: [cat, dog]}", "params: {labels: [cat], seed: §3}\n    seed: 4", "two-seeds", ""),
]


@pytest.mark.parametrize(("old", "new", "code", "remedy"), BROKEN, ids=[f"{i}-{b[1].strip()[:40]}" for i, b in enumerate(BROKEN)])
def test_broken_shapes(old: str, new: str, code: str, remedy: str, base: str, edit: Any, marked: Any) -> None:
    if not new:  # the parent is what is pointed at
        new = ""
    case = marked(edit(base, old, new))
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=case.text)
    errors = caught.value.errors()
    assert len(errors) == 1, [e.render() for e in errors]
    error = errors[0]
    assert error.code == code
    if case.at:
        assert error.at == case.at
    assert remedy in error.remedy
    assert error.rule
    for jargon in ("pydantic", "Input should", "valid integer", "dict", "tuple", "validation", "Extra inputs", "Traceback"):
        assert jargon not in error.render()


def test_missing_keys_point_to_their_owner(base: str, edit: Any) -> None:
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=edit(base, "  field: label\n", ""))
    assert caught.value.at == "r.yaml:14:1"
    assert caught.value.message == "Labels lacks 'field'"


def test_everything_wrong_is_found_in_one_go_in_reading_order(base: str, edit: Any) -> None:
    text = edit(edit(edit(base, "seed: 7", "seed: x"), "kind: direct", "kind: x"), "train: 0.7", "train: x")
    with pytest.raises(ErrorGroup) as caught:
        load_recipe("r.yaml", text=text)
    assert [e.at for e in caught.value.errors()] == ["r.yaml:3:7", "r.yaml:16:18", "r.yaml:22:19"]


def test_a_misspelt_key_is_not_also_reported_as_lacking(base: str, edit: Any) -> None:
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=edit(base, "Labels:", "Label:"))
    assert [(e.at, e.remedy) for e in caught.value.errors()] == [("r.yaml:14:1", "did you mean 'Labels'?")]


def test_tabs_are_named(base: str, edit: Any) -> None:
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=edit(base, "  field: label", "\tfield: label"))
    assert (caught.value.at, caught.value.remedy) == ("r.yaml:15:1", "indent with spaces, not tabs")


def test_defaults(base: str) -> None:
    model = load_recipe("r.yaml", text=base).model
    assert (model.Input.limits, model.Input.decode) == ({}, {})
    assert PLUGIN.kind.limits().model_dump() == {
        "max_pixels": 178956970,
        "max_bytes": 268435456,
        "formats": ("png", "jpeg", "webp", "avif", "jpeg2000", "bmp", "gif", "tiff", "ppm"),
    }
    assert PLUGIN.kind.policy().model_dump() == {
        "mode": "RGB",
        "exif": "apply",
        "alpha": "white",
        "draft": False,
        "icc": "convert",
        "bits": None,
        "damage": "standard",
    }
    assert (model.Input.damage, model.Input.follow_links) == ("standard", "inside")
    assert (model.Input.on_error, model.Output.format, model.Output.encoding) == ("fail", ("parquet",), None)
    assert (model.Splits.method, model.Splits.keep_duplicates_together) == ("exact", "exact")
    assert model.Filters[0].stages == ("pre_split",)
    assert list(model.Splits.ratios or ()) == ["train", "val", "test"]


def test_splits_may_be_left_out(base: str, edit: Any) -> None:
    text = edit(base, "Splits:\n  ratios: {train: 0.7, val: 0.15, test: 0.15}\n  stratify_by: label\n", "")
    assert load_recipe("r.yaml", text=text).model.Splits.ratios is None


def test_places_of_keys_and_values(base: str) -> None:
    recipe = load_recipe("r.yaml", text=base)
    assert recipe.at("Input.sources[0].path") == "r.yaml:8:13"
    assert recipe.at("Input.sources.0.path", key=True) == "r.yaml:8:7"
    assert recipe.at(("Transformations", 1, "op")) == "r.yaml:30:9"
    assert recipe.at("Splits") == "r.yaml:21:1"
    assert recipe.at("Splits.ratios") == "r.yaml:22:11"
    assert recipe.at("Splits.ratios.val") == "r.yaml:22:29"
    assert recipe.at("Splits.group_by") == "r.yaml:21:1"
    assert recipe.at("Transformations[1]") == "r.yaml:29:5"
    assert recipe.at("Nowhere.at.all") == "r.yaml:1:1"
    assert recipe.at("") == "r.yaml:1:1"


def test_columns_count_characters(marked: Any) -> None:
    text = 'schema_version: 3\nplugin: "日本語 é"\nseed: §x\n'
    case = marked(text)
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=case.text)
    assert case.at in [e.at for e in caught.value.errors()]
    inline = marked('{schema_version: 3, "日本": 1, "éé": 2}')
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=inline.text)
    assert "r.yaml:1:30" in [e.at for e in caught.value.errors()]


OVERLAYS = """\
overlays:
  small:
    Splits: {ratios: {train: 0.5, test: 0.5}}
  tiny:
    seed: 99
    Splits: {ratios: {train: 1.0}}
"""


def test_overlays_replace_whole_sections_in_order(base: str) -> None:
    small = load_recipe("r.yaml", text=base + OVERLAYS, overlays=["small"])
    assert small.model.Splits.ratios == {"train": 0.5, "test": 0.5}
    assert small.model.Splits.stratify_by is None
    assert (small.seed, small.overlays) == (7, ("small",))
    both = load_recipe("r.yaml", text=base + OVERLAYS, overlays=["small", "tiny"])
    assert (both.model.Splits.ratios, both.seed) == ({"train": 1.0}, 99)
    other = load_recipe("r.yaml", text=base + OVERLAYS, overlays=["tiny", "small"])
    assert (other.model.Splits.ratios, other.seed) == ({"train": 0.5, "test": 0.5}, 99)


def test_places_after_an_overlay_are_in_the_overlay(base: str) -> None:
    recipe = load_recipe("r.yaml", text=base + OVERLAYS, overlays=["small"])
    line = (base + OVERLAYS).splitlines().index("    Splits: {ratios: {train: 0.5, test: 0.5}}") + 1
    assert recipe.at("Splits.ratios.train") == f"r.yaml:{line}:30"
    assert recipe.at("Splits", key=True) == f"r.yaml:{line}:5"


@pytest.mark.parametrize(
    ("text", "names", "code", "remedy"),
    [
        (OVERLAYS, ["smal"], "unknown-overlay", "did you mean 'small'?"),
        ("", ["small"], "unknown-overlay", "declares none"),
        ("overlays: {a: [1]}", ["a"], "bad-type", "Section: ..."),
        ("overlays: {a: {Split: {}}}", ["a"], "unknown-field", "did you mean 'Splits'?"),
        ("overlays: {a: {extensions: {}}}", ["a"], "unknown-field", ""),
        ("variants: {a: {Splits: {ratio: {}}}}", ["a"], "unknown-field", "did you mean 'ratios'?"),
    ],
)
def test_bad_overlays(text: str, names: list[str], code: str, remedy: str, base: str) -> None:
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=base + text, overlays=names)
    assert caught.value.code == code
    assert remedy in caught.value.remedy


def test_an_overlay_that_is_not_selected_is_not_validated(base: str) -> None:
    assert load_recipe("r.yaml", text=base + "overlays: {a: {Splits: {x: 1}}}").model.Splits.stratify_by == "label"


def test_seed_override_and_forms(base: str) -> None:
    recipe = load_recipe("r.yaml", text=base, seed=-5)
    assert (recipe.seed, recipe.model.seed) == (-5, 7)
    assert section_seed(recipe, None, "Splits") == -5
    assert section_seed(recipe, 3, "Splits") == 3
    derived = section_seed(recipe, FromMaster(), "Splits")
    assert derived == section_seed(recipe, FromMaster(), "Splits") != section_seed(recipe, FromMaster(), "crop")
    with pytest.raises(UsageError):
        load_recipe("r.yaml", text=base, seed=2**64)


def test_locations(base: str, edit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "recipes" / "r.yaml"
    file.parent.mkdir()
    file.write_text(edit(base, "path: images", "path: ${env:REFINERY_DATA}/images"))
    recipe = load_recipe(file)
    assert recipe.base_dir == str(file.parent)
    assert recipe.resolve("../images/./x") == str(tmp_path / "images" / "x")
    assert recipe.resolve("/abs/x/") == "/abs/x"
    assert recipe.resolve("file:///abs/a%20b") == "/abs/a b"
    assert recipe.resolve("gs://bucket/x") == "gs://bucket/x"
    monkeypatch.setenv("REFINERY_DATA", "/data")
    assert recipe.resolve("${env:REFINERY_DATA}/images") == "/data/images"
    monkeypatch.setenv("REFINERY_DATA", "sub")
    assert recipe.resolve("${env:REFINERY_DATA}") == str(file.parent / "sub")
    monkeypatch.setenv("OTHER_SECRET", "hunter2")
    monkeypatch.delenv("REFINERY_DATA")
    with pytest.raises(RefineryError) as caught:
        recipe.resolve("${env:REFINERY_DATA}/images")
    assert caught.value.code == "env-missing"
    assert caught.value.at == f"{file}:8:13"
    assert "REFINERY_DATA" in caught.value.message and "hunter2" not in caught.value.render()


def test_a_recipe_is_frozen_and_prints_shortly(base: str) -> None:
    recipe = load_recipe("r.yaml", text=base)
    with pytest.raises(AttributeError):
        recipe.seed = 3  # type: ignore[misc]
    with pytest.raises(ValueError):
        recipe.model.seed = 3  # type: ignore[misc]
    assert "_root" not in repr(recipe)


V1 = """\
schema_version: 1
plugin: image_classification
Input: {sources: [{name: a, type: image_folder, path: x}]}
Output: {record_schema: {label: {dtype: str}}}
Labels: {field: label, source: {kind: direct}}
Splits: {ratios: {train: 1.0}}
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Filters:\n  - {name: f, op: x, predicate: §{op: x}}\n", "v1-filter"),
        ("Filters:\n  - {name: f, predicate: §{labels: [a]}}\n", "v1-filter"),
        ("Filters:\n  - {name: f, predicate: {op: §5}}\n", "v1-filter"),
        ("Generation:\n  - {name: g, seed: 1, output_schema: matches_input, splits: [train], applies_at: §[train]}\n", "v1-generation"),
    ],
)
def test_v1_shapes_that_cannot_be_read(text: str, code: str, marked: Any) -> None:
    case = marked(V1 + text)
    with pytest.raises(RefineryError) as caught:
        load_recipe("r.yaml", text=case.text)
    assert [(e.code, e.at) for e in caught.value.errors()] == [(code, case.at)]


def test_places_survive_migration(marked: Any) -> None:
    case = marked(V1 + "Filters:\n  - {name: f, predicate: {op: §filter_by_label, labels: [a]}}\n")
    recipe = load_recipe("r.yaml", text=case.text)
    assert recipe.at("Filters[0].op") == case.at
    assert recipe.at("Filters[0].params.labels[0]") == "r.yaml:8:57"
    assert recipe.model.Filters[0].params == {"labels": ["a"], "action": "include"}


def test_v1_takes_any_picture_stage() -> None:
    text = V1 + "Visualizations: [{name: v, op: sample_grid, stage: final, mode: reporting}]\n"
    picture = load_recipe("r.yaml", text=text).model.Visualizations[0]
    assert (picture.stage, picture.params) == ("post_pipeline", {"n": 16, "per_class": False})


def test_extensions_are_names_of_formats(base: str) -> None:
    recipe = load_recipe("r.yaml", text=base.replace("Input:\n", "Input:\n  limits: {formats: [JPG, Tif, png]}\n"))
    limits: Any = decode_limits(recipe, PLUGIN)
    assert limits.formats == ("jpeg", "tiff", "png")
