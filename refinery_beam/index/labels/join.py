"""Give every selected file its label: from a table beside the files, or from the file's own path.

A by_id table's id column may hold relative paths, file names or stems, and what people make of them (`tables.ids`). The whole table has
one form: the one under which most rows find a file, the more exact one at a tie. Ids and paths are compared in Unicode NFC; labels are
taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.errors import DataError, display
from refinery_beam.identity import nfc
from refinery_beam.index.labels.row_order import order_rows
from refinery_beam.index.labels.several import compound_labels
from refinery_beam.index.labels.tables import LabelSpec, LabelTable, read_table
from refinery_beam.index.text import first_few, plural
from refinery_beam.plugins.common.label_from_path import stem_of
from refinery_beam.tables import IdForm, TableFault, find_form

if TYPE_CHECKING:
    from refinery_beam.recipe.model import Derivation

NO_FIELDS: dict[str, Any] = {}
"""The fields of a record without any, shared: not to be written to."""


class Joined(NamedTuple):
    """A table joined to a source's files, in their order: ``labels`` ('' where the row is empty, None where there is no row), ``fields``
    (shared empty mapping where nothing was wanted), deterministic ``notes`` and ``warnings`` as (code, message)."""

    labels: list[str | None]
    fields: list[dict[str, Any]]
    notes: list[str]
    warnings: list[tuple[str, str]]


def derive_label(path: str, derivation: Derivation) -> str | None:
    """The label a relative posix path carries, in NFC; None for a file at the source's root, which has no parent directory.

    >>> [derive_label("cat/black/im.01.png", d) for d in ("parent_directory_name", "filename", "stem")]
    ['black', 'im.01.png', 'im.01']
    """
    folder, _, name = path.rpartition("/")
    if derivation == "parent_directory_name":
        return nfc(folder.rpartition("/")[2]) if folder else None
    return nfc(name if derivation == "filename" else stem_of(name))


def join_labels(spec: LabelSpec, paths: Sequence[str], *, source: str, wanted: frozenset[str] = frozenset()) -> tuple[Joined, str]:
    """Read the table of a source and join it to its sorted relative paths. Returns the join and the table's sha256 (hex).

    Raises DataError for a broken table, several labels of a file, ids given twice, one id that fits two files, no id that fits any, row
    counts that differ, and an order of rows that the table contradicts or that nobody declared.
    """
    table = read_table(spec, wanted=wanted, paths=paths)
    try:
        joined = _by_id(spec, table, paths) if spec.join == "by_id" else _by_row_order(spec, table, paths)
        _one_label(spec, table)
    except TableFault as found:
        raise found.error(DataError, title=spec.title, at=spec.at) from None
    odd = next((k for k, label in enumerate(table.labels) if label != label.strip()), None)
    if odd is not None:
        count = sum(label != label.strip() for label in table.labels)
        joined.warnings.append(
            (
                "padded-label",
                f"{plural(count, 'label')} with white space around, such as {table.labels[odd]!r}; labels are taken as they are",
            )
        )
    return (
        joined._replace(
            notes=[f"source {source!r}: {note}" for note in (*table.notes, *joined.notes)],
            warnings=[(code, f"source {source!r}: {message}") for code, message in joined.warnings],
        ),
        table.sha256,
    )


def _by_row_order(spec: LabelSpec, table: LabelTable, paths: Sequence[str]) -> Joined:
    if len(table.labels) != len(paths):
        one_less = spec.header is None and len(table.labels) == len(paths) - 1
        raise TableFault(
            f"has {plural(len(table.labels), 'row')} for {plural(len(paths), 'file')}",
            code="label-count",
            value=f"{len(table.labels)} rows, {len(paths)} files",
            remedy=f"if its first row is no header, but data, name the columns with label_from.header; it is read as {_few(table.columns)}"
            if one_less
            else None,
        )
    rows, notes = order_rows(table.ids, table.id_field, paths, spec.order)
    fields = [table.fields[row] for row in rows] if table.fields else [NO_FIELDS] * len(paths)
    return Joined([table.labels[row] for row in rows], fields, notes, [])


def _by_id(spec: LabelSpec, table: LabelTable, paths: Sequence[str]) -> Joined:
    rows = _row_of_id(table, paths)
    form = _form_of_ids(table, rows, paths)
    row_of: dict[str, int] = {}
    for raw, row in rows.items():
        key = form.id_key(raw)
        if key is not None:
            row_of.setdefault(key, row)
    labels: list[str | None] = []
    fields: list[dict[str, Any]] = []
    used = 0
    for path in paths:
        found = row_of.get(form.path_key(nfc(path)) or "")
        if found is None:
            labels.append(None)
            fields.append(NO_FIELDS)
        else:
            used += 1
            labels.append(table.labels[found])
            fields.append(table.fields[found] if table.fields else NO_FIELDS)
    if None in labels and spec.header is None:
        _no_header_row(table, form, paths, labels)
    notes = [f"label ids are {form.words}"]
    if len(rows) > used:
        notes.append(f"{plural(len(rows) - used, 'label row')} without a file")
    return Joined(labels, fields, notes, [])


def _row_of_id(table: LabelTable, paths: Sequence[str]) -> dict[str, int]:
    rows: dict[str, int] = {}
    twice: dict[str, list[int]] = {}
    for k, raw in enumerate(table.ids):
        if not raw.strip():
            raise TableFault(
                f"no id in column {table.id_field!r}, but a label",
                line=table.lines[k],
                code="label-row",
                value=table.labels[k],
                rule="every row with a label names its file",
                remedy="fill the id, or empty the row",
            )
        key = nfc(raw)
        first = rows.setdefault(key, k)
        if first != k:
            twice.setdefault(key, [first]).append(k)
    if twice:
        _refuse_repeats(table, twice, paths)
    return rows


def _refuse_repeats(table: LabelTable, twice: dict[str, list[int]], paths: Sequence[str]) -> None:
    if _swapped(table, paths):
        raise _say_swapped(table)
    key, same = min(twice.items(), key=lambda item: item[1])
    lines = f"id {table.ids[same[0]]!r} stands in lines " + ", ".join(str(table.lines[k]) for k in same[:5])
    lines += ", ..." if len(same) > 5 else ""
    more = f"; {plural(len(twice) - 1, 'other id')} too" if len(twice) > 1 else ""
    different = sum(len({table.labels[k] for k in rows}) > 1 for rows in twice.values())
    if different:
        first = min(same for same in twice.values() if len({table.labels[k] for k in same}) > 1)
        shown = first_few(list(dict.fromkeys(table.labels[k] for k in first)), 4)
        raise TableFault(f"{lines}{more}, with different labels ({shown}): several labels?", apart=True, code="label-several", value=key)
    raise TableFault(f"{lines}{more}", apart=True, code="label-duplicate", value=table.ids[same[0]])


def _form_of_ids(table: LabelTable, rows: dict[str, int], paths: Sequence[str]) -> IdForm:
    forms = find_form(rows, paths)
    if not forms:
        if _swapped(table, paths):
            raise _say_swapped(table)
        raise TableFault(
            f"no id of column {table.id_field!r} names a file (ids: {first_few(list(rows), 3)}; files: {first_few(paths, 3)})",
            apart=True,
            code="label-ids",
            value=table.id_field,
        )
    best = forms[0]
    if best.clash is None:
        return best
    # Another form will do if every file finds a row under it.
    for form in forms:
        if form.clash is None and form.found >= len(paths):
            return form
    key, one, two = best.clash
    raise TableFault(
        f"{best.words.rstrip('s')} '{display(key)}' fits both '{display(one)}' and '{display(two)}'",
        apart=True,
        code="label-ambiguous",
        value=key,
        form="file names with extension" if best.words == "stems" else "relative paths",
    )


def _no_header_row(table: LabelTable, form: IdForm, paths: Sequence[str], labels: Sequence[str | None]) -> None:
    """Refuse a table whose first row is data: the name of its id column names a file that has no row."""
    key = form.id_key(nfc(table.id_field))
    lost = next((path for path, label in zip(paths, labels, strict=True) if label is None and form.path_key(nfc(path)) == key), None)
    if lost is not None:
        raise TableFault(
            f"has no header row: its first row is {_few(table.columns)}, and '{display(table.id_field)}' names a file without a row",
            code="label-column",
            value=table.id_field,
            remedy="name the columns with label_from.header, such as [name, label], and use these names in id_field and label_field",
        )


def _swapped(table: LabelTable, paths: Sequence[str]) -> bool:
    """Whether the labels name more files than the ids."""
    by_label, by_id = find_form(table.labels, paths), find_form(table.ids, paths)
    return bool(by_label) and (not by_id or by_label[0].found > by_id[0].found)


def _say_swapped(table: LabelTable) -> TableFault:
    return TableFault(
        f"id_field {table.id_field!r} holds {plural(len(set(table.ids)), 'distinct value')} in {plural(len(table.ids), 'row')}, "
        "and the column of label_field names files: are the two swapped?",
        apart=True,
        code="label-ids",
        value=table.id_field,
        remedy="exchange id_field and label_field",
    )


def _one_label(spec: LabelSpec, table: LabelTable) -> None:
    found = None if spec.single_label else compound_labels(table.labels)
    if found is not None:
        label, separator = found
        k = table.labels.index(label)
        name = {" ": "a blank", ",": "a comma", ";": "a semicolon"}.get(separator, repr(separator))
        count = sum(separator in one for one in table.labels)
        raise TableFault(
            f"{label!r} in column {spec.label_field!r}: several labels, with {name} between them? ({plural(count, 'row')} hold {name})",
            line=table.lines[k],
            code="label-several",
            value=label,
        )


def _few(columns: Sequence[str]) -> str:
    return first_few([c for c in columns if c], 4)
