"""The filter ops as functions: quotas, tags, fields, sizes, duplicates, and the parameters they refuse."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from refinery_beam.plugins.base import TAGS_FIELD, ClassSampleOp, DuplicatesOp, HeaderFilterOp
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.plugins.image_classification.ops.filters import NEAR_DISTANCE


def params(name: str, **given: Any) -> Any:
    return PLUGIN.ops[name].spec.params.model_validate(given)


def op(name: str) -> Any:
    return PLUGIN.ops[name]


def test_protocols() -> None:
    kinds = {n: o.kind for n, o in PLUGIN.ops.items() if o.spec.section == "Filters"}
    assert kinds == {
        "filter_by_label": "predicate",
        "random_sample": "sample",
        "sample_per_class": "sample_per_class",
        "sample_per_class_fractional": "sample_per_class",
        "drop_by_label": "predicate",
        "drop_duplicates": "duplicates",
        "image_size": "header",
        "fact_range": "measured",
        "filter_by_field": "predicate",
    }
    assert isinstance(op("sample_per_class_fractional"), ClassSampleOp)
    assert isinstance(op("image_size"), HeaderFilterOp) and isinstance(op("drop_duplicates"), DuplicatesOp)


@given(base=st.integers(1, 10**6), percent=st.integers(0, 100), records=st.integers(0, 10**6))
def test_fractions_are_exact(base: int, percent: int, records: int) -> None:
    given = params(
        "sample_per_class_fractional", n_per_class_base=base, fractions={"a": float(f"0.{percent:02d}") if percent < 100 else 1.0}
    )
    assert op("sample_per_class_fractional").class_quota("a", records, given) == min(base * percent // 100, records)


def test_fraction_keys_are_text() -> None:
    given = params("sample_per_class_fractional", n_per_class_base=100, fractions={0: 0.57, "1": 1.0})
    assert given.fractions == {"0": 0.57, "1": 1.0}
    assert op("sample_per_class_fractional").class_quota("0", 1000, given) == 57
    # As doubles, 100 * 0.57 is 56.99999999999999.
    assert int(100 * 0.57) == 56 and Fraction("0.57") * 100 == 57


def test_tags() -> None:
    given = params("sample_per_class", n_per_class=2, label="probe", exclude_already_labeled=["main"])
    assert (op("sample_per_class").tag(given), list(op("sample_per_class").excluded(given))) == ("probe", ["main"])
    assert op("sample_per_class").tag(params("sample_per_class", n_per_class=2)) == ""
    keep = op("drop_by_label").keep
    drop = params("drop_by_label", labels=["probe", "x"])
    assert [keep("probe", {TAGS_FIELD: tags}, drop) for tags in ([], ["probe"], ["y", "x"], ["y"])] == [True, False, False, True]
    assert keep("probe", {}, drop)


VALUES = [None, "a", "1", "1.0", "01", 1, 1.0, True, "true", "nan", "", "1e400", "2"]


@pytest.mark.parametrize(
    ("rule", "stays"),
    [
        ({"equals": "a"}, ["a"]),
        ({"equals": "1"}, ["1", 1, 1.0]),
        ({"equals": 1}, ["1", "1.0", "01", 1, 1.0]),
        ({"equals": True}, [True, "true"]),
        ({"in": ["a", 2]}, ["a", "2"]),
        ({"not_in": ["a", 1, True]}, [None, "nan", "", "1e400", "2"]),
        ({"min": 1.5}, ["1e400", "2"]),
        ({"min": 1, "max": 1}, ["1", "1.0", "01", 1, 1.0]),
        ({"max": 0}, []),
    ],
)
def test_filter_by_field(rule: dict[str, Any], stays: list[Any]) -> None:
    given = params("filter_by_field", field="f", **rule)
    assert [v for v in VALUES if op("filter_by_field").keep(None, {"f": v}, given)] == stays


def test_numbers_compare_as_they_are_written() -> None:
    given = params("filter_by_field", field="f", equals=0.1)
    assert op("filter_by_field").keep(None, {"f": "0.10"}, given) and op("filter_by_field").keep(None, {"f": 0.1}, given)
    huge = {"f": "1e999999999"}
    assert not op("filter_by_field").keep(None, huge, params("filter_by_field", field="f", min=0))


@pytest.mark.parametrize(
    ("rule", "size", "why"),
    [
        ({"min_width": 10}, (9, 50), "width 9 is below min_width 10"),
        ({"min_height": 10}, (50, 9), "height 9 is below min_height 10"),
        ({"max_width": 10}, (11, 5), "width 11 is above max_width 10"),
        ({"max_height": 10}, (5, 11), "height 11 is above max_height 10"),
        ({"max_aspect": 1.1}, (11, 10), ""),
        ({"max_aspect": 1.1}, (10, 11), ""),
        ({"max_aspect": 1.1}, (1000, 1101), "1000 x 1101 is above max_aspect 1.1"),
        ({"min_width": 5, "max_width": 5, "min_height": 3, "max_height": 3}, (5, 3), ""),
    ],
)
def test_image_size(rule: dict[str, Any], size: tuple[int, int], why: str) -> None:
    assert op("image_size").refusal(dict(zip(("width", "height"), size, strict=True)), params("image_size", **rule)) == why


def test_distances() -> None:
    duplicates = op("drop_duplicates")
    assert duplicates.distance(params("drop_duplicates")) is None
    assert duplicates.distance(params("drop_duplicates", kind="near")) == NEAR_DISTANCE == 4
    assert duplicates.distance(params("drop_duplicates", kind="near", distance=0)) == 0
    assert params("drop_duplicates", kind="near") == params("drop_duplicates", kind="near", distance=4)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("sample_per_class", {}, "n_per_class"),
        ("sample_per_class", {"n_per_class": 0}, "greater than or equal to 1"),
        ("sample_per_class", {"n_per_class": "5"}, "integer"),
        ("sample_per_class", {"n_per_class": 5, "label": ""}, "at least 1"),
        ("sample_per_class_fractional", {"n_per_class_base": 5, "fractions": {"a": 1.5}}, "less than or equal to 1"),
        ("sample_per_class_fractional", {"n_per_class_base": 5, "fractions": {False: 1.0}}, "quote true, false, yes and no"),
        ("drop_by_label", {"labels": []}, "at least 1"),
        ("drop_duplicates", {"kind": "alike"}, "'exact' or 'near'"),
        ("drop_duplicates", {"distance": 3}, "distance belongs to kind: near"),
        ("drop_duplicates", {"kind": "near", "distance": 11}, "less than or equal to 10"),
        ("drop_duplicates", {"keep": "last"}, "first_key"),
        ("image_size", {}, "at least one of min_width"),
        ("image_size", {"min_width": 9, "max_width": 8}, "min_width 9 is above max_width 8"),
        ("image_size", {"max_aspect": 0.5}, "greater than or equal to 1"),
        ("filter_by_field", {"field": "a"}, "exactly one rule"),
        ("filter_by_field", {"field": "a", "equals": 1, "in": [1]}, "exactly one rule"),
        ("filter_by_field", {"field": "a", "in": []}, "at least 1"),
        ("filter_by_field", {"field": "a", "min": 2, "max": 1}, "min 2 is above max 1"),
        ("filter_by_field", {"field": "a", "min": "2"}, "valid"),
    ],
)
def test_parameters_that_are_refused(name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        params(name, **given)
