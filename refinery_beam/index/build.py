"""Recipe in, index out: every record there is, its label and digest, and one hash over all of it.

Files stream from listing to hashing to sorting. Memory does not grow with their number, except for label tables: see
`refinery_beam.sorting`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from refinery_beam.errors import RefineryError, display, raise_all
from refinery_beam.identity import nfc, record_key
from refinery_beam.index.digests.digest_files import Digested, HashersFor, digest_files
from refinery_beam.index.digests.digest_kind import MD5, SHA256, digest_kind
from refinery_beam.index.digests.hashing import SourceHash, input_hash
from refinery_beam.index.digests.hints import HintCache
from refinery_beam.index.duplicates import BEGINNING, Member, Repeats, by_content, find_repeats, repeated_beginnings
from refinery_beam.index.faults import ReadingFaults, check_files
from refinery_beam.index.labels.columns import wanted_fields
from refinery_beam.index.labels.label_rules import Given, Labelling, label_files
from refinery_beam.index.listing.left_out import Selection
from refinery_beam.index.listing.list import list_source
from refinery_beam.index.listing.plugin_lister import list_by_plugin
from refinery_beam.index.listing.recipe_sources import make_sources
from refinery_beam.index.listing.sources import Source, SourceListing, path_key
from refinery_beam.index.text import is_text
from refinery_beam.recipe.labels import label_rule
from refinery_beam.records import LedgerRow
from refinery_beam.sorting import Sorter

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin
    from refinery_beam.recipe import Recipe

_T = TypeVar("_T")


class Entry(NamedTuple):
    """One record of the index. ``source`` is its position in ``Index.sources``; ``path`` is relative to that source's root, as stored
    there; ``record_id`` is NFC; ``digest`` is the raw digest of the file, of the index's ``kind``; ``label`` is None on unlabeled sources;
    ``partition`` is '' if none; ``fields`` are wanted columns of the label table (shared when empty: do not write to it); ``key`` is
    `record_key(record_id)`."""

    source: int
    path: str
    record_id: str
    size: int
    digest: bytes
    label: str | None
    partition: str
    fields: dict[str, Any]
    key: bytes


class Facts(NamedTuple):
    """Facts about all entries together: how many a source has, their bytes, and the partitions they name (sorted)."""

    files: tuple[int, ...]
    bytes: int
    partitions: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """What is there. ``entries`` come in the order of ``key``; they can be gone through again and again, and are never all in memory when
    there are many. ``input_hash`` (hex) covers every selected file, those in ``bad`` too, and the content of label tables. ``selection``
    is what listing left out, and ``selection_warnings`` (code, message) say what of it somebody will miss: they are no part of the key, so
    of no file that has a digest. ``notes``, ``label_warnings`` and ``warnings`` (code, message) are about the selected data and the same on
    every machine; ``run_notes`` and ``hashed`` (files really read) are about this run and belong in the journal only. ``kind`` is what
    digests are: ``sha256``, or the ``md5`` of stores. ``scratch`` is the folder for temporary files. ``refused`` are the files behind
    ``bad``, without a label; the digest of one that cannot be read is empty.
    """

    sources: tuple[Source, ...]
    entries: Sorter[Entry]
    facts: Facts
    input_hash: str
    selection: Selection
    notes: tuple[str, ...]
    label_warnings: tuple[tuple[str, str], ...]
    hashed: int
    bad: Sorter[LedgerRow]
    refused: Sorter[Entry]
    selection_warnings: tuple[tuple[str, str], ...] = ()
    run_notes: tuple[str, ...] = ()
    kind: str = SHA256
    scratch: str = field(default="", compare=False)

    @property
    def records_in(self) -> int:
        """How many files the sources select: entries and bad ones."""
        return len(self.entries) + len(self.bad)

    @cached_property
    def repeats(self) -> Repeats:
        """The entries that have the content of another one. They are found when somebody asks: a hit does not."""
        contents, beginnings = by_content(self.scratch), repeated_beginnings(entry.digest for entry in self.entries)
        for entry in self.entries if beginnings else ():
            if entry.digest[:BEGINNING] in beginnings:
                contents.add(Member(entry.digest, entry.key, entry.record_id, entry.label, entry.partition))
        return find_repeats(contents)

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """Those about labels, and about identical files."""
        return (*self.label_warnings, *self.repeats.warnings)


Digester: TypeAlias = Callable[[SourceListing], Iterable[Digested]]
"""Gives the files of a listing with their digests, in its order."""


def build_index(
    recipe: Recipe,
    plugin: Plugin,
    *,
    hints_path: str,
    threads: int,
    digest: str = "auto",
    remote: Callable[[SourceListing, HintCache], Iterable[Digested]] | None = None,
    hashers: HashersFor | None = None,
) -> Index:
    """List, label and digest everything the recipe's sources select.

    The recipe's static checks have passed. Raises DataError (or ErrorGroup) for sources and label tables that cannot be used, for record
    ids that meet, and, under ``on_error: fail``, for files without a label, with names that are not text, or that cannot be read; under
    ``quarantine`` these become ledger rows in ``bad``. Loaders of the plugin list its own source types. `digest` is 'auto' or 'sha256', see
    `digest_kind`; `remote` computes the SHA-256 of files on a store, for recipes that have any, `hashers` that of others. Temporary files
    for what does not fit in memory lie next to the hints.
    """
    scratch = os.path.dirname(hints_path)
    sources = make_sources(recipe, plugin.kind)
    listings, labellings = list_and_label(recipe, plugin, sources, scratch=scratch)
    strict = recipe.model.Input.on_error == "fail"
    # Before any byte is read: these errors should come at once.
    check_files(listings, labellings, strict=strict, dtype=label_dtype(recipe))
    hints = HintCache(hints_path)
    kind = digest_kind(listings, asked=digest) if any(source.remote for source in sources) else SHA256

    def digester(listing: SourceListing) -> Iterable[Digested]:
        if kind == MD5:
            return (Digested(file, file.md5) for file in listing.files)
        if listing.source.remote:
            assert remote is not None
            return remote(listing, hints)
        return digest_files(listing, hints=hints, threads=threads, hashers=hashers)

    index = assemble(listings, labellings, digester, kind=kind, strict=strict, scratch=scratch)
    return replace(index, run_notes=tuple(hints.notes))


def list_and_label(
    recipe: Recipe, plugin: Plugin, sources: Sequence[Source], *, scratch: str = ""
) -> tuple[list[SourceListing], list[Labelling]]:
    """The files of some sources of a recipe, and their labels. Reads names and label tables only; raises as `build_index` does."""
    third = plugin.loaders
    listings = _collect(
        partial(list_by_plugin, source, third[source.type], scratch=scratch)
        if source.type in third
        else partial(list_source, source, scratch=scratch)
        for source in sources
    )
    rule = label_rule(recipe, plugin)
    raise_all(rule.errors)
    wanted = wanted_fields(recipe.model, plugin.kind.field)
    return listings, _collect(partial(label_files, listing, rule.derivation, wanted=wanted) for listing in listings)


def label_dtype(recipe: Recipe) -> str:
    """The dtype that Output declares for labels as they come from folders and tables; 'str' where a featurization makes other ones."""
    field = recipe.model.Labels.field
    made = any(step.output_field == field for step in recipe.model.Featurizations)
    declared = recipe.model.Output.record_schema.get(field)
    return "str" if made or declared is None else declared.dtype


def assemble(
    listings: Sequence[SourceListing],
    labellings: Sequence[Labelling],
    digest: Digester,
    *,
    kind: str = SHA256,
    strict: bool = True,
    scratch: str = "",
) -> Index:
    """The index of some checked listings, whose files `digest` digests in their order."""
    gathered = Gathered(scratch, kind=kind)
    for listing, labelling in zip(listings, labellings, strict=True):
        gathered.add_source(listing.source.name, labelling, digest(listing))
    raise_all(gathered.faults.errors(strict=strict))
    sources = [listing.source for listing in listings]
    return Index(
        sources=tuple(sources),
        entries=gathered.entries,
        facts=gathered.facts(),
        input_hash=input_hash(gathered.hashes, [(s.name, lab.table) for s, lab in zip(sources, labellings, strict=True) if lab.table]),
        selection=Selection(tuple(listing.selection for listing in listings)),
        selection_warnings=tuple(warning for listing in listings for warning in listing.warnings),
        notes=tuple(note for labelling in labellings for note in labelling.notes),
        label_warnings=tuple(w for lab in labellings for w in lab.warnings),
        hashed=gathered.hashed,
        bad=gathered.bad,
        refused=gathered.refused,
        kind=kind,
        scratch=scratch,
    )


class Gathered:
    """Collects digested files: entries by key, lost records, and the hash of each source."""

    def __init__(self, scratch: str = "", *, kind: str = SHA256) -> None:
        self.kind = kind
        self.entries = Sorter(key=lambda entry: entry.key, make=Entry._make, folder=scratch)
        self.bad = Sorter(key=lambda row: record_key(row.record_id), make=LedgerRow._make, folder=scratch)
        self.refused = Sorter(key=lambda entry: entry.key, make=Entry._make, folder=scratch)
        self.hashes: list[SourceHash] = []
        self.faults = ReadingFaults()
        self.hashed = 0
        self._files: list[int] = []
        self._bytes = 0
        self._partitions: set[str] = set()

    def add_source(self, name: str, labelling: Labelling, files: Iterable[Digested]) -> None:
        """The next source, whose files come in the order of their listing."""
        number, before = len(self.hashes), len(self.entries)
        hashes = SourceHash(name)
        self.hashes.append(hashes)
        for k, done in enumerate(files):
            file, sha = done.file, done.digest
            path = file.path if file.path.isascii() else nfc(file.path)
            hashes.add(path_key(file), file.size, self.kind if sha is not None else "unreadable", sha.hex() if sha else "")
            self.hashed += done.hashed
            record_id, given = f"{name}/{path}", labelling.give(k, file)
            if done.problem is not None:
                self.faults.add(record_id, done.problem)
            if (problem := _problem(done, given)) is not None or sha is None:
                word, detail = problem or ("unreadable", "")
                named = record_id if is_text(record_id) else display(record_id)
                self.bad.add(LedgerRow(named, "", "Input", "", word, detail))
                self.refused.add(Entry(number, file.path, named, file.size, sha or b"", None, "", {}, record_key(named)))
                continue
            partition = nfc(file.partition) if file.partition else ""
            key = record_key(record_id)
            self.entries.add(Entry(number, file.path, record_id, file.size, sha, given.label, partition, given.fields, key))
            self._bytes += file.size
            self._partitions.add(partition)
        self._files.append(len(self.entries) - before)

    def facts(self) -> Facts:
        """The facts about all collected files."""
        return Facts(tuple(self._files), self._bytes, tuple(sorted(self._partitions - {""})))


def _collect(steps: Iterable[Callable[[], _T]]) -> list[_T]:
    """Run one step for each source and raise all their errors together, so that a user mends all sources in one go."""
    out: list[_T] = []
    errors: list[RefineryError] = []
    for step in steps:
        try:
            out.append(step())
        except RefineryError as error:
            errors.append(error)
    raise_all(errors)
    return out


def _problem(done: Digested, given: Given) -> tuple[str, str] | None:
    if not is_text(done.file.path):
        return "bad_name", "the file name is not valid UTF-8"
    if done.problem is not None:
        return done.problem
    if given.missing:
        return "label_missing", given.missing
    return None
