"""The files that a recipe selects now, and those that an instance was made from, by its input.parquet.

Both come in the order of record keys, so they are merged as they are read. Only of files that came or went are digests kept, to tell a
renamed one from one that was removed and another that was added.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.errors import StoreError, display
from refinery_beam.identity import record_key
from refinery_beam.index import Index
from refinery_beam.launch.reasons.difference import NAMED, Difference, several
from refinery_beam.reading.faults import damaged

INPUT = "input.parquet"
EXAMPLES = 10
"""How many records of one kind are named in a value."""

KEPT = 1_000_000
"""Of how many files that came or went the digests are compared; more are counted, and not recognised when renamed."""


class _Row(NamedTuple):
    key: bytes
    record_id: str
    digest: bytes
    label: str | None


@dataclass
class _Found:
    """The first of many, and how many."""

    count: int = 0
    examples: list[Any] = field(default_factory=list)

    def add(self, example: Any) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


def input_differences(manifest: Manifest, index: Index, *, has_table: bool) -> tuple[list[Difference], list[str]]:
    """The differences between the files of an instance and those of now, and what cannot be said, in words."""
    if manifest.file(INPUT) is None:
        return [], [f"which files changed is not known: an instance of format {manifest.format} keeps no {INPUT}"]
    kind, stored = _stored(manifest)
    if kind != index.kind:
        sentence = f"the content of files is named by {index.kind} now, and by {kind} then (--digest); files cannot be compared"
        return [Difference(part="digest kind", change="changed", name="digest", before=kind, after=index.kind, sentence=sentence)], []
    changed, labelled, added, removed = _Found(), _Found(), _Found(), _Found()
    came: list[_Row] = []
    went: list[_Row] = []
    for before, after in _merged(stored, _present(index)):
        if before is None and after is not None:
            _keep(came, added, after)
        elif after is None and before is not None:
            _keep(went, removed, before)
        elif before is not None and after is not None:
            if before.digest != after.digest:
                changed.add(after.record_id)
            if before.label != after.label:
                labelled.add((after.record_id, before.label, after.label))
    renamed = _renamed(went, came, removed, added)
    found = [*_of_files(changed, added, removed, renamed), *_of_labels(labelled)]
    if not found and has_table:
        words = "a label table has other bytes; no label in it that a record of this recipe has is another"
        found.append(Difference(part="label table", change="changed", name="label table", sentence=words))
    return found, []


def _of_files(changed: _Found, added: _Found, removed: _Found, renamed: _Found) -> Iterator[Difference]:
    for found, change, one, many in (
        (changed, "changed", "has other bytes", "files have other bytes"),
        (added, "added", "is a new file", "files are new"),
        (removed, "removed", "is there no more", "files are there no more"),
    ):
        if found.count:
            names = several(found.examples, found.count)
            words = f"{names} {one}" if found.count == 1 else f"{found.count:,} {many}: {names}"
            yield _difference("file", change, found, words)
    if renamed.count:
        pairs = [f"{old} is called {new} now" for old, new in renamed.examples[:NAMED]]
        more = f" and {renamed.count - len(pairs):,} more" if renamed.count > len(pairs) else ""
        words = pairs[0] if renamed.count == 1 else f"{renamed.count:,} files are renamed: {', '.join(pairs)}{more}"
        yield _difference("file", "renamed", renamed, words)


def _of_labels(labelled: _Found) -> Iterator[Difference]:
    if labelled.count:
        pairs = [f"that of {name} changed from {_label(old)} to {_label(new)}" for name, old, new in labelled.examples[:NAMED]]
        more = f" and {labelled.count - len(pairs):,} more" if labelled.count > len(pairs) else ""
        words = (
            f"the label {pairs[0].removeprefix('that ')}"
            if labelled.count == 1
            else f"{labelled.count:,} labels changed: {', '.join(pairs)}{more}"
        )
        yield _difference("label", "changed", labelled, words)


def _difference(part: Any, change: Any, found: _Found, sentence: str) -> Difference:
    name = found.examples[0] if isinstance(found.examples[0], str) else found.examples[0][0]
    one = found.examples[0] if found.count == 1 and not isinstance(found.examples[0], str) else (None, None, None)
    before, after = (one[-2], one[-1]) if part == "label" or change == "renamed" else (None, None)
    return Difference(
        part=part,
        change=change,
        name=name,
        before=before,
        after=after,
        count=found.count,
        examples=tuple(found.examples),
        sentence=sentence,
    )


def _renamed(went: list[_Row], came: list[_Row], removed: _Found, added: _Found) -> _Found:
    """Files whose content went under one name and came under another, taken out of what was removed and added."""
    by_digest: dict[bytes, list[str]] = {}
    for row in came:
        if row.digest:
            by_digest.setdefault(row.digest, []).append(row.record_id)
    found = _Found()
    gone: set[str] = set()
    new: set[str] = set()
    for row in went:
        names = by_digest.get(row.digest)
        if names:
            gone.add(row.record_id)
            new.add(names[0])
            found.add((display(row.record_id), display(names.pop(0))))
    for rows, counted, matched in ((went, removed, gone), (came, added, new)):
        counted.count -= len(matched)
        counted.examples = [display(r.record_id) for r in rows if r.record_id not in matched][:EXAMPLES]
    return found


def _keep(rows: list[_Row], found: _Found, row: _Row) -> None:
    found.count += 1
    if len(rows) < KEPT:
        rows.append(row)


def _merged(before: Iterator[_Row], after: Iterator[_Row]) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Rows of the same key in pairs; None where one side has none."""
    one, other = next(before, None), next(after, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.key < other.key):
            yield one, None
            one = next(before, None)
        elif one is None or other.key < one.key:
            yield None, other
            other = next(after, None)
        else:
            yield one, other
            one, other = next(before, None), next(after, None)


def _present(index: Index) -> Iterator[_Row]:
    for entry in heapq.merge(index.entries, index.refused, key=lambda e: e.key):
        yield _Row(entry.key, entry.record_id, entry.digest, entry.label)


def _stored(manifest: Manifest) -> tuple[str, Iterator[_Row]]:
    """The kind of digests, and the rows of an instance's input.parquet. StoreError ``damaged``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    location = locations.join(manifest.location, INPUT)
    try:
        with locations.opened(location) as source, pq.ParquetFile(source) as file:
            kind = (file.schema_arrow.metadata or {}).get(b"refinery:digest", b"sha256").decode()
    except (OSError, pa.ArrowException) as error:
        raise damaged(location, str(error)) from error
    return kind, _rows(location)


def _rows(location: str) -> Iterator[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with locations.opened(location) as source, pq.ParquetFile(source) as file:
            for batch in file.iter_batches(columns=["record_id", "digest", "label"], batch_size=8192):
                columns = (batch.column(name).to_pylist() for name in ("record_id", "digest", "label"))
                for record_id, digest, label in zip(*columns, strict=True):
                    yield _Row(record_key(record_id), record_id, digest or b"", label)
    except StoreError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise damaged(location, str(error)) from error


def _label(label: str | None) -> str:
    return "none" if label is None else display(label)
