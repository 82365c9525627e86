"""`open_table`: the columns and rows of any table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from refinery_beam.errors import closest, display
from refinery_beam.tables.contents import Contents, Form, load
from refinery_beam.tables.delimited import Head, named_columns, read_head, read_rows
from refinery_beam.tables.faults import TableFault
from refinery_beam.tables.json_lines import read_objects
from refinery_beam.tables.parquet import read_parquet
from refinery_beam.tables.text import decode

Rows: TypeAlias = Iterator[tuple[int, dict[str, Any]]]

_SHOWN = 20


@dataclass
class Table:
    """A table that is being read. ``columns`` are its names in order ('' for one without); ``open`` says that later rows may have more.
    ``notes`` says what was assumed; it is complete when the rows are read. ``sha256`` is that of the file, '' if only its head was read.
    """

    form: Form
    columns: tuple[str, ...]
    open: bool
    sha256: str
    notes: list[str] = field(default_factory=list)
    _read: Callable[[list[str]], Rows] = field(default=lambda names: iter(()), repr=False)
    _twice: frozenset[str] = frozenset()

    def column(self, name: str) -> None:
        """TableFault ``label-column`` if there is no such column, or two."""
        if name in self._twice:
            raise TableFault(
                f"has two columns called {name!r}",
                code="label-column",
                value=name,
                rule="column names are unique",
                remedy="rename one of them, or name the columns with label_from.header",
            )
        if name not in self.columns and not self.open:
            raise missing_column(name, self.columns)

    def rows(self, names: Sequence[str]) -> Rows:
        """(line, values by name) of each row that has any, for the named columns that are there. Rows of Parquet are numbered from 1."""
        return self._read([name for name in dict.fromkeys(names) if name in self.columns or self.open])


def open_table(
    location: str,
    *,
    header: Sequence[str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    names: Sequence[str] = (),
    head: bool = False,
) -> Table:
    """Open a table at a path or URL. Reads all its bytes, or only its `head`, which is enough for columns and first rows.

    `header` names the columns of a table without a header row; `encoding` and `delimiter` are what the recipe declares, else they are
    found: UTF-8, or UTF-16 by its byte order mark, and the delimiter under which the columns in `names` are there.

    Raises TableFault, and nothing else, for what cannot be read: here, or while the rows are read.
    """
    contents = load(location, head=head)
    if head and not contents.whole and contents.form != "parquet" and not {b"\n"[0], b"\r"[0]} & set(contents.data):
        contents = load(location)  # its first line is longer than a head
    sha256 = hashlib.sha256(contents.raw).hexdigest() if not head else ""
    if contents.form == "parquet":
        _no_header("Parquet", header, encoding, delimiter)
        columns, read = read_parquet(contents.data)
        return Table("parquet", columns, False, sha256, _read=read, _twice=_repeated(columns))
    text = decode(contents.data, encoding, whole=contents.whole)
    if contents.form == "json lines":
        _no_header("JSON lines", header, None, delimiter)
        return _json_table(text, contents, sha256)
    return _delimited_table(text, contents, sha256, location, header, delimiter, names)


def missing_column(name: str, columns: Sequence[str]) -> TableFault:
    """The fault of a table without a column that is asked for."""
    present = ", ".join(f"'{display(c)}'" for c in columns[:_SHOWN]) + (
        f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
    )
    meant = closest(name, [c for c in columns if c][:200])
    header = "a table without a header row needs label_from.header, another delimiter label_from.delimiter"
    return TableFault(
        f"has no column {name!r}; it has {present}",
        code="label-column-missing",
        value=name,
        remedy=f"did you mean {meant!r}?" if meant else f"name one of its columns; {header}",
        columns=columns[:_SHOWN],
    )


def _delimited_table(
    text: str, contents: Contents, sha256: str, location: str, header: Sequence[str] | None, delimiter: str | None, names: Sequence[str]
) -> Table:
    found = read_head(text, path=location, names=names, columns=len(header or ()), delimiter=delimiter)
    if not found.cells:
        raise TableFault("is empty", code="label-table-empty")
    if header is not None:
        columns, cells_of = named_columns(header)
        if [cell.strip() for cell in found.cells] == list(columns):
            raise TableFault(
                "begins with a row of the names in label_from.header: it has a header row",
                code="label-column",
                value=", ".join(columns),
                rule="header gives the column names of a table without a header row",
                remedy="remove header",
            )
    else:
        columns, cells_of = named_columns(found.cells)
    table = Table("delimited", columns, False, sha256, list(found.notes), _twice=_repeated(columns))
    table._read = lambda wanted: _delimited_rows(
        text, found, table, {name: cells_of[name] for name in wanted if name in cells_of}, header is None
    )
    return table


def _delimited_rows(text: str, found: Head, table: Table, cells_of: dict[str, int], head: bool) -> Rows:
    delimiter, width = found.dialect.delimiter, len(table.columns)
    named = max((k for k, name in enumerate(table.columns, 1) if name), default=0)
    blank = longer = 0
    for line, cells in read_rows(text, found.dialect):
        if not cells:
            blank += not head
            continue
        if head:
            head = False
            continue
        if any(cells[width:]) or len(cells) < named:
            raise TableFault(
                f"{len(cells)} values where there are {width} columns",
                line=line,
                code="label-row",
                value=delimiter.join(cells)[:200],
                remedy="complete the row" if len(cells) < named else f"quote values that hold {_word(delimiter)}",
                columns=table.columns[:_SHOWN],
            )
        longer += len(cells) > width  # spreadsheets end rows with empty cells
        yield line, {name: cells[k] for name, k in cells_of.items()}
    if blank:
        table.notes.append(f"{blank} blank row{'s' if blank > 1 else ''} skipped")
    if longer:
        table.notes.append(f"empty cells beyond the last column in {longer} row{'s' if longer > 1 else ''} skipped")


def _word(delimiter: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab", " ": "a blank"}.get(delimiter, repr(delimiter))


def _json_table(text: str, contents: Contents, sha256: str) -> Table:
    objects = list(read_objects(text))
    columns = tuple(dict.fromkeys(name for _, row in objects for name in row))
    if not objects:
        raise TableFault("has no rows", code="label-table-empty")
    return Table(
        "json lines", columns, not contents.whole, sha256, _read=lambda wanted: ((k, {n: row.get(n) for n in wanted}) for k, row in objects)
    )


def _repeated(columns: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name, count in Counter(columns).items() if count > 1 and name)


def _no_header(kind: str, header: Sequence[str] | None, encoding: str | None, delimiter: str | None) -> None:
    for word, value in (("header", header), ("encoding", encoding), ("delimiter", delimiter)):
        if value is not None:
            raise TableFault(
                f"is {kind}: label_from.{word} does not apply to it",
                code="label-column",
                rule=f"{word} is for text tables with delimiters",
                remedy=f"remove {word}",
            )
