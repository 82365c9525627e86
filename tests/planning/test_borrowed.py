"""Statistics of another instance, and featurizations that are fitted."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.planning.borrowed import channel_problem, own_params
from refinery_beam.planning.build import build_plan
from refinery_beam.planning.nodes import Borrowed
from refinery_beam.plugins.base import ArrayType
from refinery_beam.plugins.image_classification import PLUGIN
from support.plans import plan_of, recipe_of, refused
from support.recipes import SMALL

SOMEWHERE = {"recipe_hash": "ab" * 32, "input_hash": "cd" * 32, "seed": 0, "op_id": "theirs"}
BORROWING: dict[str, Any] = {
    "name": "normalize",
    "op": "normalize",
    "params": {"stats_from_instance": {"recipe": "other.yaml", "op_id": "theirs"}},
    "splits": ["train", "test"],
}
STEPS = [*SMALL["Transformations"], BORROWING]
CODE: dict[str, Any] = {
    "name": "code",
    "op": "categorical_encode",
    "inputs": ["label"],
    "output_field": "code",
    "fit_source": "train",
    "splits": ["train", "test"],
}
CODED = {"code": "{dtype: int64}"}


def borrowing(statistics: dict[str, Any]) -> Any:
    found = {"normalize": Borrowed(statistics=statistics, origin=SOMEWHERE)}
    return build_plan(recipe_of(transformations=STEPS), PLUGIN, borrowed=found)


def test_what_is_borrowed_is_pinned_with_its_origin() -> None:
    statistics = {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
    (step,) = borrowing(statistics).fitted_steps()
    assert (step.pinned, step.origin, step.needs_fit) == (statistics, SOMEWHERE, False)
    assert "stats_from_instance" not in step.params
    assert borrowing(statistics).borrowed() == {"normalize": SOMEWHERE}
    assert borrowing(statistics).fits == ()


def test_a_plan_for_checking_has_none_of_the_values() -> None:
    (step,) = plan_of(transformations=STEPS).fitted_steps()
    assert (step.pinned, step.origin) == ({}, None)


def test_own_params() -> None:
    assert own_params({"a": 1, "stats_from_instance": {}, "b": None}) == {"a": 1, "b": None}


@pytest.mark.parametrize(
    ("statistics", "shape", "problem"),
    [
        ({"mean": [1.0, 2.0, 3.0]}, (8, 8, 3), None),
        ({"mean": [1.0]}, (8, 8, 3), None),
        ({"mean": [1.0, 2.0, 3.0]}, (8, 8, 4), (3, 4)),
        ({"mean": [1.0, 2.0, 3.0]}, (8, 8), (3, 1)),
        ({"mean": [1.0], "std": [1.0, 2.0]}, (8, 8, 3), (2, 3)),
        ({"mean": [1.0, 2.0, 3.0]}, (None, None, None), None),
        ({"mean": 1.0}, (8, 8, 3), None),
        ({"vocabulary": ["a", "b"]}, (8, 8, 3), None),
        ({"mean": [1.0, 2.0]}, (), None),
        (None, (8, 8, 3), None),
    ],
)
def test_one_value_or_one_a_channel(statistics: Any, shape: tuple[int | None, ...], problem: tuple[int, int] | None) -> None:
    assert channel_problem(statistics, ArrayType("uint8", shape)) == problem


def test_statistics_of_other_channels_are_refused() -> None:
    with pytest.raises(Exception, match=r"imports statistics of 2 channels for images of 3") as caught:
        borrowing({"mean": [1.0, 2.0]})
    assert getattr(caught.value, "code", "") == "stats-import"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"inputs": ["image"]}, ("op-type", "categorical_encode")),
        ({"inputs": ["hash"]}, ("op-type", "hash")),
        ({"inputs": ["number"]}, ("op-type", "number")),
        ({"name": "resize"}, ("duplicate-name", "resize")),
        ({"fit_source": "val"}, ("fit-source", "val")),
        ({"fit_source": "test", "splits": ["train"]}, ("fit-source", "test")),
    ],
)
def test_a_featurization_is_fitted_on_what_is_known_early(changes: dict[str, Any], refusal: tuple[str, str]) -> None:
    hash_ = "{name: hash, op: perceptual_hash, inputs: [image], output_field: hash, splits: [train, test]}"
    number = {**CODE, "name": "number", "output_field": "number"}
    fields = {**CODED, "hash": "{dtype: str}", "number": "{dtype: int64}"}
    assert refusal in refused(featurizations=[hash_, number, {**CODE, **changes}], fields=fields)


def test_a_stated_vocabulary_needs_no_split() -> None:
    stated = {**CODE, "params": {"vocabulary": ["circle", "square"]}}
    del stated["fit_source"]
    (step,) = plan_of(featurizations=[stated], fields=CODED).fitted_fields()
    assert not step.needs_fit and step.pinned is not None and list(step.pinned["vocabulary"]) == ["circle", "square"]
