"""Differences of plain values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.inspection.values import ABSENT, value_changes

LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "a", "1"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert list(value_changes({"x": value}, {"x": value})) == []


@given(VALUES, VALUES)
def test_what_differs_is_named_and_the_other_way_round_too(a: Any, b: Any) -> None:
    there, back = list(value_changes({"x": a}, {"x": b})), list(value_changes({"x": b}, {"x": a}))
    assert sorted((c.at, repr(c.a), repr(c.b)) for c in there) == sorted((c.at, repr(c.b), repr(c.a)) for c in back)
    assert bool(there) is (_typed(a) != _typed(b))


def _typed(value: Any) -> Any:
    """Equal for values that are the same to a recipe: 1, 1.0 and true are three; the order of keys does not count."""
    if isinstance(value, dict):
        return ("map", tuple(sorted((k, _typed(v)) for k, v in value.items())) if value else ())
    if isinstance(value, list):
        return ("list", tuple(_typed(v) for v in value))
    return (type(value).__name__, repr(value))


@pytest.mark.parametrize(
    ("a", "b", "changes"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, [("b", ABSENT, 2)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a", [1, 2], [1, 3])]),
        (
            {"s": [{"name": "x", "p": 1}, {"name": "y"}]},
            {"s": [{"name": "y"}, {"name": "x", "p": 2}]},
            [("s.x.p", 1, 2), ("s (order)", ["x", "y"], ["y", "x"])],
        ),
        ({"s": []}, {"s": [{"name": "x"}]}, [("s.x", ABSENT, {"name": "x"})]),
        ({"s": [[1], {"a": 2}]}, {"s": [[1], {"a": 3}]}, [("s[1].a", 2, 3)]),
    ],
)
def test_where_it_stands(a: Any, b: Any, changes: list[tuple[str, Any, Any]]) -> None:
    assert [tuple(change) for change in value_changes(a, b)] == changes
