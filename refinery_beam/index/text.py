"""File names as words a person can read: no raw control characters, no bytes that are not text."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import display


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


class Few:
    """The first of many names and how many there are: all that a message needs, however many there are.

    >>> few = Few(2)
    >>> for name in ("a", "b", "c"): few.add(name)
    >>> str(few), few.count, few.first
    ("'a', 'b' and 1 more", 3, 'a')
    """

    def __init__(self, limit: int = 5) -> None:
        self.count = 0
        self._limit = limit
        self._names: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self._names) < self._limit:
            self._names.append(name)

    @property
    def first(self) -> str:
        """The first name as it is displayed."""
        return display(self._names[0])

    def __str__(self) -> str:
        shown = ", ".join(f"'{display(name)}'" for name in self._names)
        more = self.count - len(self._names)
        return f"{shown} and {more:,} more" if more else shown


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """The first names, displayed and quoted, and how many more there are.

    >>> first_few(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{display(name)}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
