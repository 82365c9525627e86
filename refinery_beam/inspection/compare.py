"""What differs between the records of two instances: one merge of their inputs and rows, in the order of record ids.

A file is the same by its record id, or, where an id is there on one side alone, by the digest of its bytes: then it was renamed. Counts are
of everything; of each kind of difference the first records are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from refinery_beam.cache import Manifest
from refinery_beam.inspection.scan import InputFact, RowFact, scan_inputs, scan_rows
from refinery_beam.sorting import Sorter


class Where(NamedTuple):
    """A stored row of one side: its split and its position there."""

    split: str
    position: int


class RecordChange(NamedTuple):
    """A record that differs, by its id on each side ('' where it is not), its label and split there, and its stored rows."""

    a: str
    b: str
    label_a: str = ""
    label_b: str = ""
    split_a: str = ""
    split_b: str = ""
    row_a: Where | None = None
    row_b: Where | None = None


@dataclass
class Changes:
    """One kind of difference: how many records, and the first of them."""

    limit: int
    total: int = 0
    first: list[RecordChange] = field(default_factory=list)

    def add(self, change: RecordChange) -> None:
        """One more."""
        self.total += 1
        if len(self.first) < self.limit:
            self.first.append(change)


KINDS = ("added", "removed", "renamed", "changed", "relabelled", "moved", "gained", "lost", "pixels", "fields")


@dataclass
class RecordChanges:
    """Differences of records by kind, which may be more than one for a record.

    ``added``, ``removed``: files. ``renamed``: other names for the same bytes. ``changed``: other bytes under a name. ``relabelled``;
    ``moved``: to another split. ``gained``, ``lost``: rows of files that are on both sides. ``pixels``: stored content that differs though
    its file is the same and every step means the same. ``fields``: other stored values. ``through_steps`` counts rows of files that are the
    same whose content differs, where steps differ.
    """

    kinds: dict[str, Changes]
    through_steps: int = 0
    rows_compared: int = 0
    notes: tuple[str, ...] = ()


def compare_records(a: Manifest, b: Manifest, *, limit: int, content: bool, same_steps: bool) -> RecordChanges:
    """The differences of two instances; with `content` also of what rows hold, which reads all of it. `same_steps` says that the recipes do
    the same to a record.
    """
    found = RecordChanges({kind: Changes(limit) for kind in KINDS})
    inputs = scan_inputs(a), scan_inputs(b)
    if not len(inputs[0]) or not len(inputs[1]):
        found.notes = (*found.notes, "one of them does not state its inputs (format 1), so files are compared by their names alone")
    if a.logical_digest == b.logical_digest and a.splits == b.splits:
        rows: tuple[Iterable[RowFact], Iterable[RowFact]] = (scan_rows(a, content=False), scan_rows(b, content=False))
    else:
        rows = scan_rows(a, content=content), scan_rows(b, content=content)
    merge = _Merge(found, content=content, same_steps=same_steps)
    for base, sides in _grouped(*inputs, *rows):
        merge.one(base, *sides)
    merge.pair_renamed()
    for changes in found.kinds.values():
        # What is on one side alone came in the order of digests.
        changes.first.sort(key=lambda change: (change.b or change.a, change.a))
    return found


class _Side(NamedTuple):
    """A record that is on one side alone, as a sorter takes it."""

    digest: bytes
    base: str
    label: str
    rows: tuple[tuple[Any, ...], ...]


class _Merge:
    def __init__(self, found: RecordChanges, *, content: bool, same_steps: bool) -> None:
        self._found, self._content, self._same_steps = found, content, same_steps
        self._only: tuple[Sorter[_Side], Sorter[_Side]] = (_sides(), _sides())
        self._kinds_noted = False

    def one(self, base: str, in_a: list[InputFact], in_b: list[InputFact], rows_a: list[RowFact], rows_b: list[RowFact]) -> None:
        """A record by its id, with what each side has of it."""
        there_a, there_b = bool(in_a or rows_a), bool(in_b or rows_b)
        if there_a and there_b:
            one = in_a[0] if in_a else InputFact(base, b"", rows_a[0].label if rows_a else "")
            other = in_b[0] if in_b else InputFact(base, b"", rows_b[0].label if rows_b else "")
            self._both(one, other, rows_a, rows_b)
            return
        inputs, rows = (in_a, rows_a) if there_a else (in_b, rows_b)
        label = inputs[0].label if inputs else rows[0].label
        if not inputs or not inputs[0].digest:
            # Without a digest nothing says that it is a file with another name.
            change = _change(base, "", label, "", rows, []) if there_a else _change("", base, "", label, [], rows)
            self._found.kinds["removed" if there_a else "added"].add(change)
            return
        self._only[0 if there_a else 1].add(_Side(inputs[0].digest, base, label, tuple(tuple(row) for row in rows)))

    def pair_renamed(self) -> None:
        """Records that are on one side alone: of equal bytes, they are one record with two names."""
        for digest, (gone, come) in _grouped(*self._only, key=0):
            pairs = list(zip(gone, come, strict=False))
            for one, other in pairs:
                rows_a, rows_b = ([RowFact._make(row) for row in side.rows] for side in (one, other))
                self._found.kinds["renamed"].add(_change(one.base, other.base, one.label, other.label, rows_a, rows_b))
                self._both(InputFact(one.base, digest, one.label), InputFact(other.base, digest, other.label), rows_a, rows_b)
            for side in gone[len(pairs) :]:
                rows = [RowFact._make(row) for row in side.rows]
                self._found.kinds["removed"].add(_change(side.base, "", side.label, "", rows, []))
            for side in come[len(pairs) :]:
                rows = [RowFact._make(row) for row in side.rows]
                self._found.kinds["added"].add(_change("", side.base, "", side.label, [], rows))

    def _both(self, one: InputFact, other: InputFact, rows_a: list[RowFact], rows_b: list[RowFact]) -> None:
        kinds = self._found.kinds
        comparable = bool(one.digest and other.digest) and len(one.digest) == len(other.digest)
        if one.digest and other.digest and not comparable and not self._kinds_noted:
            self._kinds_noted = True
            self._found.notes = (
                *self._found.notes,
                "digests of files are of different kinds (sha256 and a store's own): whether files changed is not known",
            )
        changed = comparable and one.digest != other.digest
        whole = _change(one.base, other.base, one.label, other.label, rows_a, rows_b)
        if changed:
            kinds["changed"].add(whole)
        label_a, label_b = (rows[0].label if rows and rows[0].label else said.label for rows, said in ((rows_a, one), (rows_b, other)))
        if label_a != label_b:
            kinds["relabelled"].add(whole._replace(label_a=label_a, label_b=label_b))
        # Rows that were made of a record have its id, and what follows it.
        mine = {row.record_id[len(one.base) :]: row for row in rows_a}
        theirs = {row.record_id[len(other.base) :]: row for row in rows_b}
        for end in dict.fromkeys([*mine, *theirs]):
            x, y = mine.get(end), theirs.get(end)
            if x is None or y is None:
                kinds["lost" if y is None else "gained"].add(_row_change(x, y, label_a, label_b))
                continue
            self._found.rows_compared += 1
            if x.split != y.split:
                kinds["moved"].add(_row_change(x, y, label_a, label_b))
            if x.fields != y.fields:
                kinds["fields"].add(_row_change(x, y, label_a, label_b))
            if x.content and y.content and x.content != y.content and not changed:
                if self._same_steps:
                    kinds["pixels"].add(_row_change(x, y, label_a, label_b))
                else:
                    self._found.through_steps += 1


def _row_change(x: RowFact | None, y: RowFact | None, label_a: str, label_b: str) -> RecordChange:
    return RecordChange(
        x.record_id if x else "",
        y.record_id if y else "",
        label_a if x else "",
        label_b if y else "",
        x.split if x else "",
        y.split if y else "",
        Where(x.split, x.position) if x else None,
        Where(y.split, y.position) if y else None,
    )


def _change(a: str, b: str, label_a: str, label_b: str, rows_a: list[RowFact], rows_b: list[RowFact]) -> RecordChange:
    change = _row_change(rows_a[0] if rows_a else None, rows_b[0] if rows_b else None, label_a, label_b)
    return change._replace(a=a, b=b, label_a=label_a if a else "", label_b=label_b if b else "")


def _sides() -> Sorter[_Side]:
    return Sorter(key=lambda row: (row[0], row[1]), make=_Side._make)


def _grouped(*streams: Iterable[Any], key: int = 0) -> Iterator[tuple[Any, tuple[list[Any], ...]]]:
    """Streams in the order of one of their values, merged: each value, with the rows that every stream has of it."""
    heads = [groupby(stream, key=lambda row: row[key]) for stream in streams]
    now = [next(head, None) for head in heads]
    while any(one is not None for one in now):
        value = min(one[0] for one in now if one is not None)
        found: list[list[Any]] = []
        for k, one in enumerate(now):
            if one is not None and one[0] == value:
                found.append(list(one[1]))
                now[k] = next(heads[k], None)
            else:
                found.append([])
        yield value, tuple(found)
