"""The language of --where: what it means, against Python on the same rows; what it refuses, and in which words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.errors import UsageError
from refinery_beam.inspection.where import DEEPEST, MOST_CHARACTERS, Column, parse_condition

COLUMNS = {
    "width": Column("number"),
    "height": Column("number"),
    "sharpness": Column("number", scale=100),
    "score": Column("number", exact=False),
    "label": Column("text"),
    "odd name": Column("text"),
    "flag": Column("truth"),
}
TABLE = pa.table(
    {
        "width": pa.array([10, 20, None, 40], pa.int32()),
        "height": pa.array([40, 20, 10, 10], pa.int32()),
        "sharpness": pa.array([1050, 1049, 1051, -5], pa.int64()),
        "score": pa.array([0.5, 1.5, None, -2.0], pa.float32()),
        "label": pa.array(["cat", "it's", None, "dog"]).dictionary_encode(),
        "odd name": pa.array(["a", "b", "c", "d"]),
        "flag": pa.array([True, False, None, True]),
    }
)


def rows(text: str) -> list[int]:
    mask = parse_condition(text, COLUMNS).mask(TABLE)
    return [k for k, holds in enumerate(mask.to_pylist()) if holds]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("width < 20", [0]),
        ("20 > width", [0]),
        ("width<=20 AND height>=20", [0, 1]),
        ("width > height", [3]),
        ("width = height", [1]),
        ("width != 20", [0, 3]),
        ("not width = 20", [0, 3]),
        ("width is null", [2]),
        ("width is not null", [0, 1, 3]),
        ("sharpness < 10.5", [1, 3]),
        ("sharpness <= 10.50", [0, 1, 3]),
        ("sharpness = 10.5", [0]),
        ("sharpness = 10.505", []),
        ("sharpness != 10.505", [0, 1, 2, 3]),
        ("sharpness > 10.495", [0, 2]),
        ("sharpness < -0.04", [3]),
        ("score >= 5e-1", [0, 1]),
        ("width < 1e300", [0, 1, 3]),
        ("label = 'it''s'", [1]),
        ('label = "it\'s"', [1]),
        ("label in ('cat', 'dog')", [0, 3]),
        ("label not in ('cat')", [1, 3]),
        ("label contains 'a' or label startswith 'd'", [0, 3]),
        ("label not endswith 'g'", [0, 1]),
        ("flag = true or (flag = false and not (width < 20))", [0, 1, 3]),
        ("`odd name` = 'c'", [2]),
        ("width < 20 or width is null and height = 10", [0, 2]),
    ],
)
def test_what_it_means(text: str, expected: list[int]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "where-syntax", "at character 1: a column is missing"),
        ("width <", "where-syntax", "at character 8: a column is missing"),
        ("widht < 3", "where-column", "there is no column 'widht'"),
        ("label = cat", "where-column", "there is no column 'cat'"),
        ("width < '3'", "where-type", "width is a number: write it without quotes"),
        ("label < 3", "where-type", "label is text: write '3' in quotes"),
        ("flag = 1", "where-type", "flag is true or false"),
        ("width = label", "where-type", "width and label are not of one kind and scale"),
        ("width = sharpness", "where-type", "not of one kind and scale"),
        ("label contains 3", "where-syntax", "after contains stands a text in quotes"),
        ("width contains '3'", "where-type", "width is a number"),
        ("label = 'cat", "where-syntax", "a text is not closed by its quote"),
        ("width < 3 height < 4", "where-syntax", "join conditions with and, or"),
        ("(width < 3", "where-syntax", "a ) is missing"),
        ("width in 3", "where-syntax", "a list in parentheses"),
        ("width in (3 4)", "where-syntax", "parted by commas"),
        ("3 < 4", "where-syntax", "one side of a comparison is a column"),
        ("width is 3", "where-syntax", "after is stands null, or not null"),
        ("width not 3", "where-syntax", "after not stands in, contains"),
        ("__import__('os').system('x')", "where-syntax", ". has no meaning"),
        ("width < 3; drop", "where-syntax", "; has no meaning"),
        ("width < 3\x1b[31m", "where-syntax", "\\x1b has no meaning"),
        ("width < 3abc", "where-syntax", "has no meaning"),
        ("(" * (DEEPEST + 1) + "width < 3" + ")" * (DEEPEST + 1), "where-syntax", f"more than {DEEPEST} deep"),
        ("width < 3 or " * 400 + "width < 3", "where-syntax", f"longer than {MOST_CHARACTERS:,}"),
    ],
)
def test_what_it_refuses(text: str, code: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_condition(text, COLUMNS)
    error = caught.value
    assert (error.code, error.at, error.exit_code) == (code, "--where", 2)
    assert says in error.message and error.rule and error.remedy, error.message


def test_an_unknown_column_names_the_closest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        parse_condition("widht < 3", COLUMNS)
    assert caught.value.remedy.startswith("did you mean 'width'?") and "sharpness" in caught.value.rule


NUMBERS = st.integers(-2000, 2000)
TEXTS = st.sampled_from(["width {} {}", "sharpness {} {}"])


@given(
    st.lists(st.none() | NUMBERS, min_size=1, max_size=8),
    st.sampled_from(["<", "<=", "=", "!=", ">", ">="]),
    st.integers(-30_000, 30_000).map(lambda n: Decimal(n) / 1000),
)
def test_scaled_comparisons_are_exact(values: list[int | None], sign: str, bound: Any) -> None:
    """As fractions compare, which no rounding touches."""
    from fractions import Fraction

    table = pa.table({"sharpness": pa.array(values, pa.int64())})
    compare = {"<": "__lt__", "<=": "__le__", "=": "__eq__", "!=": "__ne__", ">": "__gt__", ">=": "__ge__"}[sign]
    expected = [None if v is None else getattr(Fraction(v, 100), compare)(Fraction(bound)) for v in values]
    found = parse_condition(f"sharpness {sign} {bound}", COLUMNS).mask(table).to_pylist()
    assert found == expected


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from([*COLUMNS, "and", "or", "not", "in", "(", ")", ",", "<", "=", "1", "'a'", "is", "null"])).map(" ".join)
)
def test_whatever_is_written_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        parse_condition(text, COLUMNS).mask(TABLE)
    except UsageError as error:
        assert error.code in ("where-syntax", "where-column", "where-type") and error.render()
