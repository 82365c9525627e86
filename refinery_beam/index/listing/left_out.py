"""Notes what listing leaves out: how many of each kind in each folder, with examples.

Nothing of it enters a key: a stray file changes no dataset. It is kept so that a loss can be found later, so it is bounded whatever
the source holds, names no folder above the source, and does not depend on the order in which a walk meets the files.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from refinery_beam.errors import display
from refinery_beam.identity import canonical_bytes
from refinery_beam.index.text import plural

KINDS = 30
FOLDERS = 20
EXAMPLES = 3
DEPTH = 2
"""How many kinds a source shows, how many folders a kind, how many names a folder, and how many folders deep. Counts are exact."""

_SHOWN, _SAID = 200, 5
"""Characters of a name; kinds in a line of words."""


class Folder(NamedTuple):
    """What was left out below a folder ('' is the source's root): how many files, and the first names."""

    folder: str
    files: int
    examples: tuple[str, ...]


class Group(NamedTuple):
    """What was left out for one reason: an extension with its dot, or a word of `listing.sources`. The folders with most come first."""

    kind: str
    files: int
    folders: tuple[Folder, ...]
    more_folders: int


class BareClass(NamedTuple):
    """A class folder in which nothing was selected, and what lies in it by kind."""

    folder: str
    holds: Mapping[str, int]


@dataclass(frozen=True)
class SourceSelection:
    """What one source selects and leaves out. ``kinds`` are those with most files, ``more_kinds`` how many others there are; ``counts``
    has all of them. ``bare`` are the first of ``bare_classes`` class folders in which nothing was selected."""

    source: str
    selected: int
    counts: Mapping[str, int]
    kinds: tuple[Group, ...] = ()
    more_kinds: int = 0
    bare: tuple[BareClass, ...] = ()
    bare_classes: int = 0

    @property
    def left_out(self) -> int:
        """How many entries were left out."""
        return sum(self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data; unprintable characters of names are escaped."""
        return {
            "source": display(self.source),
            "selected": self.selected,
            "left_out": self.left_out,
            "kinds": [
                {
                    "kind": group.kind,
                    "count": group.files,
                    "folders": [{"folder": f.folder, "count": f.files, "examples": list(f.examples)} for f in group.folders],
                    "more_folders": group.more_folders,
                }
                for group in self.kinds
            ],
            "more_kinds": self.more_kinds,
            "bare_class_folders": [{"folder": one.folder, "holds": dict(one.holds)} for one in self.bare],
            "bare_class_folders_count": self.bare_classes,
        }


@dataclass(frozen=True)
class Selection:
    """What the sources of a recipe select and leave out, in the order of the recipe."""

    sources: tuple[SourceSelection, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the object under ``selection`` that verbs print with ``--json``."""
        return {"sources": [source.to_dict() for source in self.sources]}

    def as_json(self) -> bytes:
        """Canonical JSON, with a newline: the same bytes for the same files, wherever they lie.

        >>> Selection((SourceSelection("pets", 3, {}),)).as_json()[:50]
        b'{"sources":[{"bare_class_folders":[],"bare_class_f'
        """
        return canonical_bytes(self.to_dict()) + b"\n"

    def lines(self) -> list[str]:
        """One line a source that leaves anything out, with the folders where it lies."""
        return [
            f"source '{display(source.source)}': left out {'; '.join(_words(group) for group in source.kinds[:_SAID])}"
            + _more(len(source.kinds[_SAID:]) + source.more_kinds)
            for source in self.sources
            if source.kinds
        ]


class LeftOut:
    """Counts what a walk leaves out, file by file."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._folders: dict[str, dict[str, int]] = defaultdict(dict)
        self._examples: dict[tuple[str, str], list[str]] = {}

    def add(self, kind: str, path: str) -> None:
        """One entry at a relative posix path."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        folder = "/".join(path.split("/")[:-1][:DEPTH])
        folders = self._folders[kind]
        folders[folder] = folders.get(folder, 0) + 1
        examples = self._examples.setdefault((kind, folder), [])
        if len(examples) < EXAMPLES or path < examples[-1]:
            insort(examples, path)
            del examples[EXAMPLES:]

    def holds(self, top: str) -> dict[str, int]:
        """What was left out below a folder at the top, by kind."""
        found = {
            kind: sum(n for folder, n in folders.items() if folder == top or folder.startswith(top + "/"))
            for kind, folders in self._folders.items()
        }
        return {kind: n for kind, n in sorted(found.items()) if n}

    def selection(self, source: str, selected: int, *, bare: list[str]) -> SourceSelection:
        """All of it as a value; `bare` are the class folders in which nothing was selected."""
        kinds = sorted(self.counts, key=lambda kind: (-self.counts[kind], kind))
        classes = sorted(bare)
        return SourceSelection(
            source=source,
            selected=selected,
            counts=dict(sorted(self.counts.items())),
            kinds=tuple(self._group(kind) for kind in kinds[:KINDS]),
            more_kinds=max(0, len(kinds) - KINDS),
            bare=tuple(BareClass(_shown(name), self.holds(name)) for name in classes[:FOLDERS]),
            bare_classes=len(classes),
        )

    def _group(self, kind: str) -> Group:
        folders = sorted(self._folders[kind].items(), key=lambda item: (-item[1], item[0]))
        shown = tuple(
            Folder(_shown(name), count, tuple(_shown(path) for path in self._examples[kind, name])) for name, count in folders[:FOLDERS]
        )
        return Group(kind, self.counts[kind], shown, max(0, len(folders) - FOLDERS))


def _shown(path: str) -> str:
    text = display(path)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _words(group: Group) -> str:
    first = group.folders[0]
    where = f" in '{first.folder}/'" if first.folder else ""
    rest = len(group.folders) - 1 + group.more_folders
    where += f" and {plural(rest, 'other folder')}" if rest else ""
    return f"{group.files:,} {group.kind}{where} (such as '{first.examples[0]}')"


def _more(kinds: int) -> str:
    return f"; and {plural(kinds, 'other kind')}" if kinds else ""
