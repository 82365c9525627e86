"""Assertions of a plan: with every default filled in, and where they may speak of what."""

from __future__ import annotations

from typing import Any

import pytest

from refinery_beam.planning.contracts import COMPARED
from support.plans import plan_of, refused
from support.recipes import SMALL

NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
HALF = "{name: half, op: cast, params: {dtype: float16, scale: 1}, splits: [train, test]}"
LABELLED = "{field: label, assertion: {kind: required_field}}"


def test_both_sections_in_the_recipes_order() -> None:
    count = "{assertion: {kind: record_count_in_range, min: 3}, severity: warning}"
    plan = plan_of(contracts=[LABELLED, count], expectations=[count])
    assert [(c.name, c.field, c.kind, c.severity) for c in plan.contracts] == [
        ("InputContracts[0]", "label", "required_field", "error"),
        ("InputContracts[1]", None, "record_count_in_range", "warning"),
        ("OutputExpectations[0]", None, "record_count_in_range", "warning"),
    ]
    assert plan.contracts[1].params == {"min": 3}
    assert plan.contracts[1].identity() == ["InputContracts", None, "record_count_in_range", 1, {"min": 3}, "warning"]
    assert all(c.at.startswith("r.yaml:") for c in plan.contracts)


def test_where_it_stands_is_no_part_of_what_it_is() -> None:
    one, other = plan_of(expectations=[LABELLED]), plan_of(contracts=[], expectations=[LABELLED])
    assert one.contracts[0].at != other.contracts[0].at
    assert one.contracts[0].identity() == other.contracts[0].identity()


@pytest.mark.parametrize(("field", "decides"), [("image", True), ("label", False)])
def test_which_need_content(field: str, decides: bool) -> None:
    plan = plan_of(expectations=[f"{{field: {field}, assertion: {{kind: required_field}}}}"])
    assert plan.contracts[0].on_content is decides and plan.shows_content is decides


def test_another_instance_is_known_by_its_key_not_by_its_location() -> None:
    named: dict[str, Any] = {"instance": "/somewhere/else", "split": "train"}
    compared = {"kind": "distributional", "reference": named, "distance": "ks", "max": 0.1}
    (step,) = plan_of(expectations=[{"field": "label", "assertion": compared}]).contracts
    assert step.compares and step.params["reference"]["instance"] == COMPARED and "/somewhere" not in repr(step.identity())
    stated = {**compared, "distance": "l_infinity", "reference": {"fractions": {"circle": 1.0}}}
    (step,) = plan_of(expectations=[{"field": "label", "assertion": stated}]).contracts
    assert not step.compares


def test_input_contracts_speak_of_what_comes_in() -> None:
    size = "{name: size, op: image_size_stats, inputs: [image], output_field: size, splits: [train, test]}"
    code = "{name: code, op: categorical_encode, inputs: [label], output_field: code, fit_source: train, splits: [train, test]}"
    fields = {"size": "{dtype: int64, shape: [3]}", "code": "{dtype: int64}"}
    made: dict[str, Any] = {"featurizations": [size, code], "fields": fields}
    late = "{field: size, assertion: {kind: required_field}}"
    assert refused(contracts=[LABELLED, late], **made) == [("unknown-field-name", "size")]
    assert len(plan_of(expectations=[late], contracts=[LABELLED.replace("label", "code")], **made).contracts) == 2


@pytest.mark.parametrize(
    ("steps", "dtype", "kind", "code"),
    [
        ([NORMALIZE], "uint8", "distributional", None),
        ([NORMALIZE], "uint8", "value_range", None),
        ([NORMALIZE], "float32", "value_range", None),
        ([NORMALIZE], "float32", "distributional", "assertion-field"),
        ([NORMALIZE, HALF], "float32", "value_range", "not-executed-yet"),
    ],
)
def test_values_are_counted_by_their_bytes(steps: list[str], dtype: str, kind: str, code: str | None) -> None:
    """What readers make of stored bytes is derived from how often each occurs; other stored values are looked at as they are."""
    words = {"value_range": {"max": 1}, "distributional": {"reference": {"edges": [0, 1], "fractions": [1.0]}, "distance": "ks", "max": 1}}
    contract = {"field": "image", "assertion": {"kind": kind, **words[kind]}}
    parts: dict[str, Any] = {"transformations": [*SMALL["Transformations"], *steps], "fields": {"image": {"dtype": dtype}}}
    if code is None:
        assert plan_of(expectations=[contract], **parts).contracts[0].on_content
    else:
        assert refused(expectations=[contract], **parts) == [(code, kind)]
