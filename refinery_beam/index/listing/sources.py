"""Selects the files of a source: sorted, each with the label and partition that follow from its path.

Listing has two steps, so that another store is another first step only: a *walk* hands every file with an extension of its kind of data
below a root to a `Sieve` as it finds it (`walk_local`, `walk_remote`), and the sieve gives it the label and partition by the source's
layout. No list of all files is ever in memory. Every file that is not selected is noted (`left_out`): by extension (``.txt``, ``(none)``
without one) or under the words

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.errors import DataError, display
from refinery_beam.index.labels.tables import LabelSpec
from refinery_beam.index.listing.layout import FLAT, FOLDER, Layout
from refinery_beam.index.listing.left_out import LeftOut, SourceSelection
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
    (`plugins.kind.SourceType`; '' for a type that a loader lists); ``layout`` is '' unless files are arranged as a tree;
    ``follow_links`` says that links may lead out of it; ``at`` and ``layout_at`` are the positions of the path and the layout in the
    recipe, and ``noun`` the noun for files, ``advice`` what to do with files of other extensions, all for messages; ``shown`` is the root
    as it may be stored, '' for as it is."""

    name: str
    type: str
    root: str
    arrangement: str = ""
    extensions: tuple[str, ...] = ()
    partition: str = ""
    unlabeled: bool = False
    layout: str = ""
    follow_links: bool = False
    label_from: LabelSpec | None = None
    advice: Mapping[str, str] = field(default_factory=dict, compare=False)
    noun: str = field(default="file", compare=False)
    at: str = field(default="", compare=False)
    layout_at: str = field(default="", compare=False)
    shown: str = field(default="", compare=False)

    @property
    def hinted(self) -> str:
        """The root as hints name it, which are stored: without a secret, and by a variable's name where a variable says where it is."""
        return self.shown or self.root

    @property
    def remote(self) -> bool:
        """Whether it lies on an object store."""
        return locations.is_url(self.root)


@dataclass(frozen=True)
class SourceListing:
    """What a source selects: ``files`` in the order of the UTF-8 bytes of their NFC path. ``selection`` says what it leaves out.
    ``checksums`` is how many files have an MD5 from the listing; ``tagged`` says that some are ETags, which need not be one."""

    source: Source
    files: Sorter[FileFact]
    selection: SourceSelection
    checksums: int = 0
    tagged: bool = False

    @property
    def skipped(self) -> dict[str, int]:
        """How much was left out, by extension or word."""
        return dict(self.selection.counts)

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """(code, message) of what was left out that somebody will miss: whole class folders."""
        return tuple(bare_class_warnings(self.source, self.selection))


class Sieve:
    """What a walk fills, file by file: those the layout describes, and notes of everything else."""

    def __init__(self, source: Source, layout: Layout, *, scratch: str = "") -> None:
        self.source = source
        self.files = sorted_files(scratch)
        self.left_out = LeftOut()
        self._layout = layout
        self._wanted = frozenset(source.extensions)
        self._words: dict[str, str] = {}  # raw extension -> '' when wanted, else the word it is counted under
        self._partition = source.partition or None
        self._checksums = 0
        self._tagged = False
        self._folders: dict[str, bool] = {}  # folders at the top -> whether a file was selected in it

    def skip(self, word: str, path: str) -> None:
        """Note something that is not selected."""
        self.left_out.add(word, path)

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
            self.skip("unmatched" if not folder_type else "nested" if "/" in path else "top_level", path)
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
                f"source {source.name!r}: no class folder in '{display(source.root)}'",
                code="no-class-folder",
                at=source.at,
                value=source.root,
                type=source.type,
                noun=source.noun,
            )
        if not len(self.files):
            raise _no_file(source, self.left_out.counts)
        classes = source.arrangement == "folder"
        bare = [name for name, full in self._folders.items() if not full] if classes else []
        selection = self.left_out.selection(source.name, len(self.files), bare=bare)
        return SourceListing(source, self.files, selection, self._checksums, self._tagged)


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


def bare_class_warnings(source: Source, selection: SourceSelection) -> Iterator[tuple[str, str]]:
    """A class that loses all its files is a class that a model never meets: say which, and what lies there instead."""
    if not selection.bare_classes:
        return
    shown = "; ".join(f"'{one.folder}' holds {_holds(one.holds, source.noun)}" for one in selection.bare[:5])
    more = f"; and {selection.bare_classes - 5} more" if selection.bare_classes > 5 else ""
    kinds = {kind for one in selection.bare for kind in one.holds}
    remedy = f"; {source.noun}s are files ending in {', '.join(source.extensions)}" if any(k.startswith((".", "(")) for k in kinds) else ""
    remedy += "".join(f"; {kind}: {words}" for kind, words in sorted(source.advice.items()) if kind in kinds)
    remedy += '; type: image_tree with layout "{label}/**/{file}" takes nested ones' if "nested" in kinds and source.noun == "image" else ""
    counted = plural(selection.bare_classes, "class folder")
    yield "class-without-files", f"source '{display(source.name)}': {counted} without {_a(source.noun)}: {shown}{more}{remedy}"


def _holds(holds: Mapping[str, int], noun: str) -> str:
    words = {"nested": f"nested {noun}s", "hidden": "hidden files", "broken_link": "broken links", "link_loop": "linked loops"}
    said = [f"{count:,} {words.get(kind, kind)}" for kind, count in sorted(holds.items(), key=lambda item: (-item[1], item[0]))[:4]]
    return ", ".join(said) or "nothing"


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
        f"source {source.name!r}: no {source.noun} {what} in '{display(source.root)}'" + (f" (skipped {counts})" if counts else ""),
        code="no-images",
        at=(tree and source.layout_at) or source.at,
        value=source.layout if tree else display(source.root),
        rule="a source selects at least one file ending in " + ", ".join(source.extensions),
        remedy="correct the layout" if tree else None,
    )


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
