"""Tables of text, as label tables are: which form a file has by its name, which separator and columns it has by its first row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

ENCODING = "utf-8-sig"
"""Tables are UTF-8, with or without a byte order mark."""

_SUFFIXES: dict[str, Literal["parquet", "json lines"]] = {
    "parquet": "parquet",
    "pq": "parquet",
    "jsonl": "json lines",
    "ndjson": "json lines",
}


class BrokenRow(ValueError):
    """Quotes that do not pair. ``line`` is the first line of the row."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


class Head(NamedTuple):
    """The separator of a table, and the cells of its first row that has any ([] in an empty table)."""

    separator: str
    cells: list[str]


def table_form(path: str) -> Literal["parquet", "json lines", "delimited"]:
    """The form of a table by its name: everything but Parquet and JSON lines is text with separators.

    >>> table_form("a/labels.csv"), table_form("labels.PQ")
    ('delimited', 'parquet')
    """
    return _SUFFIXES.get(path.rpartition(".")[2].casefold(), "delimited")


def table_columns(path: str, names: Sequence[str] = ()) -> list[str] | None:
    """The column names that the head of a table tells; [] for an empty file, None for a form that has no head.

    `names` are columns that it should have.
    """
    form = table_form(path)
    if form == "parquet":
        return None
    with open(path, "rb") as file:
        text = file.read(1 << 20).decode(ENCODING, "replace")
    if form == "delimited":
        return read_head(text, path=path, names=names).cells
    line = next((line for line in text.split("\n") if line.strip()), None)
    if line is None:
        return []
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return list(row) if isinstance(row, dict) else None


def read_head(text: str, *, path: str = "", names: Sequence[str] = (), columns: int = 0) -> Head:
    """The head of delimited text.

    The separator is the one of comma, semicolon and tab under which most of `names` are cells; where a table has no header row, the one
    that gives a number of cells closest to `columns`. Between equals the one with more cells says more.

    >>> read_head("name;kind").cells, read_head("a,b;kind", names=["kind"]).separator
    (['name', 'kind'], ';')
    """
    tab = path.rpartition(".")[2].casefold() in ("tsv", "tab")
    heads = []
    for separator in ("\t", ",", ";") if tab else (",", ";", "\t"):
        cells = next((cells for _, cells in read_rows(text, separator, strict=False) if cells), [])
        fit = -abs(len(cells) - columns) if columns else sum(name in cells for name in names)
        heads.append(((fit, len(cells)), Head(separator, cells)))
    return max(heads, key=lambda head: head[0])[1]


def read_rows(text: str, separator: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The rows of delimited text, each with the number of its first line; an empty line is a row without cells.

    Raises BrokenRow if `strict`; else the rows end there. The text is as the file has it: universal newlines would
    change what stands in quotes.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    first = 1
    try:
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1  # a quoted value may span lines
    except csv.Error as error:
        if strict:
            raise BrokenRow(str(error), first) from None
