"""Selects the files of a source: sorted, each with the label and partition that follow from its path.

Listing has two steps, so that another store is another first step only: a *walk* hands every file with an extension of its kind of data
below a root to a `Selection` as it finds it (`walk_local`, `walk_remote`), and the selection gives it the label and partition
by the source's layout. No list of all files is ever in memory. Every file that is not selected is counted: by extension (``.txt``,
``(none)`` without one) or under the words

=============  ===============================================================================
hidden         names that start with a dot, and Thumbs.db
nested         class folders: files deeper than one level below their class folder
top_level      class folders: files that lie in no class folder
unmatched      layouts: files the layout does not describe
broken_link    symbolic links that lead nowhere
link_loop      linked folders that lead back to a folder they lie in, or through too many links
special        sockets, pipes and devices
=============  ===============================================================================
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.errors import DataError, display
from refinery_beam.index.labels.tables import LabelSpec
from refinery_beam.index.listing.layout import FLAT, FOLDER, Layout
from refinery_beam.index.text import plural
from refinery_beam.sorting import Sorter


class FileFact(NamedTuple):
    """One selected file. ``path`` is relative to the source's root, posix, exactly as the file system has it (undecodable bytes as
    surrogates); ``label`` and ``partition`` follow from its path, None if they do not. A file on a store has no times and no inode;
    ``md5`` is its digest in the listing, b'' without one, and ``version`` changes when the file does."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    label: str | None
    partition: str | None
    md5: bytes = b""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source as the index and the workers need it. ``root`` is absolute; ``arrangement`` and ``extensions`` are those of its type
    (`plugins.kind.SourceType`; '' for a type that a loader lists); ``layout`` is '' unless files are arranged as a tree; ``at`` and
    ``layout_at`` are the positions of the path and the layout in the recipe, and ``noun`` the noun for files, all for messages."""

    name: str
    type: str
    root: str
    arrangement: str = ""
    extensions: tuple[str, ...] = ()
    partition: str = ""
    unlabeled: bool = False
    layout: str = ""
    label_from: LabelSpec | None = None
    noun: str = field(default="file", compare=False)
    at: str = field(default="", compare=False)
    layout_at: str = field(default="", compare=False)

    @property
    def remote(self) -> bool:
        """Whether it lies on an object store."""
        return locations.is_url(self.root)


@dataclass(frozen=True)
class SourceListing:
    """What a source selects: ``files`` in the order of the UTF-8 bytes of their NFC path, ``skipped`` counts by extension or word,
    ``notes``. ``checksums`` is how many files have an MD5 from the listing; ``tagged`` says that some are ETags, which need not be one."""

    source: Source
    files: Sorter[FileFact]
    skipped: dict[str, int]
    notes: tuple[str, ...]
    checksums: int = 0
    tagged: bool = False


class Selection:
    """What a walk fills, file by file: those the layout describes, and counts of everything else."""

    def __init__(self, source: Source, layout: Layout, *, scratch: str = "") -> None:
        self.source = source
        self.files = sorted_files(scratch)
        self.skipped: dict[str, int] = {}
        self._layout = layout
        self._wanted = frozenset(source.extensions)
        self._words: dict[str, str] = {}  # raw extension -> '' when wanted, else the word it is counted under
        self._partition = source.partition or None
        self._checksums = 0
        self._tagged = False
        self._folders: dict[str, bool] = {}  # folders at the top -> whether a file was selected in it

    def skip(self, word: str) -> None:
        """Count something that is not selected."""
        self.skipped[word] = self.skipped.get(word, 0) + 1

    def folder(self, name: str) -> None:
        """A folder at the top of the source."""
        self._folders.setdefault(name, False)

    def word_of(self, name: str) -> str:
        """'' for a file name with a wanted extension, else the word it is counted under."""
        stem, _, extension = name.rpartition(".")
        if not stem:
            extension = ""
        word = self._words.get(extension)
        if word is None:
            word = self._words[extension] = _count_word(extension, self._wanted)
        return "hidden" if word and name.lower() == "thumbs.db" else word

    def add(
        self,
        path: str,
        size: int,
        mtime_ns: int = 0,
        ctime_ns: int = 0,
        inode: int = 0,
        *,
        md5: bytes = b"",
        version: str = "",
        tagged: bool = False,
    ) -> None:
        """A file with a wanted extension; see `FileFact`. `tagged` says that its MD5 is an ETag."""
        match = self._layout.match(path)
        if match is None:
            folder_type = self.source.arrangement == "folder"
            self.skip("unmatched" if not folder_type else "nested" if "/" in path else "top_level")
            return
        split = match.split if match.split is not None else self._partition
        self.files.add(FileFact(path, size, mtime_ns, ctime_ns, inode, match.label, split, md5, version))
        self._checksums += bool(md5)
        self._tagged |= tagged
        top = path.partition("/")[0]
        if top in self._folders:
            self._folders[top] = True

    def listing(self) -> SourceListing:
        """The listing of a finished walk. Raises DataError for a source that selects nothing."""
        source = self.source
        if source.arrangement == "folder" and not self._folders:
            raise DataError(
                f"source {source.name!r}: no class folder in {display(source.root)!r}",
                code="no-class-folder",
                at=source.at,
                value=display(source.root),
                type=source.type,
                noun=source.noun,
            )
        if not len(self.files):
            raise _no_file(source, self.skipped)
        empty = sorted(display(name) for name, full in self._folders.items() if not full)
        notes = tuple(_notes(source, empty, self.skipped))
        return SourceListing(source, self.files, dict(sorted(self.skipped.items())), notes, self._checksums, self._tagged)


def sorted_files(scratch: str = "") -> Sorter[FileFact]:
    """An empty sorter of files by path; `scratch` is the folder for what does not fit in memory."""
    return Sorter(key=path_key, make=FileFact._make, folder=scratch)


def parse_layout(source: Source) -> Layout:
    """The layout of a source's arrangement, or its own. Check 31 has checked its grammar."""
    return Layout({"folder": FOLDER, "flat": FLAT}.get(source.arrangement, source.layout))


