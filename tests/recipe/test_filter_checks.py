"""What checks say of filters, tags and tag-driven splits, with the real plugin: the code and the place of everything refused."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.planning.build import build_plan
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.recipe import load_recipe, refuse_unexecuted, run_checks

RECIPE = """\
schema_version: 3
plugin: image_classification
seed: 7
Input: {sources: [{name: photos, type: image_folder, path: .}]}
Output: {record_schema: {label: {dtype: str}}}
Labels: {field: label, source: {kind: direct}}
Filters:
  - {name: a, op: sample_per_class, params: {n_per_class: 3, label: main}}
  - {name: b, op: sample_per_class, params: {n_per_class: 3, label: probe, exclude_already_labeled: [main]}}
  - {name: c, op: drop_by_label, params: {labels: [probe]}, stages: [post_split], splits: [val]}
  - {name: d, op: filter_by_field, params: {field: path, not_in: [x]}}
Splits:
  ratios: {train: 0.5, val: 0.5}
  applies_to: main
"""
A, B, C, D = (f"name: {n}, op: " for n in "abcd")


def failures(text: str) -> list[tuple[str, str]]:
    recipe = load_recipe("r.yaml", text=text)
    found = [(e.code, e.at) for c in run_checks(recipe, PLUGIN) if c.status == "fail" for e in c.errors]
    assert found or refuse_unexecuted(recipe, PLUGIN) == []
    return found


def test_the_recipe_passes() -> None:
    assert failures(RECIPE) == []
    plan = build_plan(load_recipe("r.yaml", text=RECIPE), PLUGIN)
    assert (plan.split.splits, plan.split.tag, plan.split.applies_to) == (("train", "val", "probe"), "main", None)
    assert [(f.tag, f.excluded) for f in plan.pre_filters] == [("main", ()), ("probe", ("main",)), ("", ())]


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("[main]}}", "[§mian]}}", ["unknown-tag"]),
        ("labels: [probe]", "labels: [probe, §cat]", ["unknown-tag"]),
        ("label: main}", "label: main, exclude_already_labeled: [§probe]}", ["unknown-tag"]),
        ("field: path", "field: §year", ["unknown-field-name"]),
        ("not_in: [x]", "§not: [x]", ["unknown-field"]),
        ("params: {field: path, not_in: [x]}", "params: §{field: path}", ["bad-value"]),
        ("n_per_class: 3, label: probe", "n_per_class: §0, label: probe", ["bad-value"]),
        ("n_per_class: 3, label: probe", "n_per_class: §three, label: probe", ["bad-type"]),
        ("params: {n_per_class: 3, label: main}", "params: §{label: main}", ["missing-field"]),
        ("op: drop_by_label, params: {labels: [probe]}", "op: drop_duplicates, params: {distance: 2}", ["bad-value"]),
        ("op: drop_by_label, params: {labels: [probe]}", "op: drop_duplicates, params: {kind: near, distance: §11}", ["bad-value"]),
        ("op: drop_by_label, params: {labels: [probe]}", "op: image_size, params: {min_width: §-1}", ["bad-value"]),
        ("op: drop_by_label, params: {labels: [probe]}", "op: §drop_by_lable, params: {labels: [probe]}", ["unknown-op"]),
        ("splits: [val]", "splits: [§main]", ["unknown-split"]),
        ("applies_to: main", "applies_to: §mian", ["unknown-partition"]),
        ("train: 0.5, val", "train: 0.5, §probe", ["split-name-collision", "unknown-split"]),
        ("  ratios: {train: 0.5, val: 0.5}\n", "  key_assignment: {field: label, mapping: {a: val}}\n", ["applies-to-without-ratios"]),
        ("label: main}}", "label: ../main}}", ["unsafe-name"]),
    ],
)
def test_refused(old: str, new: str, codes: list[str], edit: Any, marked: Any) -> None:
    case = marked(edit(RECIPE, old, new))
    found = failures(case.text)
    assert set(codes) <= {code for code, _ in found}, found
    if case.at:
        assert (codes[0], case.at) in found


def test_a_tag_given_after_the_split_decides_none(edit: Any) -> None:
    text = edit(RECIPE, "label: main}}", "label: main}, stages: [post_split], splits: [val]}")
    assert ("unknown-partition", "r.yaml:14:15") in failures(text)


def test_tags_in_the_schema_are_a_list_of_text(edit: Any) -> None:
    for declared, fine in (("{dtype: str, shape: [null]}", True), ("{dtype: str}", False), ("{dtype: int64, shape: [null]}", False)):
        text = edit(RECIPE, "{label: {dtype: str}}", f"{{label: {{dtype: str}}, sample_per_class_tags: {declared}}}")
        recipe = load_recipe("r.yaml", text=text)
        if fine:
            assert [name for name, _ in build_plan(recipe, PLUGIN).output.fields] == ["label", "sample_per_class_tags"]
        else:
            with pytest.raises(Exception, match="sample_per_class_tags is declared as"):
                build_plan(recipe, PLUGIN)


def test_unlabeled_records_are_in_no_class(edit: Any) -> None:
    sources = "{name: photos, type: image_folder, path: ., partition: train}, "
    sources += "{name: t, type: image_flat, path: ., partition: test, unlabeled: true}"
    text = edit(RECIPE, "{name: photos, type: image_folder, path: .}", sources)
    text = edit(text, "applies_to: main", "applies_to: train")
    codes = [code for code, _ in failures(text)]
    assert codes.count("label-of-unlabeled") == 2


def test_identity_holds_tags_and_seeds_apart(edit: Any) -> None:
    from refinery_beam.recipe import canonical

    def form(text: str) -> Any:
        return canonical(load_recipe("r.yaml", text=text), PLUGIN)

    assert form(RECIPE) == form(edit(RECIPE, "n_per_class: 3, label: main", "label: main, exclude_already_labeled: [], n_per_class: 3"))
    assert form(RECIPE) != form(edit(RECIPE, "label: main}", "label: main, exclude_already_labeled: [x]}"))
    near = edit(RECIPE, "op: drop_by_label, params: {labels: [probe]}", "op: drop_duplicates, params: {kind: near}")
    assert (
        form(near) == form(edit(near, "kind: near", "kind: near, distance: 4")) != form(edit(near, "kind: near", "kind: near, distance: 5"))
    )
