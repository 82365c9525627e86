"""Recipe in, index out: every record there is, its label and digest, and one hash over all of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from refinery_beam.errors import DataError, RefineryError, raise_all
from refinery_beam.identity import digest, nfc, record_key
from refinery_beam.index.digests import KIND, Digests, digest_files
from refinery_beam.index.faults import check_unique, listing_faults, reading_faults
from refinery_beam.index.hints import HintCache
from refinery_beam.index.labels import Joined, derive_label, join_labels
from refinery_beam.index.loaded import list_loaded
from refinery_beam.index.sources import FOLDER_TYPES, FileFact, Source, SourceListing, list_source, parse_layout
from refinery_beam.index.text import display, is_text, plural
from refinery_beam.index.wanted import label_derivation, make_sources, wanted_fields
from refinery_beam.records import LedgerRow

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Loader

_T = TypeVar("_T")

_NO_FIELDS: dict[str, Any] = {}


class Entry(NamedTuple):
    """One record of the index. ``source`` is its position in ``Index.sources``; ``path`` is relative to that source's root, as stored
    there; ``record_id`` is NFC; ``digest`` is the raw SHA-256 of the file; ``label`` is None on unlabeled sources; ``partition`` is '' if
    none; ``fields`` are wanted columns of the label table (shared when empty: do not write to it); ``key`` is `record_key(record_id)`."""

    source: int
    path: str
    record_id: str
    size: int
    digest: bytes
    label: str | None
    partition: str
    fields: dict[str, Any]
    key: bytes


@dataclass(frozen=True)
class Index:
    """What is there. ``entries`` are sorted by ``key``. ``input_hash`` (hex) covers every selected file, those in ``bad`` too, and the
    content of label tables. ``skipped`` counts by source and extension or word. ``notes`` and ``warnings`` (code, message) are about the
    data and the same on every machine; ``run_notes`` and ``hashed`` (files really read) are about this run and belong in the journal only.
    """

    sources: tuple[Source, ...]
    entries: list[Entry]
    input_hash: str
    skipped: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]
    hashed: int
    bad: list[LedgerRow] = field(default_factory=list)
    run_notes: tuple[str, ...] = ()

    @property
    def records_in(self) -> int:
        """How many files the sources select: entries and bad ones."""
        return len(self.entries) + len(self.bad)

    def duplicates(self) -> dict[bytes, tuple[Entry, ...]]:
        """The digests that occur more than once, in order of their first entry, with their entries in key order."""
        return find_duplicates(self.entries)


def build_index(recipe: Any, *, hints_path: str, threads: int, loaders: Mapping[str, Loader] | None = None) -> Index:
    """List, label and digest everything the recipe's sources select.

    `recipe` is a `refinery_beam.recipe.Recipe` (``model``, ``resolve``, ``place``). Raises DataError (or ErrorGroup) for sources and label
    tables that cannot be used, for record ids that meet, and, under ``on_error: fail``, for files without a label, with names that are not
    text, or that cannot be read; under ``quarantine`` these become ledger rows in ``bad``. `loaders` list the source types of third-party
    plugins.
    """
    sources = make_sources(recipe)
    third = loaders or {}
    listings = _collect(
        partial(list_loaded, source, third[source.type]) if source.type in third else partial(list_source, source) for source in sources
    )
    derivation = label_derivation(recipe)
    wanted = wanted_fields(recipe.model)
    labelled = _collect(partial(_label, listing, derivation, wanted, recipe.place(("Labels", "source"))) for listing in listings)
    strict = str(getattr(recipe.model.Input, "on_error", None) or "fail") == "fail"
    ids = [nfc(f"{listing.source.name}/{file.path}") for listing in listings for file in listing.files]
    # Before any byte is read: the words should come at once.
    check_unique(ids, listings)
    if strict:
        raise_all(listing_faults(listings, [lab.missing for lab in labelled]))
    hints = HintCache(hints_path)
    digests = digest_files(listings, hints=hints, threads=threads)
    if strict:
        raise_all(reading_faults(ids, digests))
    entries, bad, rows = _assemble(listings, labelled, digests, ids)
    entries.sort(key=lambda entry: entry.key)
    bad.sort(key=lambda row: record_key(row.record_id))
    return Index(
        sources=tuple(sources),
        entries=entries,
        input_hash=input_hash(rows, [(s.name, lab.table) for s, lab in zip(sources, labelled, strict=True) if lab.table]),
        skipped={listing.source.name: listing.skipped for listing in listings},
        notes=tuple(note for li, lab in zip(listings, labelled, strict=True) for note in (*li.notes, *lab.joined.notes)),
        warnings=(*(w for lab in labelled for w in lab.joined.warnings), *duplicate_warnings(find_duplicates(entries))),
        hashed=digests.hashed,
        bad=bad,
        run_notes=tuple(hints.notes),
    )


def input_hash(files: Iterable[tuple[str, bytes, int, str, str]], tables: Iterable[tuple[str, str]] = ()) -> str:
    """Hex digest over files as (source name, NFC path bytes, size, digest kind, digest hex) and label tables as (source name, sha256 hex).

    The order they come in does not matter.

    >>> a, b = ("s", b"a.png", 1, "sha256", "00"), ("s", b"b.png", 1, "sha256", "00")
    >>> input_hash([a, b]) == input_hash([b, a]) != input_hash([a])
    True
    """
    by_source: dict[str, list[bytes]] = {}
    for name, path, size, kind, sha in files:
        # No file name holds a NUL, so this joins without ambiguity.
        by_source.setdefault(name, []).append(b"%b\0%d\0%b\0%b" % (path, size, kind.encode(), sha.encode()))
    parts = [digest("source", name, *sorted(rows)) for name, rows in sorted(by_source.items())]
    parts += [digest("labels", name, sha) for name, sha in sorted(tables)]
    return digest("input", *parts).hex()


def find_duplicates(entries: Sequence[Entry]) -> dict[bytes, tuple[Entry, ...]]:
    """The digests that occur more than once among the entries, in order of their first one."""
    counts = Counter(entry.digest for entry in entries)
    found: dict[bytes, list[Entry]] = {}
    if len(counts) < len(entries):
        for entry in entries:
            if counts[entry.digest] > 1:
                found.setdefault(entry.digest, []).append(entry)
    return {sha: tuple(members) for sha, members in found.items()}


def duplicate_warnings(duplicates: dict[bytes, tuple[Entry, ...]]) -> list[tuple[str, str]]:
    """Named warnings: identical files with different labels (``label-conflict``), identical files in two declared partitions
    (``partition-leak``). One each, with the count and the first cases."""
    conflicts, leaks = [], []
    for members in duplicates.values():
        if len({m.label for m in members if m.label is not None}) > 1:
            conflicts.append(", ".join(f"{display(m.record_id)!r} is {m.label!r}" for m in members[:4]))
        if len({m.partition for m in members}) > 1:
            leaks.append(", ".join(f"{display(m.record_id)!r} in {m.partition!r}" for m in members[:4]))
    out = []
    if conflicts:
        out.append(("label-conflict", _cases(conflicts, "group", "of identical files with different labels")))
    if leaks:
        out.append(("partition-leak", _cases(leaks, "group", "of identical files in different partitions")))
    return out


def _cases(cases: list[str], noun: str, what: str) -> str:
    more = f"; and {len(cases) - 5:,} more" if len(cases) > 5 else ""
    return f"{plural(len(cases), noun)} {what}: " + "; ".join(cases[:5]) + more


class _Labelled(NamedTuple):
    """Labels of one listing; ``missing`` maps a file's position to the words why it has none; ``table`` is the table's sha256 or ''."""

    joined: Joined
    missing: dict[int, str]
    table: str


def _collect(steps: Iterable[Callable[[], _T]]) -> list[_T]:
    """Run one step a source and raise what they raised together, so that a user mends all sources in one go."""
    out: list[_T] = []
    errors: list[RefineryError] = []
    for step in steps:
        try:
            out.append(step())
        except RefineryError as error:
            errors.append(error)
    raise_all(errors)
    return out


def _label(listing: SourceListing, derivation: str, wanted: frozenset[str], place: str) -> _Labelled:
    source, files = listing.source, listing.files
    none = [_NO_FIELDS] * len(files)
    if source.unlabeled:
        return _Labelled(Joined([None] * len(files), none, [], []), {}, "")
    table = ""
    joined: Joined | None = None
    missing: dict[int, str] = {}
    if source.label_from is not None:
        joined, table = join_labels(source.label_from, [f.path for f in files], source=source.name, wanted=wanted)
    if derivation:
        labels: list[str | None] = []
        for k, file in enumerate(files):
            try:
                labels.append(derive_label(file.path, derivation, place=place))
            except DataError as error:
                if error.code != "label-missing":
                    raise
                labels.append(None)
                missing[k] = "lies at the source's root, so no parent directory names it"
        joined = Joined(labels, joined.fields, joined.notes, joined.warnings) if joined else Joined(labels, none, [], [])
    elif joined is not None:
        for k, label in enumerate(joined.labels):
            if not label:
                missing[k] = "has no row in the label table" if label is None else "has an empty label in the label table"
    elif source.type not in FOLDER_TYPES:
        joined = Joined([f.label for f in files], none, [], [])
        missing = {k: "got no label from its loader" for k, f in enumerate(files) if not f.label}
    elif parse_layout(source).has_label:
        joined = Joined([f.label for f in files], none, [], [])
    else:
        raise DataError(
            f"source {source.name!r} ({source.type}) says nowhere what its labels are",
            code="no-labels",
            place=source.place,
            value=source.type,
            rule="labels come from class folders, a {label} in layout, label_from, or Labels.source.derivation",
            remedy="add label_from, or set unlabeled: true with a partition",
        )
    return _Labelled(joined, missing, table)


def _assemble(
    listings: Sequence[SourceListing], labelled: Sequence[_Labelled], digests: Digests, ids: Sequence[str]
) -> tuple[list[Entry], list[LedgerRow], list[tuple[str, bytes, int, str, str]]]:
    entries: list[Entry] = []
    bad: list[LedgerRow] = []
    rows: list[tuple[str, bytes, int, str, str]] = []
    position = 0
    for number, (listing, lab) in enumerate(zip(listings, labelled, strict=True)):
        name = listing.source.name
        joined = lab.joined
        for k, file in enumerate(listing.files):
            path = file.path if file.path.isascii() else nfc(file.path)
            record_id = ids[position]
            sha = digests.digests[position]
            problem = _problem(file, k, lab, digests.failures.get(position))
            position += 1
            rows.append((name, os.fsencode(path), file.size, KIND if sha is not None else "unreadable", sha.hex() if sha else ""))
            if problem is not None:
                bad.append(LedgerRow(record_id if is_text(record_id) else display(record_id), "", "Input", "", *problem))
                continue
            assert sha is not None
            partition = nfc(file.partition) if file.partition else ""
            entries.append(
                Entry(number, file.path, record_id, file.size, sha, joined.labels[k], partition, joined.fields[k], record_key(record_id))
            )
    return entries, bad, rows


def _problem(file: FileFact, k: int, lab: _Labelled, failure: tuple[str, str] | None) -> tuple[str, str] | None:
    if not is_text(file.path):
        return "bad_name", "the file name is not valid UTF-8"
    if failure is not None:
        return failure
    if k in lab.missing:
        return "label_missing", lab.missing[k]
    return None
