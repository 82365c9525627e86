"""A label table in memory: the columns that a join needs, as text.

`refinery_beam.tables` reads it. Values stay unchanged: ``" cat"`` and ``"cat"`` are two labels. A broken table is a DataError that names
the line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from refinery_beam.errors import DataError
from refinery_beam.index.labels.row_order import naming_column
from refinery_beam.index.labels.several import refuse_one_hot
from refinery_beam.tables import TableFault, open_table


@dataclass(frozen=True, kw_only=True)
class LabelSpec:
    """``label_from`` of a source. ``path`` is absolute, ``shown`` is the path in the recipe and ``at`` its position, for messages."""

    path: str
    join: Literal["by_id", "by_row_order"]
    label_field: str
    id_field: str | None = None
    header: tuple[str, ...] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    order: Literal["natural", "lexical"] | None = None
    single_label: bool = False
    shown: str = ""
    at: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The table's name in messages."""
        return self.shown or self.path

    @property
    def needed(self) -> list[str]:
        """The columns that the join needs."""
        return [self.label_field, *([self.id_field] if self.join == "by_id" and self.id_field else [])]


class LabelTable(NamedTuple):
    """Row k is ``labels[k]`` (text, '' when empty), ``ids[k]``, ``lines[k]`` (1-based line of a text table, row number of a Parquet one)
    and ``fields[k]`` (the wanted other columns, empty list when none is wanted). ``ids`` are those of ``id_field``; of a table that is
    joined by row order, those of a column that names files, empty where there is none."""

    labels: list[str]
    ids: list[str]
    id_field: str
    lines: list[int]
    fields: list[dict[str, Any]]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    sha256: str


def read_table(spec: LabelSpec, *, wanted: frozenset[str] = frozenset(), paths: Sequence[str] = ()) -> LabelTable:
    """Read a table whole, keeping the label column, the ids and the ``wanted`` other columns. `paths` are the files it is for.

    Raises DataError for what `open_table` refuses, a missing column (with the closest word), a value that is no label, and one column of
    a one-hot set.
    """
    try:
        return _read_table(spec, wanted, paths)
    except TableFault as found:
        raise found.error(DataError, title=spec.title, at=spec.at) from None


def _read_table(spec: LabelSpec, wanted: frozenset[str], paths: Sequence[str]) -> LabelTable:
    table = open_table(spec.path, header=spec.header, encoding=spec.encoding, delimiter=spec.delimiter, names=spec.needed)
    for name in spec.needed:
        table.column(name)
    if not spec.single_label:
        refuse_one_hot(table, spec.label_field)
    id_field = str(spec.id_field) if spec.join == "by_id" else naming_column(table, spec.label_field, paths)
    keep = [name for name in table.columns if name in wanted]
    labels, ids, lines, fields = [], [], [], []
    for line, row in table.rows([*spec.needed, id_field, *keep]):
        labels.append(_text(row.get(spec.label_field), line, spec.label_field))
        lines.append(line)
        if spec.join == "by_id":
            ids.append(_text(row.get(id_field), line, id_field))
        elif id_field:
            ids.append(str(row.get(id_field)))
        if keep:
            fields.append({name: _plain(row.get(name)) for name in keep})
    if not labels:
        raise TableFault("has no rows", code="label-table-empty")
    return LabelTable(labels, ids, id_field, lines, fields, table.columns, tuple(table.notes), table.sha256)


def _text(value: Any, line: int, column: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        raise TableFault(
            f"{column} holds a list: several labels?",
            line=line,
            code="label-several",
            value=repr(value)[:200],
        )
    raise TableFault(
        f"{column} holds {repr(value)[:200]}, which is neither text nor an integer", line=line, code="label-value", value=repr(value)[:200]
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
