"""List a source: which files it selects, sorted, each with what its place says of it.

Two steps, so that another store is another first step only: a *walk* yields every file with an image extension below a root as a relative
posix path with its size (`walk_local` here; a lister for object stores would sit beside it), and `select` gives each its label and
partition from the source's layout. What is not selected is counted, never silently dropped: by extension (``.txt``, ``(none)`` without
one) or under the words

=============  ===============================================================================
hidden         names that start with a dot, and Thumbs.db
nested         ``image_folder``: files deeper than one level below their class folder
top_level      ``image_folder``: images that lie in no class folder
unmatched      ``image_tree``: images the layout does not describe
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

from refinery_beam.errors import DataError
from refinery_beam.index.layout import FLAT, FOLDER, Layout, LayoutError
from refinery_beam.index.tables import LabelSpec
from refinery_beam.index.text import display, plural

IMAGE_EXTENSIONS = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff")

FOLDER_TYPES = ("image_folder", "image_flat", "image_tree")
"""The source types listed here; others are listed by the loaders of plugins."""

# A path may lead through this many linked folders. Loops are found by device and inode; this bounds folders that link crosswise.
_MAX_LINKS = 4


class FileFact(NamedTuple):
    """One selected file. ``path`` is relative to the source's root, posix, exactly as the file system has it (undecodable bytes as
    surrogates); ``label`` and ``partition`` are what its place says, None where it says nothing."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    label: str | None
    partition: str | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source as the index and the workers need it. ``root`` is absolute; ``layout`` is '' unless the type is ``image_tree``;
    ``place`` and ``layout_place`` are where the recipe names the path and the layout, for messages."""

    name: str
    type: str
    root: str
    partition: str = ""
    unlabeled: bool = False
    layout: str = ""
    label_from: LabelSpec | None = None
    extensions: tuple[str, ...] = IMAGE_EXTENSIONS
    place: str = field(default="", compare=False)
    layout_place: str = field(default="", compare=False)


@dataclass(frozen=True)
class SourceListing:
    """What a source selects: ``files`` sorted by the UTF-8 bytes of their NFC path, ``skipped`` counts by extension or word, ``notes``."""

    source: Source
    files: list[FileFact]
    skipped: dict[str, int]
    notes: tuple[str, ...]


class Walk(NamedTuple):
    """Every file below a root whose extension counts: (relative path, size, mtime_ns, ctime_ns, inode) rows in no order; the names of the
    folders at the top; counts of what was passed over."""

    files: list[tuple[str, int, int, int, int]]
    folders: list[str]
    skipped: dict[str, int]


def list_source(source: Source) -> SourceListing:
    """List one local source.

    Raises DataError: the path is not a folder, a folder cannot be read, an ``image_folder`` has no class folder, no image is selected, or
    the layout breaks its grammar. Messages name the place in the recipe.

    >>> import tempfile, pathlib
    >>> root = tempfile.mkdtemp(); pathlib.Path(root, "cat").mkdir(); _ = pathlib.Path(root, "cat", "1.PNG").write_bytes(b"x")
    >>> listing = list_source(Source(name="pets", type="image_folder", root=root))
    >>> [(f.path, f.size, f.label) for f in listing.files], listing.skipped
    ([('cat/1.PNG', 1, 'cat')], {})
    """
    layout = parse_layout(source)
    return select(source, layout, walk_local(source))


def parse_layout(source: Source) -> Layout:
    """The layout of a source's type, or of its own template; DataError at the source's place when it breaks the grammar."""
    if source.type == "image_folder":
        return Layout(FOLDER)
    if source.type == "image_flat":
        return Layout(FLAT)
    if source.type != "image_tree":
        raise DataError(
            f"source {source.name!r}: no lister for type {source.type!r}",
            code="source-type",
            place=source.place,
            value=source.type,
            rule="folders are listed as image_folder, image_flat or image_tree",
            remedy="choose one of these types",
        )
    try:
        if not source.layout:
            raise LayoutError("image_tree without a layout", "add layout, for example '{split}/{label}/{file}'")
        return Layout(source.layout)
    except LayoutError as error:
        raise DataError(
            f"source {source.name!r}: {error.args[0]}",
            code="layout",
            place=source.layout_place or source.place,
            value=source.layout,
            rule="a layout is '/'-separated {label}, {split}, *, ** and plain names, with {file} last",
            remedy=error.args[1],
        ) from None


def walk_local(source: Source) -> Walk:
    """Walk a local folder: one scan a folder, one stat a file, linked folders followed, never twice on one path."""
    root = source.root
    wanted = frozenset(source.extensions)
    known: dict[str, str] = {}  # raw extension -> '' when wanted, else the word it is counted under
    files: list[tuple[str, int, int, int, int]] = []
    folders: list[str] = []
    skipped: dict[str, int] = {}

    def skip(word: str) -> None:
        skipped[word] = skipped.get(word, 0) + 1

    try:
        top = os.stat(root)
    except OSError as error:
        raise _not_a_folder(source, "does not exist" if isinstance(error, FileNotFoundError) else _reason(error)) from None
    # Each entry: prefix of relative paths, the (device, inode) of the folders above and of this one, links passed so far.
    stack: list[tuple[str, tuple[tuple[int, int], ...], int]] = [("", ((top.st_dev, top.st_ino),), 0)]
    while stack:
        prefix, above, links = stack.pop()
        try:
            scan = os.scandir(os.path.join(root, prefix))
        except NotADirectoryError:
            raise _not_a_folder(source, "is not a folder") from None
        except OSError as error:
            raise _unreadable(source, prefix, error) from None
        with scan:
            for entry in scan:
                name = entry.name
                if name.startswith("."):
                    skip("hidden")
                    continue
                try:
                    if entry.is_dir():
                        facts = entry.stat()
                        key = (facts.st_dev, facts.st_ino)
                        hops = links + entry.is_symlink()
                        if key in above or hops > _MAX_LINKS:
                            skip("link_loop")
                            continue
                        stack.append((f"{prefix}{name}/", (*above, key), hops))
                        if not prefix:
                            folders.append(name)
                        continue
                    stem, _, extension = name.rpartition(".")
                    if not stem:
                        extension = ""
                    word = known.get(extension)
                    if word is None:
                        word = known[extension] = _count_word(extension, wanted)
                    if word:
                        skip("hidden" if name.lower() == "thumbs.db" else word if entry.is_file() else _odd_word(entry))
                    elif entry.is_file():
                        facts = entry.stat()
                        files.append((prefix + name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino))
                    else:
                        skip(_odd_word(entry))
                except FileNotFoundError:
                    skip("broken_link")  # removed while we looked, or a link into nothing
                except OSError as error:
                    if entry.is_symlink():
                        skip("broken_link")  # a link to itself
                    else:
                        raise _unreadable(source, prefix + name, error) from None
    return Walk(files, folders, skipped)


def select(source: Source, layout: Layout, walk: Walk) -> SourceListing:
    """Give every walked file what its place says, count what the layout leaves out, and refuse a source that selects nothing."""
    folder_type = source.type == "image_folder"
    skipped = dict(walk.skipped)
    partition = source.partition or None
    files: list[FileFact] = []
    for path, size, mtime_ns, ctime_ns, inode in walk.files:
        match = layout.match(path)
        if match is None:
            word = "unmatched" if not folder_type else "nested" if "/" in path else "top_level"
            skipped[word] = skipped.get(word, 0) + 1
            continue
        split = match.split if match.split is not None else partition
        files.append(FileFact(path, size, mtime_ns, ctime_ns, inode, match.label, split))
    if folder_type and not walk.folders:
        raise DataError(
            f"source {source.name!r}: no class folder in {display(source.root)!r}",
            code="no-class-folder",
            place=source.place,
            value=display(source.root),
            rule="image_folder expects one folder a class, with the images in it",
            remedy="point path at the folder that holds the class folders, or use type image_flat with label_from",
        )
    if not files:
        raise _no_image(source, skipped)
    files.sort(key=_sort_key)
    return SourceListing(source, files, dict(sorted(skipped.items())), tuple(_notes(source, walk, files, skipped)))


def _sort_key(file: FileFact) -> bytes:
    # NFC first: the k-th image must be the same image on a file system that stores names decomposed.
    path = file.path
    return os.fsencode(path if path.isascii() else unicodedata.normalize("NFC", path))


def _notes(source: Source, walk: Walk, files: list[FileFact], skipped: Mapping[str, int]) -> list[str]:
    notes = []
    if source.type == "image_folder":
        full = {f.path.partition("/")[0] for f in files}
        empty = sorted(display(name) for name in walk.folders if name not in full)
        if empty:
            shown = ", ".join(repr(name) for name in empty[:5]) + (", ..." if len(empty) > 5 else "")
            notes.append(f"source {source.name!r}: {plural(len(empty), 'class folder')} without an image: {shown}")
        if skipped.get("top_level"):
            notes.append(f"source {source.name!r}: {plural(skipped['top_level'], 'image')} outside any class folder skipped")
        if skipped.get("nested"):
            notes.append(f"source {source.name!r}: {plural(skipped['nested'], 'image')} deeper than a class folder skipped")
    if skipped.get("unmatched"):
        notes.append(f"source {source.name!r}: {plural(skipped['unmatched'], 'image')} not described by the layout skipped")
    return notes


def _count_word(extension: str, wanted: frozenset[str]) -> str:
    low = extension.lower()
    if low in wanted:
        return ""
    if not low:
        return "(none)"
    # Names such as 'notes.draft of monday 3' have no extension worth a line of its own.
    return "." + display(low) if len(low) <= 12 else "(other)"


def _odd_word(entry: os.DirEntry[str]) -> str:
    return "broken_link" if entry.is_symlink() and not os.path.exists(entry.path) else "special"


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _not_a_folder(source: Source, why: str) -> DataError:
    return DataError(
        f"source {source.name!r}: {display(source.root)!r} {why}",
        code="source-path",
        place=source.place,
        value=display(source.root),
        rule="a source's path is a folder that can be read; relative paths start at the recipe file's folder",
        remedy="correct the path, or mount what should be there",
    )


def _unreadable(source: Source, relative: str, error: OSError) -> DataError:
    where = display(os.path.join(source.root, relative))
    return DataError(
        f"source {source.name!r}: cannot read {where!r}: {_reason(error)}",
        code="unreadable-folder",
        place=source.place,
        value=where,
        rule="every folder below a source must be readable: what cannot be listed cannot be counted",
        remedy="give this user read and search permission, or move the folder out of the source",
    )


def _no_image(source: Source, skipped: Mapping[str, int]) -> DataError:
    tree = source.type == "image_tree" and bool(skipped.get("unmatched"))
    what = "matches the layout" if tree else "was found"
    seen = ", ".join(f"{word}: {count}" for word, count in sorted(skipped.items()))
    return DataError(
        f"source {source.name!r}: no image {what} in {display(source.root)!r}" + (f" (skipped {seen})" if seen else ""),
        code="no-images",
        place=(tree and source.layout_place) or source.place,
        value=source.layout if tree else display(source.root),
        rule="a source selects at least one file ending in " + ", ".join(source.extensions),
        remedy="correct the layout" if tree else "correct the path or the type of the source",
    )
