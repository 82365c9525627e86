"""File names as words a person can read: no raw control characters, no bytes that are not text."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import display

__all__ = ["display", "first_few", "is_text", "plural"]


def is_text(name: str) -> bool:
    """Whether a file name was valid UTF-8 (undecodable bytes arrive as lone surrogates)."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "image"), plural(4000, "image")
    ('1 image', '4,000 images')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """The first names, displayed and quoted, and how many more there are.

    >>> first_few(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{display(name)}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
