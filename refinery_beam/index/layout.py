"""Where a file lies says what it is: layout templates, matched against relative posix paths.

A template is ``/``-separated segments. ``{label}`` and ``{split}`` name the segment they stand for (each at most once), ``*`` is one
level, ``**`` is any number of levels, none included (at most once), ``{file}`` is the file itself (exactly once, last), anything else
is literal. All three folder types are layouts: ``image_folder`` is ``{label}/{file}`` and ``image_flat`` is ``**/{file}``, so a lister
of another kind of store only has to produce relative paths.
"""

from __future__ import annotations

from typing import NamedTuple

from refinery_beam.errors import closest
from refinery_beam.identity import nfc

FOLDER = "{label}/{file}"
FLAT = "**/{file}"

# Folders whose match is remembered; a source may have as many folders as files.
_REMEMBERED = 16_384

_TOKENS = ("{label}", "{split}", "{file}", "*", "**")


class LayoutError(ValueError):
    """A template breaks the grammar. ``args`` are (what is wrong, what to do)."""


class Match(NamedTuple):
    """What a path's place says: the label or split segment in Unicode NFC, None where the template has no such token."""

    label: str | None
    split: str | None


class Layout:
    """A parsed template. Raises `LayoutError` for one that breaks the grammar.

    >>> Layout("{split}/**/{label}/{file}").match("train/a/b/cat/1.png")
    Match(label='cat', split='train')
    >>> Layout("{label}/{file}").match("1.png") is None
    True
    """

    def __init__(self, template: str) -> None:
        segments = tuple(nfc(template).split("/"))
        _check(template, segments)
        self.template = template
        star = segments.index("**") if "**" in segments else len(segments)
        self._head = segments[:star]
        self._tail = segments[star + 1 :]
        self._open = star < len(segments)
        self.has_label = "{label}" in segments
        self.has_split = "{split}" in segments
        self._seen: dict[str, Match | None] = {}

    def match(self, path: str) -> Match | None:
        """The label and split a relative posix path carries, or None when the template does not describe it."""
        # {file} takes any name, so the folder decides; most files share theirs with many.
        folder = path.rpartition("/")[0]
        try:
            return self._seen[folder]
        except KeyError:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            found = self._seen[folder] = self._match(nfc(path).split("/"))
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


def _check(template: str, segments: tuple[str, ...]) -> None:
    if "" in segments:
        raise LayoutError(
            f"layout {template!r} has an empty segment", "write segments between single slashes, as in '{split}/{label}/{file}'"
        )
    for segment in segments:
        if segment in (".", ".."):
            raise LayoutError(f"layout segment {segment!r} is not a name", "a layout describes paths below the source's own folder")
        if segment not in _TOKENS and any(mark in segment for mark in "{}*"):
            hit = closest(segment, _TOKENS)
            hint = f"did you mean {hit!r}? " if hit else ""
            raise LayoutError(
                f"layout segment {segment!r} is neither a token nor a plain name",
                hint + "a token fills a whole segment: {label}, {split}, {file}, *, **",
            )
    for token in ("{label}", "{split}", "{file}", "**"):
        if segments.count(token) > 1:
            raise LayoutError(f"layout {template!r} has {token!r} more than once", f"keep one {token!r}")
    if segments[-1] != "{file}":
        raise LayoutError(f"layout {template!r} does not end with '{{file}}'", "end the layout with '/{file}'")
