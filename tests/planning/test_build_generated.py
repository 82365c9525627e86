"""Generation and augmentation of a plan, and what they mean for types."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.identity import derive_seed
from refinery_beam.planning.build_generated import augmented, retyped, step_versions
from refinery_beam.plugins.base import ArrayType, OpTypeError
from refinery_beam.plugins.image_classification import PLUGIN
from support.plans import plan_of, refused
from support.recipes import SMALL, more

RESIZE = SMALL["Transformations"][0]
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
BALANCE = "{name: even, op: duplicate_minority_class, seed: 5, output_schema: matches_input, splits: [train, train]}"
FOG: dict[str, Any] = {
    "name": "fog",
    "op": "imagecorruptions_apply",
    "inputs": ["image"],
    "output_schema": "matches_input",
    "seed": {"from": "master"},
    "splits": ["test"],
    "replace_input_records": True,
    "params": {"corruption_types": ["fog"], "severities": [2], "tag_fields": {"kind": "corruption"}},
}
FLIP = "{name: flip, op: horizontal_flip, splits: [train]}"
ERASE = "{name: erase, op: random_erasing, seed: 4, splits: [train]}"
CROP = "{name: crop, op: random_crop, params: {size: 12}, splits: [train], materialization: aggressive, expansion: 2, seed: 4}"
KIND = {"kind": "{dtype: str}"}
TWELVE = [RESIZE, "{name: cut, op: center_crop, params: {size: 12}, splits: [test]}"]


def test_generation_in_the_recipes_order() -> None:
    plan = plan_of(seed=7, generation=[BALANCE, FOG], fields=KIND)
    assert [(g.name, g.kind, g.splits, g.replace, g.fields) for g in plan.generation] == [
        ("even", "balance", ("train",), False, ()),
        ("fog", "variants", ("test",), True, (("corruption", "kind"),)),
    ]  # fmt: skip
    assert [g.seed for g in plan.generation] == [5, derive_seed(7, "fog")]
    assert plan.generation[1].params["severities"] == [2]
    assert step_versions(plan.generation, plan.augmentations) == {"duplicate_minority_class": 1, "imagecorruptions_apply": 2}


def test_augmentations_in_the_recipes_order() -> None:
    plan = plan_of(augmentations=[CROP, FLIP], transformations=TWELVE, fields={"image": {"shape": [12, 12, 3]}})
    assert [(a.name, a.materialization, a.expansion, a.splits, a.seed) for a in plan.augmentations] == [
        ("crop", "aggressive", 2, ("train",), 4),
        ("flip", "lazy", 1, ("train",), 0),
    ]
    assert plan.augmentations[1].params == {"p": 0.5}
    assert plan.generated_fields == ("source_record_id", "augmentation")
    assert plan_of(augmentations=[FLIP]).generated_fields == (), "a policy of readers makes no records"


def test_types_behind_augmentations() -> None:
    steps = plan_of(augmentations=[CROP, FLIP], transformations=TWELVE, fields={"image": {"shape": [12, 12, 3]}}).augmentations
    before = ArrayType("uint8", (16, 16, 3))
    assert augmented(PLUGIN, steps, "train", before) == ArrayType("uint8", (12, 12, 3))
    assert augmented(PLUGIN, steps, "train", before, lazy=True) == before
    assert augmented(PLUGIN, steps, "test", before) == before
    with pytest.raises(OpTypeError, match=r"augmentation 'crop': "):
        augmented(PLUGIN, steps, "train", ArrayType("uint8", (8, 8, 3)))


def test_a_tail_is_told_of_the_shape_that_augmentations_leave() -> None:
    parts: dict[str, Any] = {"transformations": [*TWELVE, NORMALIZE], "fields": {"image": {"shape": [12, 12, 3]}}}
    plan = plan_of(augmentations=[CROP], **parts)
    (normalize,) = plan.chains["train"].deferred
    assert (normalize.before, normalize.out) == (ArrayType("uint8", (12, 12, 3)), ArrayType("float32", (12, 12, 3)))
    assert {c.stored for c in plan.chains.values()} == {ArrayType("uint8", (12, 12, 3))}
    (again,) = retyped(PLUGIN, [normalize], ArrayType("uint8", (5, 5, 3)))
    assert (again.before.shape, again.out) == ((5, 5, 3), ArrayType("float32", (5, 5, 3)))


@pytest.mark.parametrize(
    ("parts", "refusal"),
    [
        ({"generation": [FOG], "fields": {"image": None, **KIND}}, ("output-options", "fog")),
        ({"augmentations": [FLIP], "fields": {"image": None}}, ("output-options", "flip")),
        ({"augmentations": [CROP], "fields": {"image": {"shape": None}}, "transformations": None, "output": {"encoding": "source"}},
         ("output-options", "source")),
        ({"generation": [FOG], "fields": {"image": {"shape": None}, **KIND}, "transformations": None, "output": {"encoding": "source"}},
         ("output-options", "source")),
        ({"augmentations": [more(CROP, params={"size": 17})]}, ("op-type", "train")),
        ({"augmentations": [ERASE], "fields": {"image": {"dtype": "float32"}}, "transformations": [RESIZE, NORMALIZE]},
         ("op-type", "train")),
        ({"augmentations": [CROP]}, ("schema-reachable", "uint8[16, 16, 3]")),
    ],
)  # fmt: skip
def test_what_cannot_be_kept(parts: dict[str, Any], refusal: tuple[str, str]) -> None:
    assert refusal in refused(**parts)


def test_what_a_policy_of_readers_changes_is_not_stored() -> None:
    """The untouched files may be stored under it, and balancing makes no pixels."""
    source: dict[str, Any] = {"fields": {"image": {"shape": None}}, "transformations": None, "output": {"encoding": "source"}}
    assert plan_of(augmentations=[FLIP], generation=[BALANCE], **source).output.encoding == "source"
    assert plan_of(generation=[BALANCE], fields={"image": None}).generation[0].name == "even"
