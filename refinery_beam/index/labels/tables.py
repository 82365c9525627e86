"""Read a label table: CSV, TSV, semicolons, JSON lines or Parquet, into plain columns of text.

`recipe.delimited` cuts text into rows. Values stay unchanged: ``" cat"`` and ``"cat"`` are two labels. Empty lines are dropped. A broken
table is a DataError naming the line.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from refinery_beam import locations
from refinery_beam.errors import DataError, closest, did_you_mean
from refinery_beam.recipe.delimited import ENCODING, BrokenRow, read_head, read_rows, table_form


@dataclass(frozen=True, kw_only=True)
class LabelSpec:
    """``label_from`` of a source. ``path`` is absolute, ``shown`` is the path in the recipe and ``at`` its position, for messages."""

    path: str
    join: Literal["by_id", "by_row_order"]
    label_field: str
    id_field: str | None = None
    header: tuple[str, ...] | None = None
    shown: str = ""
    at: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The table's name in messages."""
        return self.shown or self.path


class Table(NamedTuple):
    """A label table in memory: row k is ``labels[k]`` (text, '' when empty), ``ids[k]`` (by_id only), ``lines[k]`` (1-based line of a text
    table, row number of a Parquet one) and ``fields[k]`` (the wanted other columns, empty list when none is wanted)."""

    labels: list[str]
    ids: list[str]
    lines: list[int]
    fields: list[dict[str, Any]]
    columns: tuple[str, ...]
    sha256: str


def read_table(spec: LabelSpec, *, wanted: frozenset[str] = frozenset()) -> Table:
    """Read a table whole, keeping the label column, the id column of a by_id join and the ``wanted`` other columns.

    Raises DataError: not there, not UTF-8, a ragged or broken row, a missing column (with the closest word), a value that is no label.
    """
    try:
        data = locations.read(spec.path)
    except OSError as error:
        raise fault(
            spec,
            f"cannot read label table {spec.title!r}: {(error.strerror or 'unreadable').lower()}",
            code="label-table",
        ) from None
    sha256 = hashlib.sha256(data).hexdigest()
    form = table_form(spec.path)
    if form == "parquet" or data[:4] == b"PAR1":
        rows, columns = _parquet(spec, data, wanted)
    elif form == "json lines":
        rows, columns = _json_lines(spec, _decode(spec, data))
    else:
        rows, columns = _delimited(spec, _decode(spec, data))
    keep = [name for name in columns if name in wanted]
    labels, ids, lines, fields = [], [], [], []
    by_id = spec.join == "by_id"
    for line, row in rows:
        labels.append(_text(spec, row.get(spec.label_field), line, spec.label_field))
        lines.append(line)
        if by_id:
            ids.append(_text(spec, row.get(str(spec.id_field)), line, str(spec.id_field)))
        if keep:
            fields.append({name: _plain(row.get(name)) for name in keep})
    if not labels:
        raise fault(spec, f"label table {spec.title!r} has no rows", code="label-table", rule="one row a file", remedy="fill the table")
    return Table(labels, ids, lines, fields, columns, sha256)


def fault(spec: LabelSpec, message: str, *, code: str, value: Any = None, **words: Any) -> DataError:
    """A DataError that names where the recipe names the table."""
    return DataError(message, code=code, at=spec.at, value=spec.title if value is None else value, **words)


def _needed(spec: LabelSpec) -> list[str]:
    return [spec.label_field, *([spec.id_field] if spec.join == "by_id" and spec.id_field else [])]


