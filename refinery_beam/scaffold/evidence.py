"""What the tables of a folder say about its pictures: which column names them, which labels them, which divides them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from refinery_beam.identity import nfc
from refinery_beam.index.labels.several import one_hot_columns
from refinery_beam.scaffold.survey import is_split_word
from refinery_beam.tables import IdForm, TableFault, find_form, open_table

LABEL_WORDS = (
    *("label", "labels", "class", "classes", "class_name", "classname", "class name", "category", "category_name", "target"),
    *("species", "breed", "diagnosis", "dx", "y"),
)
_ROWS, _COLUMNS = 20_000, 200
_MOST_CLASSES, _FEW_ROWS = 2000, 20


@dataclass
class Evidence:
    """What is known of one table. ``problem`` says why it is none for pictures. ``rows`` are the first ones, ``ids`` all values of
    ``id_field``, and ``form`` is how they name pictures."""

    path: str
    problem: str = ""
    rows: Sequence[dict[str, Any]] = ()
    columns: Sequence[str] = ()
    id_field: str = ""
    ids: Sequence[str] = ()
    form: IdForm | None = None
    encoding: str = ""

    @property
    def name(self) -> str:
        """The table's file name."""
        return os.path.basename(self.path)

    def values(self, column: str) -> list[str]:
        """A column as text, row by row; missing values are ''."""
        return ["" if row.get(column) is None else str(row[column]) for row in self.rows]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each id, by the key of its form."""
        found: dict[str, int] = {}
        if self.form is not None:
            for k, raw in enumerate(self.ids):
                if (key := self.form.id_key(raw)) is not None:
                    found.setdefault(key, k)
        return found

    def covered(self, paths: Sequence[str]) -> dict[str, int]:
        """The row of each path that has one, by the form of the ids; asked for when that is known."""
        if self.form is None:
            return {}
        found = {path: self.row_of.get(self.form.path_key(nfc(path)) or "") for path in paths}
        return {path: row for path, row in found.items() if row is not None}


def read_evidence(path: str) -> Evidence:
    """The rows of a table, or the problem that it has."""
    try:
        table = open_table(path)
    except TableFault as fault:
        if fault.code != "label-encoding" or "encoding" not in fault.facts:
            return Evidence(path, fault.text)
        return _read_as(path, str(fault.facts["encoding"]), fault.text)
    return _rows(path, table, "")


def _read_as(path: str, encoding: str, problem: str) -> Evidence:
    try:
        return _rows(path, open_table(path, encoding=encoding), encoding)
    except TableFault:
        return Evidence(path, problem)


def _rows(path: str, table: Any, encoding: str) -> Evidence:
    columns = [name for name in table.columns if name][:_COLUMNS]
    try:
        rows = [row for _, row in islice(table.rows(columns), _ROWS)]
    except TableFault as fault:
        return Evidence(path, fault.message(os.path.basename(path)))
    if not rows:
        return Evidence(path, "it has no rows")
    return Evidence(path, "", rows, columns, encoding=encoding)


def find_ids(evidence: Evidence, paths: Sequence[str]) -> None:
    """Find the column that names most of some relative paths; ``form`` stays None where no column does."""
    best: tuple[int, IdForm, str] | None = None
    for column in evidence.columns:
        values = evidence.values(column)
        if len(set(values)) * 2 < len(values):
            continue  # names of pictures hardly repeat
        forms = find_form(values, paths)
        if forms and (best is None or forms[0].found > best[0]):
            best = (forms[0].found, forms[0], column)
    if best is not None:
        evidence.id_field = best[2]
        evidence.ids = _column(evidence, best[2]) if len(evidence.rows) >= _ROWS else evidence.values(best[2])
        forms = find_form(evidence.ids, paths)
        evidence.form = forms[0] if forms else None


def _column(evidence: Evidence, name: str) -> list[str]:
    table = open_table(evidence.path, encoding=evidence.encoding or None)
    return ["" if row[name] is None else str(row[name]) for _, row in table.rows([name])]


def split_column(evidence: Evidence) -> tuple[str, dict[str, str]]:
    """The column whose every value is a word for a split, at least two of them, and what the values mean; '' if there is none."""
    for column in evidence.columns:
        values = sorted(set(evidence.values(column)))
        meant = {value: is_split_word(value) for value in values}
        if len(set(meant.values())) > 1 and all(meant.values()) and len(values) <= 6:
            return column, meant
    return "", {}


def label_columns(evidence: Evidence, used: Sequence[int]) -> tuple[list[str], str]:
    """The columns that may be labels, the likeliest first, and a problem that rules all out ('' where none does).

    Evidence is: a value in each used row, at least two values, far fewer values than rows, no numbers with fractions, no split words. If
    some of them have names that label columns have, the others are out. Of two columns that say the same, the one of words stays.
    """
    rows = [evidence.rows[k] for k in used if k < len(evidence.rows)]
    split, _ = split_column(evidence)
    found, named = [], []
    for column in evidence.columns:
        if column in (evidence.id_field, split):
            continue
        values = ["" if row.get(column) is None else str(row[column]) for row in rows]
        distinct = set(values)
        if "" in distinct or len(distinct) < 2 or len(distinct) > _MOST_CLASSES or any(map(_fraction, distinct)):
            continue
        if column.strip().casefold().replace("-", "_") in LABEL_WORDS and (len(distinct) < len(values) or len(values) < _FEW_ROWS):
            named.append(column)
        if len(distinct) <= max(2, len(values) // 2):
            found.append(column)
    one_hot = one_hot_columns(rows, [c for c in evidence.columns if c != evidence.id_field])
    if one_hot and not [c for c in (*named, *found) if c not in one_hot]:
        return [], f"its columns {', '.join(repr(c) for c in one_hot[:6])} are one label spread over columns of zeros and ones"
    return _without_twins([c for c in named or found if c not in one_hot], rows), ""


def _without_twins(columns: list[str], rows: Sequence[dict[str, Any]]) -> list[str]:
    kept: list[str] = []
    for column in sorted(columns, key=lambda c: all(str(row[c]).strip().lstrip("-").isdigit() for row in rows)):
        pairs = [{(str(row[column]), str(row[other])) for row in rows} for other in kept]
        if not any(len({a for a, _ in p}) == len(p) == len({b for _, b in p}) for p in pairs):
            kept.append(column)
    return [c for c in columns if c in kept]


def _fraction(value: str) -> bool:
    try:
        return not float(value).is_integer() if value.strip() and not value.strip().isdigit() else False
    except (ValueError, OverflowError):
        return False
