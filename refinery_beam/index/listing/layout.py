"""Matches layouts (`recipe.layout`) against relative posix paths: the path of a file gives its label and split.

All three arrangements are layouts: class folders are ``{label}/{file}`` and flat sources ``**/{file}``, so a lister of another kind of
store only has to produce relative paths.
"""

from __future__ import annotations

from typing import NamedTuple

from refinery_beam.identity import nfc
from refinery_beam.recipe.layout import layout_segments

FOLDER = "{label}/{file}"
FLAT = "**/{file}"

# Folders whose match is remembered; a source may have as many folders as files.
_REMEMBERED = 16_384


class Match(NamedTuple):
    """The label and split of a path: its segments in Unicode NFC, None where the template has no such token."""

    label: str | None
    split: str | None


class Layout:
    """A parsed layout. Raises `recipe.layout.LayoutError` for one that breaks the grammar.

    >>> Layout("{split}/**/{label}/{file}").match("train/a/b/cat/1.png")
    Match(label='cat', split='train')
    >>> Layout("{label}/{file}").match("1.png") is None
    True
    """

    def __init__(self, template: str) -> None:
        segments = layout_segments(template)
        self.template = template
        star = segments.index("**") if "**" in segments else len(segments)
        self._head = segments[:star]
        self._tail = segments[star + 1 :]
        self._open = star < len(segments)
        self.has_label = "{label}" in segments
        self.has_split = "{split}" in segments
        self._matches: dict[str, Match | None] = {}

    def match(self, path: str) -> Match | None:
        """The label and split of a relative posix path, or None if the template does not match it."""
        # {file} takes any name, so the folder decides; most files share theirs with many.
        folder = path.rpartition("/")[0]
        try:
            return self._matches[folder]
        except KeyError:
            if len(self._matches) >= _REMEMBERED:
                self._matches.clear()
            found = self._matches[folder] = self._match(nfc(path).split("/"))
            return found

    def _match(self, parts: list[str]) -> Match | None:
        head, tail = self._head, self._tail
        fixed = len(head) + len(tail)
        if len(parts) < fixed or (len(parts) > fixed and not self._open):
            return None
        label: str | None = None
        split: str | None = None
        pairs = zip(head + tail, parts[: len(head)] + parts[len(parts) - len(tail) :], strict=True)
        for segment, part in pairs:
            if segment == "{label}":
                label = part
            elif segment == "{split}":
                split = part
            elif segment not in ("{file}", "*") and segment != part:
                return None
        return Match(label, split)
