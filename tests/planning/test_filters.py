"""What filters derive from their parameters, and when tags decide about splits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from refinery_beam.errors import RecipeError
from refinery_beam.planning.filters import filter_facts, near_rule, split_tags, tags_schema
from refinery_beam.plugins.base import FilterOp
from refinery_beam.plugins.image_classification import PLUGIN
from support.plans import plan_of, recipe_of


@pytest.mark.parametrize(
    ("op", "params", "facts"),
    [
        ("sample_per_class", {"n_per_class": 3}, {"tag": "", "excluded": ()}),
        ("sample_per_class", {"n_per_class": 3, "label": "a"}, {"tag": "a", "excluded": ()}),
        ("sample_per_class", {"n_per_class": 3, "label": "b", "exclude_already_labeled": ["a"]}, {"tag": "b", "excluded": ("a",)}),
        ("drop_duplicates", {}, {"distance": None}),
        ("drop_duplicates", {"kind": "near"}, {"distance": 4}),
        ("drop_duplicates", {"kind": "near", "distance": 2}, {"distance": 2}),
        ("random_sample", {"n": 3}, {}),
    ],
)
def test_facts(op: str, params: dict[str, Any], facts: dict[str, Any]) -> None:
    found = PLUGIN.op(op)
    assert isinstance(found, FilterOp)
    assert filter_facts(found, params) == facts


@pytest.mark.parametrize(
    ("step", "header", "pixels"),
    [
        ("{name: f, op: image_size, params: {min_width: 2}}", True, False),
        ("{name: f, op: fact_range, params: {fact: sharpness, min: 2.5}}", True, True),
        ("{name: f, op: drop_duplicates, params: {kind: near}}", True, True),
        ("{name: f, op: drop_duplicates}", False, False),
        ("{name: f, op: random_sample, params: {n: 2}}", False, False),
    ],
)
def test_which_filters_read_files(step: str, header: bool, pixels: bool) -> None:
    plan = plan_of(filters=[step], transformations=None, fields={"image": None})
    assert (plan.pre_filters[0].needs_header, plan.pre_filters[0].needs_pixels, plan.selects_by_files) == (header, pixels, header)
    assert not plan.decodes


def test_near_duplicates_need_an_op_with_a_signature() -> None:
    assert near_rule(PLUGIN) == ("drop_duplicates", 4)
    without = {name: op for name, op in PLUGIN.ops.items() if name != "drop_duplicates"}
    with pytest.raises(RecipeError, match="knows no near duplicates") as caught:
        near_rule(replace(PLUGIN, ops=without))
    assert (caught.value.code, caught.value.value) == ("not-executed-yet", "near")


TAGGING = "{name: a, op: sample_per_class, params: {n_per_class: 3, label: main}}"


def tags(*filters: str, applies_to: str = "main", partitions: tuple[str, ...] = (), **parts: Any) -> list[str]:
    splits = {"ratios": {"train": 1.0}, "applies_to": applies_to}
    return split_tags(recipe_of(filters=list(filters), splits=splits, **parts), partitions)


def test_tags_decide_where_the_ratios_are_about_one_of_them() -> None:
    again = "{name: b, op: sample_per_class, params: {n_per_class: 3, label: main}}"
    other = "{name: c, op: sample_per_class, params: {n_per_class: 3, label: probe}}"
    assert tags(TAGGING, other, again) == ["main", "probe"]
    assert tags(TAGGING, applies_to="train") == []
    late = "{name: c, op: sample_per_class, params: {n_per_class: 3, label: main}, stages: [post_split], splits: [train]}"
    assert tags(late) == [], "it is given when splits are made already"


def test_partitions_come_before_tags() -> None:
    assert tags(TAGGING, partitions=("main",)) == []
    assert tags(TAGGING, source={"partition": "main"}) == []
    assert tags(TAGGING, source={"layout": "{split}/{label}/{file}"}) == []


@pytest.mark.parametrize(
    ("declared", "right"),
    [
        ("{dtype: str, shape: [null]}", True),
        ("{dtype: str}", False),
        ("{dtype: str, shape: [2]}", False),
        ("{dtype: int64, shape: [null]}", False),
    ],
)
def test_tags_are_a_list_of_text(declared: str, right: bool) -> None:
    assert (tags_schema(recipe_of(fields={"sample_per_class_tags": declared})) == []) == right
    assert tags_schema(recipe_of()) == []