def _check_columns(spec: LabelSpec, columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    for name in _needed(spec):
        if name not in columns:
            present = ", ".join(repr(c) for c in columns)
            raise fault(
                spec,
                f"label table {spec.title!r} has no column {name!r}; it has {present}",
                code="label-column",
                value=name,
                remedy=did_you_mean(name, columns)
                + ("" if closest(name, columns) else "; a table without a header row needs label_from.header"),
            )
        if name in twice:
            raise fault(
                spec,
                f"label table {spec.title!r} has two columns called {name!r}",
                code="label-column",
                value=name,
                rule="column names are unique",
                remedy="rename one of them, or name the columns with label_from.header",
            )


def _decode(spec: LabelSpec, data: bytes) -> str:
    try:
        return data.decode(ENCODING)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise fault(
            spec,
            f"label table {spec.title!r} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}",
            code="label-encoding",
            encoding="utf-16" if utf16 else "latin1",
        ) from None


Rows = Iterable[tuple[int, dict[str, Any]]]


def _delimited(spec: LabelSpec, text: str) -> tuple[Rows, tuple[str, ...]]:
    head = read_head(text, path=spec.path, names=_needed(spec), columns=len(spec.header or ()))
    columns = spec.header if spec.header is not None else tuple(head.cells)
    if not head.cells:
        raise fault(spec, f"label table {spec.title!r} is empty", code="label-table", rule="one row a file", remedy="fill the table")
    _check_columns(spec, columns)
    return _delimited_rows(spec, text, head.separator, columns), columns


def _delimited_rows(spec: LabelSpec, text: str, separator: str, columns: tuple[str, ...]) -> Rows:
    head = spec.header is None
    try:
        for line, cells in read_rows(text, separator):
            if not cells:
                continue
            if head:
                head = False
                continue
            if len(cells) != len(columns):
                raise fault(
                    spec,
                    f"{spec.title}:{line}: {len(cells)} values where there are {len(columns)} columns",
                    code="label-row",
                    value=separator.join(cells),
                    remedy="quote values that hold the separator" if len(cells) > len(columns) else "complete the row",
                    columns=columns,
                )
            yield line, dict(zip(columns, cells, strict=True))
    except BrokenRow as error:
        raise fault(
            spec,
            f"{spec.title}:{error.line}: {error}",
            code="label-row",
            rule='values with separators, quotes or line breaks stand in double quotes; a quote inside is written ""',
            remedy="mend the quotes of this row",
        ) from None


def _json_lines(spec: LabelSpec, text: str) -> tuple[Rows, tuple[str, ...]]:
    _no_header(spec, "JSON lines")
    rows: list[tuple[int, dict[str, Any]]] = []
    columns: dict[str, None] = {}
    # split("\n"), not splitlines(): JSON text may hold U+2028, and "line" must mean what editors show.
    for line, part in enumerate(text.split("\n"), 1):
        if not part.strip():
            continue
        try:
            row = json.loads(part)
        except ValueError as error:
            row = None
            detail = getattr(error, "msg", str(error))
        else:
            detail = "not an object"
        if not isinstance(row, dict):
            raise fault(
                spec,
                f"{spec.title}:{line}: {detail}",
                code="label-row",
                rule="JSON lines hold one object a line",
                remedy="mend this line",
            )
        columns.update(dict.fromkeys(row))
        rows.append((line, row))
    names = tuple(columns)
    if rows:
        _check_columns(spec, names)
    return rows, names


def _parquet(spec: LabelSpec, data: bytes, wanted: frozenset[str]) -> tuple[Rows, tuple[str, ...]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _no_header(spec, "Parquet")
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        columns = tuple(file.schema_arrow.names)
        _check_columns(spec, columns)
        needed = _needed(spec)
        table = file.read(columns=[name for name in columns if name in needed or name in wanted])
    except pa.ArrowException as error:
        raise fault(
            spec,
            f"label table {spec.title!r} is not a readable Parquet file: {str(error).splitlines()[0]}",
            code="label-table",
            rule="a Parquet label table is a flat table with the named columns",
            remedy="write it again, or use CSV",
        ) from None
    return list(enumerate(table.to_pylist(), 1)), columns


def _no_header(spec: LabelSpec, kind: str) -> None:
    if spec.header is not None:
        raise fault(
            spec,
            f"label_from.header does not apply to {kind}: {spec.title!r} names its columns itself",
            code="label-column",
            rule="header gives the column names of a text table without a header row",
            remedy="remove header",
        )


def _text(spec: LabelSpec, value: Any, line: int, column: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise fault(
        spec, f"{spec.title}:{line}: {column} holds {value!r}, which is neither text nor an integer", code="label-value", value=repr(value)
    )


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # NaN is how data frames write a missing value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