def path_key(file: FileFact) -> bytes:
    """The sort key of a file in its source: the UTF-8 bytes of its NFC path."""
    # NFC first: the k-th image must be the same image on a file system that stores names decomposed.
    path = file.path
    return os.fsencode(path if path.isascii() else unicodedata.normalize("NFC", path))


def _notes(source: Source, empty: list[str], skipped: Mapping[str, int]) -> list[str]:
    notes = []
    if source.arrangement == "folder":
        if empty:
            shown = ", ".join(repr(name) for name in empty[:5]) + (", ..." if len(empty) > 5 else "")
            notes.append(f"source {source.name!r}: {plural(len(empty), 'class folder')} without {_a(source.noun)}: {shown}")
        if skipped.get("top_level"):
            notes.append(f"source {source.name!r}: {plural(skipped['top_level'], source.noun)} outside any class folder skipped")
        if skipped.get("nested"):
            notes.append(f"source {source.name!r}: {plural(skipped['nested'], source.noun)} deeper than a class folder skipped")
    if skipped.get("unmatched"):
        notes.append(f"source {source.name!r}: {plural(skipped['unmatched'], source.noun)} not described by the layout skipped")
    return notes


def _count_word(extension: str, wanted: frozenset[str]) -> str:
    low = extension.lower()
    if low in wanted:
        return ""
    if not low:
        return "(none)"
    # Names such as 'notes.draft of monday 3' have no extension worth a line of its own.
    return "." + display(low) if len(low) <= 12 else "(other)"


def _no_file(source: Source, skipped: Mapping[str, int]) -> DataError:
    tree = source.arrangement == "tree" and bool(skipped.get("unmatched"))
    what = "matches the layout" if tree else "was found"
    counts = ", ".join(f"{word}: {count}" for word, count in sorted(skipped.items()))
    return DataError(
        f"source {source.name!r}: no {source.noun} {what} in {display(source.root)!r}" + (f" (skipped {counts})" if counts else ""),
        code="no-images",
        at=(tree and source.layout_at) or source.at,
        value=source.layout if tree else display(source.root),
        rule="a source selects at least one file ending in " + ", ".join(source.extensions),
        remedy="correct the layout" if tree else None,
    )


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
