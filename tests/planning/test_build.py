"""From a recipe to its plan: splits, filters, featurizations, versions; and everything that is wrong, at once."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.identity import derive_seed
from refinery_beam.plugins.base import FieldType
from support.plans import plan_of, refused
from support.recipes import SMALL

SOURCES = [{"name": name, "type": "image_folder", "path": f"/{name}", "partition": name} for name in ("train", "test")]
RESIZE = SMALL["Transformations"][0]


def test_ratios_divide_everything() -> None:
    split = plan_of(splits={"ratios": {"b": 0.25, "a": 0.75}, "seed": 3, "stratify_by": "label"}, transformations=None).split
    assert (split.mode, split.splits, split.ratios) == ("ratios", ("b", "a"), (("b", 0.25), ("a", 0.75)))
    assert (split.seed, split.stratify_by, split.method, split.keep_duplicates_together) == (3, "label", "exact", True)


def test_ratios_of_one_partition_leave_the_others() -> None:
    splits = {"ratios": {"fit": 0.8, "val": 0.2}, "applies_to": "train"}
    split = plan_of(input={"sources": SOURCES}, splits=splits, transformations=None).split
    assert (split.mode, split.splits, split.applies_to, split.tag) == ("ratios", ("fit", "val", "test"), "train", None)


def test_partitions_are_splits_in_the_order_of_the_sources_then_of_the_listing() -> None:
    split = plan_of(input={"sources": SOURCES}, splits={}, partitions=["extra", "test"], transformations=None).split
    assert (split.mode, split.splits, split.ratios) == ("partition", ("train", "test", "extra"), ())


def test_a_field_decides() -> None:
    rule = {"key_assignment": {"field": "label", "mapping": {"circle": "train", "square": "test", "triangle": "train"}}}
    split = plan_of(splits=rule, transformations=None).split
    assert (split.mode, split.splits, split.key_field) == ("key", ("train", "test"), "label")
    assert split.mapping == {"circle": "train", "square": "test", "triangle": "train"}


def test_a_tag_decides_and_the_other_tags_are_splits() -> None:
    tags = ["{name: a, op: sample_per_class, params: {n_per_class: 3, label: main}}"]
    tags += ["{name: b, op: sample_per_class, params: {n_per_class: 3, label: probe, exclude_already_labeled: [main]}}"]
    splits = {"ratios": {"train": 0.5, "val": 0.5}, "applies_to": "main"}
    split = plan_of(filters=tags, splits=splits, transformations=None).split
    assert (split.mode, split.splits, split.tag, split.applies_to) == ("ratios", ("train", "val", "probe"), "main", None)


@pytest.mark.parametrize(
    ("written", "kept", "near"),
    [({}, True, None), ({"keep_duplicates_together": False}, False, None), ({"keep_duplicates_together": "near"}, True, 4)],
)
def test_what_keeps_duplicates_together(written: dict[str, Any], kept: bool, near: int | None) -> None:
    plan = plan_of(splits={"ratios": {"train": 1.0}, **written}, transformations=None)
    assert (plan.split.keep_duplicates_together, plan.split.near_distance) == (kept, near)
    assert plan.split.near_op == ("drop_duplicates" if near else "")
    assert ("drop_duplicates" in plan.op_versions) == bool(near), "what decides about records is in the key"


def test_seeds_are_their_own_or_the_masters() -> None:
    samples = [f"{{name: {name}, op: random_sample, params: {{n: 5}}, seed: {seed}}}" for name, seed in (("x", 9), ("y", "{from: master}"))]
    plan = plan_of(seed=7, filters=[*samples, "{name: z, op: random_sample, params: {n: 5}}"])
    assert [f.seed for f in plan.pre_filters] == [9, derive_seed(7, "y"), 7]
    assert (plan.seed, plan.split.seed) == (7, 3)


def test_a_filter_of_two_stages_is_two_steps() -> None:
    both = "{name: few, op: filter_by_label, params: {labels: [circle]}, stages: [pre_split, post_split], splits: [test]}"
    plan = plan_of(filters=[both])
    assert [(f.name, f.splits) for f in plan.pre_filters] == [("few", ())]
    assert [(f.name, f.splits) for f in plan.post_filters] == [("few", ("test",))]
    assert plan.pre_filters[0].params == plan.post_filters[0].params == {"labels": ["circle"], "action": "include"}


def test_featurizations_know_their_types_and_splits() -> None:
    steps = [
        "{name: hash, op: perceptual_hash, inputs: [image], output_field: hash, splits: [train, test]}",
        "{name: flat, op: flatten, inputs: [image], output_field: flat, splits: [train]}",
        "{name: code, op: categorical_encode, inputs: [label], output_field: code, fit_source: train, splits: [train, test]}",
    ]
    plan = plan_of(featurizations=steps, fields={"hash": {"dtype": "str"}, "code": {"dtype": "int64"}})
    assert [(f.field, f.type, f.needs_pixels, f.splits) for f in plan.fields] == [
        ("hash", FieldType("str"), True, ("train", "test")),
        ("flat", FieldType("uint8", (768,)), True, ("train",)),
        ("code", FieldType("int64"), False, ("train", "test")),
    ]
    assert [(f.fitted, f.fit_source, f.needs_fit) for f in plan.fields] == [(False, None, False)] * 2 + [(True, "train", True)]


def test_the_label_is_no_field_of_its_own() -> None:
    """Its featurization is done with the index, before splits are made."""
    label = "{name: label, op: label_from_path, inputs: [path], output_field: label, params: {source: parent_dir}, splits: [train, test]}"
    plan = plan_of(labels="{field: label, source: {kind: derived}}", featurizations=[label])
    assert plan.fields == () and "label_from_path" not in plan.op_versions


def test_versions_of_all_that_decides_are_listed() -> None:
    plan = plan_of(
        filters=["{name: wide, op: image_size, params: {min_width: 3}}"],
        generation=["{name: twice, op: duplicate_minority_class, seed: 1, output_schema: matches_input, splits: [train]}"],
        augmentations=["{name: flip, op: horizontal_flip, splits: [train]}"],
        contracts=["{field: label, assertion: {kind: required_field}}"],
    )
    names = ["assertion:required_field", "duplicate_minority_class", "horizontal_flip", "image_size", "resize"]
    assert list(plan.op_versions.items()) == [*((name, 1) for name in names), ("splits:exact", 2)]
    assert list(plan_of(splits={"ratios": {"train": 0.5, "test": 0.5}, "method": "hash"}).op_versions) == ["resize"]


def test_a_plan_says_where_the_files_are_and_what_bad_ones_do() -> None:
    plan = plan_of(input={"on_error": "quarantine", "max_bad_fraction": 0.1})
    assert [(s.name, s.root, s.loader) for s in plan.sources] == [("photos", "/photos", "")]
    assert (plan.on_error, plan.max_bad_fraction, plan.content, plan.label_field) == ("quarantine", 0.1, "image", "label")
    held = [*SOURCES, {"name": "blind", "type": "image_flat", "path": "/blind", "partition": "blind", "unlabeled": True}]
    assert plan_of(input={"sources": held}, splits={}, transformations=None).unlabeled == ("blind",)


def test_all_that_is_wrong_is_told_at_once() -> None:
    crop = "{name: crop, op: center_crop, params: {size: 99}, splits: [train, test]}"
    late = "{name: code, op: categorical_encode, inputs: [image], output_field: code, fit_source: train, splits: [train, test]}"
    unkept = "{name: flip, op: horizontal_flip, splits: [train]}"
    found = refused(transformations=[RESIZE, crop], featurizations=[late], augmentations=[unkept], fields={"image": None})
    assert [code for code, _ in found] == ["output-options", "op-type", "op-type"]
