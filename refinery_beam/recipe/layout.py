"""The grammar of a source's ``layout``: how the paths below it are built.

A layout is segments between slashes. ``{label}`` and ``{split}`` name the segment they stand for (each at most once), ``*`` is one folder,
``**`` is any number of folders, none included (at most once), ``{file}`` is the file itself (exactly once, last), anything else is literal.
"""

from __future__ import annotations

from refinery_beam.errors import closest
from refinery_beam.identity import nfc

RULE = "between '/' stand {label} and {split} (at most once), '*', '**' (at most once), literal text, and last {file}"
_TOKENS = ("{label}", "{split}", "{file}", "*", "**")


class LayoutError(ValueError):
    """A layout breaks the grammar: ``problem`` says what it does, ``remedy`` what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy


def layout_segments(layout: str) -> tuple[str, ...]:
    """The segments of a layout, in Unicode NFC. Raises LayoutError for one that breaks the grammar.

    >>> layout_segments("{split}/{label}/**/{file}")
    ('{split}', '{label}', '**', '{file}')
    """
    segments = tuple(nfc(layout).split("/"))
    if "" in segments:
        raise LayoutError("has an empty segment", "write segments between single slashes, as in '{split}/{label}/{file}'")
    if any(ord(ch) < 32 for ch in layout):
        raise LayoutError("holds a control character", "write printable text")
    for segment in segments:
        if segment in (".", ".."):
            raise LayoutError(f"has the segment {segment!r}", "describe paths below the source's own folder")
        if segment not in _TOKENS and any(character in segment for character in "{}*"):
            meant = closest(segment, _TOKENS)
            hint = f"did you mean {meant!r}? " if meant else ""
            raise LayoutError(
                f"has the segment {segment!r}, which is neither a token nor a plain name",
                hint + "a token fills a whole segment: " + ", ".join(_TOKENS),
            )
    for token in ("{label}", "{split}", "{file}", "**"):
        if segments.count(token) > 1:
            raise LayoutError(f"has {token} more than once", f"keep one {token}")
    if segments[-1] != "{file}":
        raise LayoutError("does not end in {file}", "end the layout with '/{file}', for example {label}/**/{file}")
    return segments
