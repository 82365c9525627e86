"""Moments: bytes that compare as numbers, times and text do, against Python's own order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.errors import DataError
from refinery_beam.planning.splits.order import LOCAL_TIME, NUMBER, TEXT, UTC_TIME, kind_of, moment, refuse_mixed

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30), timezones=ZONES)
WORDS = st.text(min_size=1).filter(lambda text: kind_of(text) == TEXT)


def at(value: object) -> bytes:
    return moment(value, at="s/a.png", field="day")


@given(one=DECIMALS, other=DECIMALS)
def test_numbers_are_ordered_exactly(one: Decimal, other: Decimal) -> None:
    assert (at(str(one)) < at(str(other))) == (one < other)
    assert (at(str(one)) == at(str(other))) == (one == other)


@given(number=st.integers(-(2**70), 2**70), other=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_and_their_text_are_one(number: int, other: float) -> None:
    assert at(number) == at(str(number)) == at(f"+{number}.0" if number >= 0 else f"{number}.0")
    assert at(other) == at(repr(other))


@given(one=TIMES, other=TIMES)
def test_times_with_a_zone_are_ordered_by_their_instant(one: datetime, other: datetime) -> None:
    assert (at(one.isoformat()) < at(other.isoformat())) == (one < other)
    assert at(one.isoformat()) == at(one.astimezone(UTC).isoformat())


@given(one=WORDS, other=WORDS)
def test_text_is_ordered_by_code_points(one: str, other: str) -> None:
    assert (at(one) < at(other)) == (one.strip() < other.strip())


@given(values=st.lists(st.one_of(DECIMALS.map(str), TIMES.map(lambda t: t.isoformat()), WORDS), max_size=20))
def test_no_moment_begins_another(values: list[str]) -> None:
    """So what stands behind a moment, the rank of its group, only decides between equal ones."""
    moments = sorted({at(value) for value in values})
    assert not any(later.startswith(earlier) for earlier, later in pairwise(moments))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((value, NUMBER) for value in (0, -1.5, "007", " 12 ", "-.5", "1e-3", "20240301")),
        *((value, LOCAL_TIME) for value in ("2024-03-01", "2024-03-01 10:00", "2024-03-01T10:00:00.25", "2024-W09-5")),
        *((value, UTC_TIME) for value in ("2024-03-01T10:00Z", "2024-03-01T10:00:00+02:00")),
        *((value, TEXT) for value in ("2024-3-1", "2024:03:01 10:00:00", "IMG_0001", "1e99999", "٣", "2024-02-30", "nan")),
        *((value, b"") for value in (None, True, "", " ", [1], "1/2/2024", "01.02.24 10:00")),
    ],
)
def test_what_a_value_is_read_as(value: object, kind: bytes) -> None:
    assert kind_of(value) == kind


def test_one_kind_is_no_mixture() -> None:
    refuse_mixed([], field="day")
    refuse_mixed([(NUMBER, "s/a.png")], field="day")
    with pytest.raises(DataError, match=r"'day' has numbers \(s/b.png\), text \(s/a.png\)") as caught:
        refuse_mixed([(TEXT, "s/a.png"), (NUMBER, "s/b.png")], field="day")
    assert caught.value.code == "order-mixed"
