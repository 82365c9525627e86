"""Text with delimiters: which delimiter a table has, where its columns are named, and its rows.

Nothing is guessed from values: the delimiter is the one under which the columns that are asked for are there, or the one that the recipe
declares. Values stay unchanged, but for the blank behind each delimiter where the header has it too.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from refinery_beam.tables.faults import TableFault

CELL_LIMIT = 1 << 24
"""Characters of a cell."""

DELIMITERS = (",", ";", "\t", "|", " ")
"""Those that are tried. A blank only where it gives every column that is asked for."""

_TRIED = 50


class Dialect(NamedTuple):
    """How a table is written. ``begin`` is the index of its first character behind a ``sep=`` line or remarks; ``line`` the number of
    the line there."""

    delimiter: str
    skip_blank: bool = False
    begin: int = 0
    line: int = 1


class Head(NamedTuple):
    """The dialect, the cells of the first row that has any, and the notes on what was assumed."""

    dialect: Dialect
    cells: list[str]
    notes: tuple[str, ...]


def read_head(text: str, *, path: str = "", names: Sequence[str] = (), columns: int = 0, delimiter: str | None = None) -> Head:
    """The head of delimited text.

    The delimiter is the one of `DELIMITERS` under which most of `names` are cells of the first row; where a table has no header row, the
    one that gives most of the first rows as many cells as there are `columns`. Between equals it is the one that cuts more of the
    first rows alike, then the one with more cells.

    >>> head = read_head("name;kind")
    >>> head.dialect.delimiter, head.cells
    (';', ['name', 'kind'])
    """
    notes: list[str] = []
    begin, line = 0, 1
    first, end = _first_line(text, 0)
    if delimiter is None and first.lower().startswith("sep=") and len(first) == len("sep=") + 1:
        delimiter, begin, line = first[-1], end, 2
    tried = [delimiter] if delimiter is not None else list(DELIMITERS)
    if delimiter is None and path.lower().removesuffix(".gz").rpartition(".")[2] in ("tsv", "tab"):
        tried = ["\t", *(d for d in DELIMITERS if d != "\t")]
    begin, line, remarks = _skip_remarks(text, begin, line, tried, names)
    if remarks:
        notes.append(f"{remarks} line{'s' if remarks > 1 else ''} of remarks at the top skipped")
    heads = []
    for number, one in enumerate(tried):
        dialect = Dialect(one, begin=begin, line=line)
        rows = _first_rows(text, dialect)
        cells = rows[0] if rows else []
        if len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:]) and one != " ":
            dialect = dialect._replace(skip_blank=True)
            rows = _first_rows(text, dialect)
            cells = rows[0]
        fit = sum(len(row) == columns for row in rows) if columns else sum(name in cells for name in names)
        even = sum(len(row) == len(cells) for row in rows) if len(cells) > 1 else 0
        every = len(names) > 1 and fit == len(names) if not columns else columns > 1 and bool(rows) and fit == len(rows)
        if one == " " and delimiter is None and not every:
            continue
        heads.append(((fit, even, len(cells), -number), Head(dialect, cells, ())))
    best = max(heads, key=lambda head: head[0])[1]
    if best.dialect.skip_blank:
        notes.append("the blank behind each delimiter is no part of the values")
    return best._replace(notes=tuple(notes))


def read_rows(text: str, dialect: Dialect, *, strict: bool = True, quiet: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows of delimited text that have a cell with a character, each with the number of its first line; `quiet` leaves out the others
    for good, else they come as rows without cells.

    TableFault ``label-row`` if `strict`; else the rows end there. The text is as the file has it: universal newlines would change what
    stands in quotes.
    """
    if csv.field_size_limit() < CELL_LIMIT:
        csv.field_size_limit(CELL_LIMIT)
    source = io.StringIO(text, newline="")
    source.seek(dialect.begin)
    reader = csv.reader(source, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_blank, strict=strict)
    first = dialect.line
    try:
        for cells in reader:
            if any(cell and not cell.isspace() for cell in cells):
                yield first, cells
            elif not quiet:
                yield first, []
            first = reader.line_num + dialect.line  # a quoted value may span lines
    except csv.Error as error:
        if strict:
            raise _broken(str(error), first, reader.line_num + dialect.line - 1) from None


def named_columns(cells: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names of columns, blanks around left out, and the index of each. A column without a name has no index; nor has one of two with
    one name."""
    names = tuple(cell.strip() for cell in cells)
    count = Counter(names)
    return names, {name: k for k, name in enumerate(names) if name and count[name] == 1}


def _broken(problem: str, first: int, last: int) -> TableFault:
    if "field limit" in problem:
        return TableFault(
            f"a value has more than {CELL_LIMIT:,} characters",
            line=first,
            code="label-row",
            rule=f"a value has at most {CELL_LIMIT:,} characters",
            remedy="shorten it; where no value is meant to be so long, a quote in this row is never closed",
        )
    spans = f" (the quotes that open in this line are still open in line {last})" if last > first else ""
    return TableFault(
        f"{problem}{spans}",
        line=first,
        code="label-row",
        rule='values with separators, quotes or line breaks stand in double quotes; a quote inside is written ""',
        remedy="mend the quotes of this row",
    )


def _first_rows(text: str, dialect: Dialect) -> list[list[str]]:
    return [cells for _, cells in islice(read_rows(text, dialect, strict=False, quiet=True), _TRIED)]


def _first_line(text: str, begin: int) -> tuple[str, int]:
    """The line at an index without its end, and the index behind it."""
    source = io.StringIO(text[begin : begin + (1 << 16)], newline="")
    line = source.readline()
    return line.rstrip("\r\n"), begin + len(line)


def _skip_remarks(text: str, begin: int, line: int, tried: Sequence[str], names: Sequence[str]) -> tuple[int, int, int]:
    """Skip lines that begin with '#' above a table: those that have other cells than the line below, and no name that is asked for."""
    skipped = 0
    while skipped < 1000:
        words, end = _first_line(text, begin)
        if not words.startswith("#"):
            break
        below, _ = _first_line(text, end)
        cells = [_cells(words, one) for one in tried]
        if any(set(names) & set(row) for row in cells):
            break
        if not below.startswith("#") and all(len(row) == len(_cells(below, one)) for row, one in zip(cells, tried, strict=True)):
            break
        begin, line, skipped = end, line + 1, skipped + 1
    return begin, line, skipped


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])
