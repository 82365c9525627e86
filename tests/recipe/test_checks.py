"""The numbered checks: each rule with its number, code and exact place; and that each stays silent where nothing is wrong."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refinery_beam import planning
from refinery_beam.errors import RecipeError
from refinery_beam.plugins.base import Plugin
from refinery_beam.plugins.common.filters import FilterByField
from refinery_beam.plugins.common.vocabulary import CategoricalEncode
from refinery_beam.plugins.image_classification.kind import ImageKind
from refinery_beam.recipe import complete
from refinery_beam.recipe.checks import CHECKS
from refinery_beam.recipe.checks.compiler import BELONGS_TO
from support.outcomes import failing, outcome

NUMBERS = [*range(1, 32), *range(101, 113)]
LATER = [108, 111, 112]

T = "Transformations:\n"
F = "Featurizations:\n"
S = "  stratify_by: label\n"
IN = "      path: images\n"
LAST = "    splits: [train]\n"  # of the last featurization: what follows is top level


def test_every_number_reports_and_passes_on_a_sound_recipe(base: str, folder: Path, plugin: Plugin) -> None:
    results = outcome(base, folder, plugin, cache_root=str(folder / "cache"))
    assert list(results) == NUMBERS
    assert {n: [e.render() for e in r.errors] for n, r in results.items() if r.status != "pass"} == {number: [] for number in LATER}
    assert results[26].note
    assert len({name for _, name, _ in CHECKS}) == len(CHECKS)


# (number, code, old, new with § before the place)
RULES: list[tuple[int, str, str, str]] = [
    (2, "plugin-mismatch", "plugin: image_classification", "plugin: §tabular"),
    (4, "no-splits", "    fit_source: train\n    splits: [train, val, test]\n", "    fit_source: train\n    splits: §[]\n"),
    (
        4,
        "no-splits",
        "  - name: normalize\n    op: normalize\n    fit_source: train\n    splits: [train, val, test]\n",
        "  - §name: normalize\n    op: normalize\n    fit_source: train\n",
    ),
    (4, "no-splits", "    params: {labels: [cat, dog]}\n", "    params: {labels: [cat, dog]}\n    stages: [post_split]\n    splits: §[]\n"),
    (104, "bad-value", IN, IN + "  limits: {formats: [§jpgg]}\n"),
    (104, "bad-value", IN, IN + "  limits: {formats: §[]}\n"),
    (104, "bad-value", IN, IN + "  limits: {max_pixels: §0}\n"),
    (104, "unknown-field", IN, IN + "  decode: {§mod: RGB}\n"),
    (5, "augmentation-split", LAST, LAST + "Augmentations:\n  - {name: a, op: horizontal_flip, splits: [train, §test]}\n"),
    (6, "fit-source", "    fit_source: train\n", "    fit_source: §val\n"),
    (6, "fit-source", "  - name: normalize\n    op: normalize\n    fit_source: train\n", "  - §name: normalize\n    op: normalize\n"),
    (7, "unknown-field-name", "inputs: [image]", "inputs: [§imge]"),
    (7, "unknown-field-name", "inputs: [image]", "inputs: [§size]"),
    (8, "two-split-rules", S, S + "  §key_assignment: {field: label, mapping: {cat: train, dog: val, cow: test}}\n"),
    (8, "no-split-rule", "Splits:\n  ratios: {train: 0.7, val: 0.15, test: 0.15}\n  stratify_by: label\n", "Splits: §{}\n"),
    (8, "no-splits", "{train: 0.7, val: 0.15, test: 0.15}", "§{}"),
    (8, "no-splits", "{train: 0.7, val: 0.15, test: 0.15}", "§{train: 0, val: 0, test: 0.0}"),
    (8, "negative-ratio", "val: 0.15", "val: §-0.1"),
    (8, "ratios-above-one", "{train: 0.7, val: 0.15, test: 0.15}", "§{train: 0.9, val: 0.5, test: 0.1}"),
    (8, "no-splits", "  ratios: {train: 0.7, val: 0.15, test: 0.15}\n", "  key_assignment: {field: label, mapping: §{}}\n"),
    (9, "unknown-field-name", "stratify_by: label", "stratify_by: §lable"),
    (9, "unknown-field-name", "stratify_by: label", "stratify_by: §size"),
    (9, "unknown-field-name", S, S + "  group_by: §patient\n"),
    (
        9,
        "unknown-field-name",
        "  ratios: {train: 0.7, val: 0.15, test: 0.15}\n",
        "  key_assignment: {field: §fold, mapping: {a: train, b: val, c: test}}\n",
    ),
    (
        10,
        "class-balance-twice",
        "    params: {labels: [cat, dog]}\nSplits:\n",
        "    params: {labels: [cat, dog]}\n  - §{name: class_balance, op: random_sample, params: {n: 1}}\nSplits:\n  class_balance: w\n",
    ),
    (10, "unknown-split", S, S + "  class_balance: {strategy: x, applies_to: [§trian]}\n"),
    (11, "empty-stage", LAST, LAST + "Visualizations: [{name: v, op: sample_grid, stage: §post_Generation, mode: reporting}]\n"),
    (12, "unknown-field", LAST, LAST + "overlays: {a: {§Spltis: {}}}\n"),
    (13, "label-not-in-schema", "  field: label\n", "  field: §klass\n"),
    (13, "label-not-made", "source: {kind: direct}", "source: §{kind: derived}"),
    (13, "label-derivation-unused", "source: {kind: direct}", "source: {kind: direct, derivation: §stem}"),
    (
        14,
        "generation-schema",
        LAST,
        LAST + "Generation: [{name: g, op: duplicate_minority_class, seed: 1, output_schema: {§imag: {dtype: uint8}}}]\n",
    ),
    (
        14,
        "generation-schema",
        LAST,
        LAST + "Generation: [{name: g, op: duplicate_minority_class, seed: 1, output_schema: {§image: {dtype: uint8}}}]\n",
    ),
    (15, "unknown-split", "splits: [train, val, test]", "splits: [train, §validation, test]"),
    (15, "unknown-split", LAST, LAST + "SampleData: {selector: {n: 1, splits: [§tst]}}\n"),
    (15, "unknown-partition", S, S + "  applies_to: §train\n"),
    (16, "sample-size", LAST, LAST + "SampleData: {selector: §{}}\n"),
    (16, "sample-size", LAST, LAST + "SampleData: {selector: §{n: 1, fraction: 0.1}}\n"),
    (16, "sample-size", LAST, LAST + "SampleData: {selector: {n: §0}}\n"),
    (16, "sample-size", LAST, LAST + "SampleData: {selector: {fraction: §1.0}}\n"),
    (17, "unknown-field-name", LAST, LAST + "InputContracts: [{field: §size, assertion: {kind: required_field}}]\n"),
    (
        17,
        "unknown-field-name",
        LAST,
        LAST + "OutputExpectations: [{assertion: {kind: count_by_fields, fields: [label, §lbl], value_per_combination: 1}}]\n",
    ),
    (18, "unknown-op", "    op: resize\n", "    op: §resise\n"),
    (18, "op-section", "    op: resize\n", "    op: §filter_by_label\n"),
    (18, "op-section", "    op: resize\n", "    op: §horizontal_flip\n"),
    (18, "unknown-field", "method: bilinear", "§metod: bilinear"),
    (18, "missing-field", "{size: 8, method: bilinear}", "§{method: bilinear}"),
    (104, "bad-value", "method: bilinear", "method: §blinear"),
    (104, "bad-value", "size: 8", "size: §0"),
    (104, "bad-type", "size: 8", 'size: §"8"'),
    (104, "bad-type", "size: 8", "size: §true"),
    (104, "bad-type", "labels: [cat, dog]", "labels: [cat, §5.5]"),
    (104, "bad-type", "labels: [cat, dog]", "labels: §cat"),
    (104, "bad-value", "    fit_source: train\n", "    fit_source: train\n    params: §{mean: [1.0]}\n"),
    (19, "two-label-sources", IN, IN + "      label_from: §{path: labels.csv, join: by_id, id_field: file, label_field: class}\n"),
    (19, "no-label-source", "    - name: photos\n      type: image_folder\n", "    - §name: photos\n      type: image_flat\n"),
    (
        19,
        "label-column-missing",
        "type: image_folder\n" + IN,
        "type: image_flat\n" + IN + "      label_from: {path: labels.csv, join: by_id, id_field: file, label_field: §klass}\n",
    ),
    (20, "partition-missing", IN, IN + "      partition: train\n    - §name: b\n      type: image_folder\n      path: images\n"),
    (20, "ratios-with-partitions", IN + "Output", IN + "      partition: held\nOutput"),
    (22, "stats-import", "    fit_source: train\n", "    params: {stats_from_instance: §{recipe: r.yaml}}\n"),
    (
        22,
        "stats-import",
        "    fit_source: train\n",
        "    params: {stats_from_instance: {recipe: r.yaml, op_id: n}}\n    fit_source: §train\n",
    ),
    (22, "stats-import", "{size: 8, method: bilinear}", "{size: 8, §stats_from_instance: {recipe: r.yaml, op_id: n}}"),
    (106, "path-missing", "    fit_source: train\n", "    params: {stats_from_instance: {recipe: §other.yaml, op_id: n}}\n"),
    (106, "path-missing", "    fit_source: train\n", "    params: {stats_from_instance: {recipe: §images, op_id: n}}\n"),
    (23, "reserved-field", "output_field: size", "output_field: §path"),
    (23, "reserved-field", "output_field: size", "output_field: §label"),
    (23, "duplicate-name", LAST, LAST + "  - {name: again, op: image_size_stats, inputs: [image], output_field: §size, splits: [train]}\n"),
    (
        24,
        "bad-template",
        LAST,
        LAST + "Sinks: [{name: s, stage: post_Splits, field: image, format: png_per_record, path_template: §../x.png}]\n",
    ),
    (
        24,
        "bad-template",
        LAST,
        LAST
        + f"Sinks: [{{name: s, stage: post_Splits, field: image, format: png_per_record, path_template: §'{'x' * 201}/{{path|stem}}'}}]\n",
    ),
    (
        24,
        "bad-template",
        LAST,
        LAST + "Sinks: [{name: s, stage: post_Splits, field: image, format: png_per_record, path_template: §'{path}'}]\n",
    ),
    (
        24,
        "unknown-field-name",
        LAST,
        LAST + "Sinks: [{name: s, stage: post_Splits, field: §imge, format: png_per_record, path_template: 'a/{path|stem}'}]\n",
    ),
    (
        25,
        "unknown-field-name",
        LAST,
        LAST + "Visualizations: [{name: v, op: h, params: {group_by: §klass}, stage: post_pipeline, mode: reporting}]\n",
    ),
    (28, "unknown-extension", LAST, LAST + "extensions: {ns: {§key: 1}}\n"),
    (28, "unknown-extension", LAST, LAST + "extensions: {§ns: {}}\n"),
    (31, "layout-misplaced", IN, IN + "      layout: §'{label}/{file}'\n"),
    (31, "layout-missing", "    - name: photos\n      type: image_folder\n", "    - §name: photos\n      type: image_tree\n"),
    (31, "bad-layout", "type: image_folder\n" + IN, "type: image_tree\n" + IN + "      layout: §'{label}/x{file}'\n"),
    (31, "no-label-source", "type: image_folder\n" + IN, "type: image_tree\n" + IN + "      layout: §'*/{file}'\n"),
    (101, "path-missing", "path: images", "path: §imagez"),
    (101, "path-not-a-folder", "path: images", "path: §labels.csv"),
    (101, "env-missing", "path: images", "path: §${env:REFINERY_NOT_SET}/images"),
    (102, "duplicate-name", "  - name: normalize\n", "  - name: §Resize\n"),
    (102, "duplicate-name", "  - name: sizes\n", "  - name: §some\n"),
    (102, "duplicate-name", IN, IN + "    - {name: §photos, type: image_folder, path: images}\n"),
    (103, "unsafe-name", "  - name: normalize\n", "  - name: §../../evil\n"),
    (103, "unsafe-name", "  - name: normalize\n", "  - name: §.hidden\n"),
    (103, "unsafe-name", "  - name: normalize\n", '  - name: §"a\\nb"\n'),
    (103, "unsafe-name", "  - name: normalize\n", "  - name: §a/b\n"),
    (103, "unsafe-name", "name: photos", "name: §''"),
    (103, "unsafe-name", "test: 0.15", "§../test: 0.1"),
    (103, "duplicate-name", "{train: 0.7, val: 0.15, test: 0.15}", "{train: 0.6, val: 0.1, test: 0.15, Test: 0.15}"),
    (105, "unknown-assertion", LAST, LAST + "InputContracts: [{field: image, assertion: {kind: §dtype_equal, expected: uint8}}]\n"),
    (105, "unknown-field", LAST, LAST + "InputContracts: [{field: image, assertion: {kind: dtype_equals, expected: uint8, §x: 1}}]\n"),
    (105, "missing-field", LAST, LAST + "InputContracts: [{field: image, assertion: §{kind: dtype_equals}}]\n"),
    (105, "bad-value", LAST, LAST + "InputContracts: [{field: image, assertion: {kind: dtype_equals, expected: §unit8}}]\n"),
    (105, "bad-type", LAST, LAST + "InputContracts: [{assertion: {kind: record_count_in_range, min: §'1'}}]\n"),
    (105, "bad-value", LAST, LAST + "InputContracts: [{assertion: {kind: record_count_in_range, min: §9, max: 1}}]\n"),
    (105, "missing-field", LAST, LAST + "InputContracts: [{assertion: §{kind: record_count_in_range}}]\n"),
    (105, "assertion-field", LAST, LAST + "InputContracts: [{field: §image, assertion: {kind: record_count_in_range, min: 1}}]\n"),
    (105, "assertion-section", LAST, LAST + "InputContracts: [{assertion: {kind: §split_record_counts, counts: {train: 1}}}]\n"),
    (109, "unknown-dtype", "dtype: uint8", "dtype: §unit8"),
    (109, "encoding-shape", "shape: [8, 8, 3]}", "shape: [8, null, 3]}"),
    (109, "encoding-dtype", "Output:\n", "Output:\n  encoding: §jpeg\n"),
    (109, "encoding-source", "Output:\n", "Output:\n  encoding: §source\n"),
    (110, "unknown-source-type", "type: image_folder", "type: §image_foldr"),
]


@pytest.mark.parametrize(("number", "code", "old", "new"), RULES, ids=[f"{r[0]}-{r[1]}-{i}" for i, r in enumerate(RULES)])
def test_rules(number: int, code: str, old: str, new: str, base: str, edit: Any, marked: Any, folder: Path, plugin: Plugin) -> None:
    if code == "encoding-shape":
        base = base.replace("Output:\n", "Output:\n  encoding: §tensor\n")
    if code == "encoding-dtype":
        base = base.replace("dtype: uint8", "dtype: float32")
    case = marked(edit(base, old, new), file=str(folder / "r.yaml"))
    result = outcome(case.text, folder, plugin)[number]
    assert result.status == "fail"
    found = {(e.code, e.at) for e in result.errors}
    if case.at:
        assert (code, case.at) in found
    else:
        assert code in {c for c, _ in found}
    for error in result.errors:
        assert error.at.startswith(str(folder / "r.yaml")) and error.rule and error.remedy and error.message
        assert "Traceback" not in error.render()


# Things the reference's validator got wrong, or that look odd and are right: no check fails.
SOUND: list[tuple[str, str]] = [
    (
        "Splits:\n  ratios: {train: 0.7, val: 0.15, test: 0.15}\n",
        "Splits:\n  key_assignment: {field: label, mapping: {cat: train, dog: val, cow: test}}\n",
    ),
    (LAST, LAST + "  - {name: lab, op: label_from_path, inputs: [path], output_field: folder, splits: [train]}\n"),
    ("stratify_by: label", "stratify_by: label\n  group_by: path"),
    ("    fit_source: train\n", "    params: {mean: [0, 1], std: [1, 1.5]}\n"),
    ("val: 0.15", "val: 0.1500000001"),
    ("size: 8", "size: [8, 8]"),
    ("name: photos", "name: Фото-1.v2"),
    (LAST, LAST + "Augmentations: [{name: flip, op: horizontal_flip, materialization: aggressive}]\n"),
    (LAST, LAST + "overlays: {a: {Splits: {}, seed: 4, plugin: x}}\n"),
    (LAST, LAST + "OutputExpectations: [{field: size, assertion: {kind: required_field}}]\n"),
]


@pytest.mark.parametrize(("old", "new"), SOUND)
def test_sound(old: str, new: str, base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    results = outcome(edit(base, old, new), folder, plugin)
    assert {n: [e.render() for e in r.errors] for n, r in results.items() if r.status != "pass"} == {number: [] for number in LATER}


def test_remedies_name_the_closest_word(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    for number, old, new, word in [
        (18, "op: resize", "op: resise", "resize"),
        (18, "method: bilinear", "metod: bilinear", "method"),
        (104, "method: bilinear", "method: blinear", "bilinear"),
        (15, "splits: [train, val, test]", "splits: [trian]", "train"),
        (110, "type: image_folder", "type: image_foldr", "image_folder"),
        (109, "dtype: uint8", "dtype: unit8", "uint8"),
    ]:
        errors = outcome(edit(base, old, new), folder, plugin)[number].errors
        assert f"did you mean '{word}'?" in errors[0].remedy


WORDS = [
    ("size: 8", "size: [8]", "Transformations[0].params.size must be a list of 2 items, not one of 1"),
    ("size: 8", "size: [8, 9, 10]", "Transformations[0].params.size must be a list of at most 2 items, not one of 3"),
    ("size: 8", "size: 8.0", "Transformations[0].params.size must be a whole number or a list, not the number 8.0"),
    ("size: 8", "size: -1", "Transformations[0].params.size must be more than 0, not the number -1"),
    ("size: 8", "size: [8, a]", "Transformations[0].params.size[1] must be a whole number, not the text 'a'"),
    ("size: 8", "size: {a: 1}", "Transformations[0].params.size must be a whole number or a list, not a mapping"),
]


@pytest.mark.parametrize(("old", "new", "message"), WORDS)
def test_words_of_parameter_errors(old: str, new: str, message: str, base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    assert [e.message for e in outcome(edit(base, old, new), folder, plugin)[104].errors] == [message]


def test_warnings_do_not_fail(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    below = outcome(edit(base, "test: 0.15}", "test: 0.1}"), folder, plugin)[8]
    assert (below.status, below.errors[0].code) == ("warn", "ratios-below-one")
    unused = outcome(edit(base, "    params: {size: 8", "    fit_source: train\n    params: {size: 8"), folder, plugin)[6]
    assert (unused.status, unused.errors[0].code) == ("warn", "fit-source-unused")
    quality = outcome(edit(base, "Output:\n", "Output:\n  encoding: png\n  quality: 3\n"), folder, plugin)[109]
    assert (quality.status, quality.errors[0].code) == ("warn", "quality-unused")
    row_groups = edit(base, "Output:\n", "Output:\n  row_group_bytes: 8192\n")
    assert outcome(row_groups, folder, plugin)[109].status == "pass"
    unused = outcome(edit(row_groups, "    image: {dtype: uint8, shape: [8, 8, 3]}\n", ""), folder, plugin)[109]
    assert (unused.status, [e.code for e in unused.errors]) == ("warn", ["row-groups-unused"])
    by_hash = outcome(edit(base, "  stratify_by: label\n", "  stratify_by: label\n  method: hash\n"), folder, plugin)[8]
    assert (by_hash.status, by_hash.errors[0].code) == ("warn", "stratify-unused")


def test_derived_labels_are_fine_for_stratification(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    declared = edit(base, "{kind: direct}", "{kind: derived, derivation: parent_directory_name}")
    assert failing(outcome(declared, folder, plugin)) == []
    made = edit(base, "{kind: direct}", "{kind: derived}") + (
        "  - {name: l, op: label_from_path, inputs: [path], output_field: label, splits: [train], params: {source: stem}}\n"
    )
    assert failing(outcome(made, folder, plugin)) == []
    both = outcome(made.replace("{kind: derived}", "{kind: derived, derivation: filename}"), folder, plugin)
    assert failing(both) == [13]
    assert both[13].errors[0].code == "label-made-twice"


def test_sidecar_columns_are_fields(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    table = "      label_from: {path: labels.csv, join: by_id, id_field: file, label_field: class}\n"
    text = edit(edit(base, "type: image_folder\n" + IN, "type: image_flat\n" + IN + table), S, S + "  group_by: group\n")
    assert failing(outcome(text, folder, plugin)) == []
    assert failing(outcome(edit(text, "group_by: group", "group_by: grp"), folder, plugin)) == [9]
    (folder / "labels.csv").write_bytes("\ufefffile;class;group\na;cat;1\n".encode())
    assert failing(outcome(text, folder, plugin)) == []
    (folder / "labels.csv").write_text("")
    assert outcome(text, folder, plugin)[19].errors[0].code == "label-table-empty"
    (folder / "labels.csv").unlink()
    assert failing(outcome(text, folder, plugin)) == [101]


def test_27_a_deferred_tail_leaves_uint8_for_augmentation(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    flip = LAST + "Augmentations: [{name: flip, op: horizontal_flip, materialization: aggressive}]\n"
    eager = edit(edit(base, LAST, flip), "dtype: uint8", "dtype: float32")
    results = outcome(eager, folder, plugin)
    assert [e.code for e in results[27].errors] == ["dtype-before-augmentation"]
    lazy = eager.replace("aggressive", "lazy")
    assert outcome(lazy, folder, plugin)[27].status == "pass"
    after = edit(edit(base, LAST, flip), F, "  - {name: rgb, op: to_rgb, splits: [train]}\n" + F)
    assert [e.at for e in outcome(after, folder, plugin)[27].errors] == [f"{folder / 'r.yaml'}:29:5"]


def test_29_and_30(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    windows = edit(base, "stratify_by: label", "stratify_by: window_index") + (
        "Generation: [{name: w, op: duplicate_minority_class, seed: 1, output_schema: matches_input, replace_input_records: true}]\n"
    )
    assert outcome(windows, folder, plugin)[29].errors[0].at.endswith(":23:16")
    plugin = replace(plugin, ops={**plugin.ops, "categorical_encode": CategoricalEncode()})
    sink = base + (
        "  - {name: n, op: categorical_encode, inputs: [label], output_field: norm, fit_source: train, splits: [train]}\n"
        "Sinks: [{name: s, stage: post_Splits, field: norm, format: npy_per_record, path_template: 'a/{record_id}.npy'}]\n"
    )
    assert outcome(sink, folder, plugin)[30].errors[0].code == "sink-after-fit"


def test_107_cache_inside_a_source(base: str, folder: Path, plugin: Plugin) -> None:
    for root in ("images", "images/cache", "images/../images/x"):
        result = outcome(base, folder, plugin, cache_root=str(folder / root))[107]
        assert [(e.code, e.at) for e in result.errors] == [("output-inside-source", f"{folder / 'r.yaml'}:8:13")]
    (folder / "link").symlink_to(folder / "images")
    assert outcome(base, folder, plugin, cache_root=str(folder / "link" / "c"))[107].status == "fail"
    for root in ("cache", "images2", "image"):
        assert outcome(base, folder, plugin, cache_root=str(folder / root))[107].status == "pass"
    assert outcome(base, folder, plugin, cache_root="gs://bucket/x")[107].status == "pass"
    stored = base.replace("path: images", "path: gs://bucket/images")
    assert outcome(stored, folder, plugin, cache_root="gs://bucket/images/cache")[107].errors[0].code == "output-inside-source"
    assert outcome(stored, folder, plugin, cache_root="gs://bucket/images-2")[107].status == "pass"


def test_the_kind_of_data_says_how_a_source_type_is_arranged(base: str, folder: Path, plugin: Plugin) -> None:
    class Notes(ImageKind):
        source_types: Any = {word.replace("image", "note"): known for word, known in ImageKind().source_types.items()}  # noqa: RUF012

    notes = replace(plugin, kind=Notes())
    results = outcome(base.replace("image_folder", "note_tree"), folder, notes)
    assert failing(results) == [31] and results[31].errors[0].code == "layout-missing"
    results = outcome(base.replace("type: image_folder", "type: note_flat\n      layout: '{file}'"), folder, notes)
    assert failing(results) == [19, 31] and results[31].errors[0].remedy == "write 'type: note_tree', or remove layout"
    assert failing(outcome(base.replace("image_folder", "note_folder"), folder, notes)) == []
    assert failing(outcome(base, folder, notes)) == [110]


def test_filters_see_no_field_that_is_learned_on_train(base: str, edit: Any, folder: Path, plugin: Plugin) -> None:
    plugin = replace(plugin, ops={**plugin.ops, "categorical_encode": CategoricalEncode(), "filter_by_field": FilterByField()})
    learned = base + "  - {name: n, op: categorical_encode, inputs: [label], output_field: number, fit_source: train, splits: [train]}\n"
    filters = "Filters:\n  - {name: odd, op: filter_by_field, params: {field: number, equals: 1}}\n"
    assert [e.code for e in outcome(edit(learned, "Filters:\n", filters), folder, plugin)[18].errors] == ["unknown-field-name"]


def test_what_the_compiler_finds_fails_the_check_it_belongs_to(base: str, folder: Path, plugin: Plugin) -> None:
    static = list(outcome(base, folder, plugin).values())
    assert [r.number for r in complete(static, [], planned=True) if r.status != "pass"] == []
    assert [(r.number, r.status) for r in complete(static, [], planned=False) if r.status != "pass"] == [(108, "skip"), (112, "skip")]
    for code, number in {**BELONGS_TO, "code-of-a-plugin": 112}.items():
        error = RecipeError("x", code=code, at="r.yaml:1:1")
        results = {r.number: r for r in complete(static, [error], planned=False)}
        assert [(n, r.errors) for n, r in results.items() if r.status == "fail"] == [(number, (error,))]


def test_every_code_of_the_compiler_has_its_check() -> None:
    """Codes that are raised once files are listed belong to none."""
    package = Path(planning.__file__).parent
    calls = [n for file in sorted(package.glob("*.py")) for n in ast.walk(ast.parse(file.read_bytes())) if isinstance(n, ast.Call)]
    codes = {k.value.value for call in calls for k in call.keywords if k.arg == "code" and isinstance(k.value, ast.Constant)}
    assert codes - {"group-missing", "two-tags", "too-many-bad-records"} == set(BELONGS_TO)


def test_an_exception_inside_a_check_is_a_bug(base: str, folder: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(context: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("refinery_beam.recipe.checks.CHECKS", ((1, "x", broken),))
    with pytest.raises(ZeroDivisionError):
        outcome(base, folder, plugin)
