"""Give every selected file its label: from a table beside the files, or from the file's own path.

A by_id table's id column may hold relative paths, file names or stems. The whole table has one form: the one under which
most rows find a file, the more exact one at a tie. Ids and paths are compared in Unicode NFC; labels are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.errors import display
from refinery_beam.identity import nfc
from refinery_beam.index.labels.tables import LabelSpec, Table, fault, read_table
from refinery_beam.index.text import first_few, plural
from refinery_beam.plugins.common.label_from_path import stem_of

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

    Raises DataError for a broken table, ids given twice, one id that fits two files, no id that fits any, or row counts that differ.
    """
    table = read_table(spec, wanted=wanted)
    joined = _by_id(spec, table, paths, source) if spec.join == "by_id" else _by_row_order(spec, table, paths)
    odd = next((k for k, label in enumerate(table.labels) if label != label.strip()), None)
    if odd is not None:
        count = sum(label != label.strip() for label in table.labels)
        text = f"{plural(count, 'label')} with white space around, such as {table.labels[odd]!r}; labels are taken as they are"
        joined.warnings.append(("padded-label", f"source {source!r}: {text}"))
    return joined, table.sha256


def _by_row_order(spec: LabelSpec, table: Table, paths: Sequence[str]) -> Joined:
    if len(table.labels) != len(paths):
        raise fault(
            spec,
            f"label table {spec.title!r} has {plural(len(table.labels), 'row')} for {plural(len(paths), 'file')}",
            code="label-count",
            value=f"{len(table.labels)} rows, {len(paths)} files",
        )
    return Joined(list(table.labels), table.fields or [NO_FIELDS] * len(paths), [], [])


def _by_id(spec: LabelSpec, table: Table, paths: Sequence[str], source: str) -> Joined:
    rows = _row_of_id(spec, table)
    form, keys = _form_of_keys(spec, rows, paths)
    labels: list[str | None] = []
    fields: list[dict[str, Any]] = []
    used = 0
    for key in keys:
        row = rows.get(key)
        if row is None:
            labels.append(None)
            fields.append(NO_FIELDS)
        else:
            used += 1
            labels.append(table.labels[row])
            fields.append(table.fields[row] if table.fields else NO_FIELDS)
    notes = [f"source {source!r}: label ids are {form}s"]
    if len(rows) > used:
        notes.append(f"source {source!r}: {plural(len(rows) - used, 'label row')} without a file")
    return Joined(labels, fields, notes, [])


def _row_of_id(spec: LabelSpec, table: Table) -> dict[str, int]:
    rows: dict[str, int] = {}
    for k, raw in enumerate(table.ids):
        key = nfc(raw)
        first = rows.setdefault(key, k)
        if first != k:
            same = [line for line, other in zip(table.lines, table.ids, strict=True) if nfc(other) == key]
            raise fault(
                spec,
                f"label table {spec.title!r}: id {raw!r} stands in lines " + ", ".join(str(line) for line in same[:5]),
                code="label-duplicate",
                value=raw,
            )
    return rows


def _form_of_keys(spec: LabelSpec, rows: dict[str, int], paths: Sequence[str]) -> tuple[str, list[str]]:
    whole = [nfc(path) for path in paths]
    names = [path.rpartition("/")[2] for path in whole]
    forms = [("relative path", whole), ("file name", names), ("stem", [stem_of(name) for name in names])]
    if names == whole:
        del forms[0]  # a flat folder: say 'file name', the same thing
    found = [len(rows.keys() & keys) for _, keys in forms]
    clashes = [_clash(rows, keys, paths) if count else None for (_, keys), count in zip(forms, found, strict=True)]
    order = sorted(range(len(forms)), key=lambda k: -found[k])  # stable: the more exact form wins a tie
    best = order[0]
    if not found[best]:
        shown = first_few(list(rows), 3)
        raise fault(
            spec,
            f"label table {spec.title!r}: no id of column {spec.id_field!r} names a file (ids: {shown}; files: {first_few(paths, 3)})",
            code="label-ids",
            value=spec.id_field,
        )
    if clashes[best] is not None:
        # Another form will do if every file finds a row under it.
        fitting = [k for k in order if clashes[k] is None and all(key in rows for key in forms[k][1])]
        if not fitting:
            key, one, two = clashes[best]  # type: ignore[misc]
            raise fault(
                spec,
                f"label table {spec.title!r}: {forms[best][0]} {display(key)!r} fits both {display(one)!r} and {display(two)!r}",
                code="label-ambiguous",
                value=display(key),
                form="file names with extension" if forms[best][0] == "stem" else "relative paths",
            )
        best = fitting[0]
    return forms[best]


def _clash(rows: dict[str, int], keys: Sequence[str], paths: Sequence[str]) -> tuple[str, str, str] | None:
    if len(set(keys)) == len(keys):
        return None
    path_of: dict[str, str] = {}
    for key, path in zip(keys, paths, strict=True):
        if key in rows and path_of.setdefault(key, path) != path:
            return key, path_of[key], path
    return None
