"""Lists what lies in a folder: pictures, tables and other files, folder by folder. Reads names only."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from refinery_beam.errors import DataError, display
from refinery_beam.locations import why_absent
from refinery_beam.plugins.base import Kind
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.scaffold.facts import SourceFacts

TABLES = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".parquet", ".pq")
DEPTH = 8

_SPLITS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "eval"),
    "test": ("test", "testing", "tst", "holdout"),
}
_PICTURES = {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "jpeg", "jpegimages", "jpgs", "pngs"}
_NO_LABELS = ("submission", "submissions")


@dataclass
class Folder:
    """A folder below the surveyed one. ``images``, ``tables`` and ``others`` (by extension) are what lies directly in it."""

    path: str
    relative: str
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders: list[Folder] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its own name."""
        return os.path.basename(self.path)

    def walk(self) -> Iterator[Folder]:
        """This folder and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    @property
    def total(self) -> int:
        """How many pictures lie in it, at any depth."""
        return sum(len(folder.images) for folder in self.walk())

    @property
    def classes(self) -> list[Folder]:
        """The folders directly in it that hold pictures directly."""
        return [folder for folder in self.folders if folder.images]

    def paths(self) -> list[str]:
        """The pictures at any depth, as relative posix paths from here, sorted."""
        start = len(self.path.rstrip("/")) + 1
        return sorted(os.path.join(folder.path, name)[start:] for folder in self.walk() for name in folder.images)


def survey(path: str) -> Folder:
    """Everything below a folder, to a depth of `DEPTH`. DataError for what cannot be listed. Hidden names are passed over."""
    if not os.path.isdir(path):
        why = f"it {'is no folder' if os.path.exists(path) else why_absent(path)}"
        raise DataError(f"init makes nothing of the folder: {why}", code="init-layout", at=path, remedy="correct the path")
    return _survey(path, "", ())


def first_pictures(source: SourceFacts, count: int) -> list[tuple[str, str]]:
    """(name, location) of the first pictures of a source, folder by folder in the order of names. Looks no further than it must."""
    found: list[tuple[str, str]] = []
    for folder, folders, names in os.walk(source.path):
        folders.sort()
        pictures = [os.path.join(folder, name) for name in sorted(names) if _extension(name) in extensions()]
        found += [(f"{source.name}/{os.path.relpath(path, source.path)}", path) for path in pictures]
        if len(found) >= count:
            break
    return found[:count]


def split_of(name: str) -> str:
    """The split that a name speaks of: 'train', 'val', 'test', or '' for none or several.

    >>> split_of("train_images"), split_of("Validation"), split_of("trainer"), split_of("testTrain")
    ('train', 'val', '', '')
    """
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    found = [split for split, known in _SPLITS.items() if words & set(known)]
    return found[0] if len(found) == 1 else ""


def is_split_word(name: str) -> str:
    """The split that a whole name is a word for, else ''.

    >>> is_split_word("valid"), is_split_word("train_images")
    ('val', '')
    """
    return next((split for split, known in _SPLITS.items() if name.strip().lower() in known), "")


def holds_pictures(folder: Folder) -> bool:
    """Whether a folder's name says that pictures lie in it: it is no class then."""
    return bool(set(re.findall(r"[a-z]+", folder.name.lower())) & _PICTURES)


def is_submission(name: str) -> bool:
    """Whether a table is a form to fill in, whose labels mean nothing."""
    return bool({word.lower() for word in re.findall(r"[A-Za-z]+", name)} & set(_NO_LABELS)) or "submission" in name.lower()


def images_kind() -> Kind:
    """The kind of data that `init` knows."""
    return find_plugin("image_classification").kind


@cache
def extensions() -> frozenset[str]:
    """The extensions of pictures, in lower case."""
    return frozenset(e for known in images_kind().source_types.values() for e in known.extensions)


def _survey(path: str, relative: str, above: tuple[tuple[int, int], ...]) -> Folder:
    found = Folder(path, relative)
    try:
        facts = os.stat(path)
        key = (facts.st_dev, facts.st_ino)
        if key in above or len(above) > DEPTH:
            return found
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(path, error) from None
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        try:
            if entry.is_dir():
                found.folders.append(_survey(entry.path, f"{relative}{name}/", (*above, key)))
            elif not entry.is_file():
                continue
            elif _extension(name) in extensions():
                found.images.append(name)
            elif name.lower().removesuffix(".gz").endswith(TABLES):
                found.tables.append(name)
            else:
                found.others["." + display(_extension(name)) if _extension(name) else "(none)"] += 1
        except OSError as error:
            raise _unreadable(entry.path, error) from None
    return found


def _extension(name: str) -> str:
    stem, _, extension = name.rpartition(".")
    return extension.casefold() if stem else ""


def _unreadable(path: str, error: OSError) -> DataError:
    return DataError(
        f"init cannot read '{display(path)}': {(error.strerror or type(error).__name__).lower()}",
        code="unreadable-folder",
        at=path,
        value=path,
    )
