"""What verbs print, as values: a `Line` of words, `Facts` (names with values), a `Table`; and how each reads as plain text.

Names from outside cannot do harm: cells are names and are shown by `display`, lines are words and are shown by `visible`. A cell that was
composed here is `Words`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from refinery_beam.visible import name, shorten, visible

LINE_CHARACTERS = 20_000
"""Of longer words (a label of a megabyte in a message) the beginning and the end are printed."""

CELL_CHARACTERS = 200
"""The same for a cell of a table."""

STYLES = ("", "good", "bad", "warning", "quiet", "strong")
"""What a line or a cell may be, for a terminal that shows it."""


class Words(str):
    """Text that was composed here, with names in it that are displayed already."""

    __slots__ = ()


Cell = str | int | float | Decimal | bool | None


@dataclass(frozen=True)
class Line:
    """One line of words; `style` is one of `STYLES`."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Facts:
    """Names with their values, aligned; at least `width` characters for the names."""

    pairs: Sequence[tuple[str, Cell]]
    indent: int = 0
    width: int = 0
    numbers: bool = False
    """Whether the values are numbers, which stand right on a terminal."""


@dataclass(frozen=True)
class Table:
    """Rows under a head. Numbers stand right. `styles` gives a row its style by the word in its first cell."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    head: bool = True
    styles: Mapping[str, str] | None = None


Block = Line | Facts | Table


def plain(block: Block) -> list[str]:
    """The lines of a block as plain text.

    >>> plain(Facts([("train", 3), ("validation", 1_000)]))
    ['train       3', 'validation  1,000']
    >>> plain(Table(["label", "records"], [["cat", 12], ["doe", 3]]))
    ['label  records', 'cat         12', 'doe          3']
    """
    if isinstance(block, Line):
        return [words(block.text)]
    if isinstance(block, Facts):
        pairs = [(words(fact), cell(value)) for fact, value in block.pairs]
        width = max([block.width, *(_width(fact) for fact, _ in pairs)])
        return [f"{' ' * block.indent}{_padded(fact, width)}  {value}".rstrip() for fact, value in pairs]
    rows = [[cell(value, CELL_CHARACTERS) for value in row] for row in block.rows]
    listed = [list(block.columns), *rows] if block.head else rows
    widths = [max((_width(row[k]) for row in listed), default=0) for k in range(len(block.columns))]
    right = numeric_columns(block)
    return ["  ".join(_padded(text, widths[k], right=k in right) for k, text in enumerate(row)).rstrip() for row in listed]


def numeric_columns(table: Table) -> set[int]:
    """The columns that hold numbers alone."""
    found = set()
    for k in range(len(table.columns)):
        values = [row[k] for row in table.rows if row[k] is not None]
        if values and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values):
            found.add(k)
    return found


def words(text: str) -> str:
    """A line of words as it is printed."""
    return visible(shorten(text, LINE_CHARACTERS))


def cell(value: Cell, limit: int = LINE_CHARACTERS) -> str:
    """A value as it is printed: a string is a name, unless it is `Words`; whole numbers have their thousands parted."""
    if isinstance(value, Words):
        return visible(shorten(value, limit))
    if isinstance(value, str):
        return name(value, limit)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}"


def _width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, *, right: bool = False) -> str:
    fill = " " * max(0, width - _width(text))
    return fill + text if right else text + fill
