"""Values of a field as bytes that compare as the values do: the order in which ``method: ordered`` cuts. Plain functions, without Beam.

A value is read as what it is, never as what it might be: a number (text that is one decimal number is a number too: tables know no other
cells), a date or time of ISO 8601, or other text by code points. Values of two kinds have no common order and are refused, and so are dates
that do not begin with the year, which as text would be sorted by day or month.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from refinery_beam.errors import DataError, display

NUMBER, LOCAL_TIME, UTC_TIME, TEXT = b"\x01", b"\x02", b"\x03", b"\x04"

KINDS = {NUMBER: "numbers", LOCAL_TIME: "dates and times without a zone", UTC_TIME: "times with a zone", TEXT: "text"}
"""What a moment is of, by its first byte."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_YEAR_FIRST = re.compile(r"\d{4}-?\d{2}-?\d{2}|\d{4}-?W\d{2}", re.ASCII)
_YEAR_LAST = re.compile(r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})\b", re.ASCII)


def moment(value: Any, *, at: str, field: str) -> bytes:
    """A value as bytes: the first says its kind, and those of one kind compare as their values do. No moment begins another.

    Raises DataError for a value that cannot be ordered; `at` is the record.

    >>> values = ["-12.5", "3", 10, "1e2", 1000.0]
    >>> [moment(value, at="", field="day") for value in values] == sorted(moment(value, at="", field="day") for value in values)
    True
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return NUMBER + _number(Decimal(repr(value)))
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{display(at)} has no {field!r} to be ordered by", code="order-missing", at=at, value=value, field=field)
    text = value.strip()
    if _DECIMAL.fullmatch(text):
        return NUMBER + _number(Decimal(text))
    if _YEAR_FIRST.match(text) and (when := _time(text)) is not None:
        return (LOCAL_TIME if when.tzinfo is None else UTC_TIME) + when.isoformat(timespec="microseconds").encode()
    if _YEAR_LAST.match(text):
        raise DataError(f"the {field!r} of {display(at)} does not begin with the year", code="order-date", at=at, value=value)
    return TEXT + text.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x00"


def kind_of(value: Any) -> bytes:
    """What kind of value it is, as the first byte of its moment; b'' for one that cannot be ordered."""
    try:
        return moment(value, at="", field="")[:1]
    except DataError:
        return b""


def refuse_mixed(kinds: Iterable[tuple[bytes, str]], *, field: str) -> None:
    """Raises DataError for values of several kinds. `kinds` are first bytes, each with a record that has such a value."""
    found = sorted(kinds)
    if len(found) > 1:
        some = ", ".join(f"{KINDS[kind]} ({display(record)})" for kind, record in found)
        raise DataError(f"{field!r} has {some}", code="order-mixed", at=found[-1][1], value=field)


def _time(text: str) -> datetime | None:
    """A date or time of ISO 8601, in UTC if it names a zone; None for other text."""
    try:
        when = datetime.fromisoformat(text)
        return when if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(value: Decimal) -> bytes:
    """A decimal as its sign, its exponent and its digits; of a negative number each byte is turned around."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no finite number")
    text = "".join(map(str, digits)).lstrip("0")
    point = len(text) + exponent
    text = text.rstrip("0")
    if not text:
        return b"\x01"
    magnitude = (point + (1 << 31)).to_bytes(4, "big") + text.encode() + b"\x00"
    return b"\x00" + bytes(255 - byte for byte in magnitude) if sign else b"\x02" + magnitude
