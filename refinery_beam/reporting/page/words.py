"""How the page writes names, numbers and sizes. Names come from files and tables: they are made visible, shortened and isolated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from refinery_beam.errors import display
from refinery_beam.reporting.page.bounds import NAME_CHARACTERS, TEXT_CHARACTERS

_NAME = Markup('<bdi class="name">{}</bdi>')


def shortened(text: str, most: int) -> str:
    """The beginning and the end of a long text, and how much is left out between them.

    >>> shortened("a" * 1000 + "b", 20)
    'aaaaaaaaaa…(981 more)…aaaaaaaaab'
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}…({len(text) - 2 * half:,} more)…{text[-half:]}"


def plain(text: object, most: int = NAME_CHARACTERS) -> str:
    """A name as text of one line, for attributes and inside of sentences."""
    return _fitted(str(text), most, display)


def _fitted(text: str, most: int, shown: Callable[[str], str]) -> str:
    """A text as it is shown, of at most about `most` characters and three times as many bytes in the page: signs that are escaped count for
    what they become.
    """
    limit = most
    while True:
        found = shown(shortened(text, limit))
        weight = len(escape(found).encode())
        if weight <= 3 * most or limit < 8:
            return found
        limit = limit * 3 * most // (weight + most)


def name(text: object, most: int = NAME_CHARACTERS) -> Markup:
    """A name as an element: writing from right to left does not turn what stands around it."""
    return _NAME.format(plain(text, most))


def sentence(text: object, most: int = TEXT_CHARACTERS) -> Markup:
    """A message or a detail. Names in it were made visible when it was composed; what slipped through is now."""
    return _NAME.format(_fitted(str(text), most, _visible))


def coded(text: str) -> Markup:
    """A sentence of ours, in which names of facts and options stand between backticks.

    >>> str(coded("a filter on `std` < 3"))
    'a filter on <code>std</code> &lt; 3'
    """
    pieces = _fitted(text, TEXT_CHARACTERS, _visible).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(piece) if i % 2 else escape(piece) for i, piece in enumerate(pieces))


def _visible(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else display(c) for c in text)


def number(value: int | float | None) -> str:
    """A number with separators; a whole one without a point.

    >>> number(1234), number(84.7), number(None)
    ('1,234', '84.7', '-')
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def share(part: int, whole: int) -> str:
    """A share in percent.

    >>> share(1, 3), share(0, 0), share(1, 100_000)
    ('33.3%', '-', '<0.1%')
    """
    if not whole:
        return "-"
    if 0 < 1000 * part < whole:
        return "<0.1%"
    tenths = (2000 * part + whole) // (2 * whole)
    return f"{tenths // 10}.{tenths % 10}%"


def plural(count: int, word: str) -> str:
    """
    >>> plural(1, "class"), plural(3, "class"), plural(2, "record")
    ('1 class', '3 classes', '2 records')
    """
    return f"{count:,} {word}" + ("" if count == 1 else "es" if word.endswith("s") else "s")


def parameters(params: dict[str, Any]) -> str:
    """Parameters of an operation in one line."""
    return ", ".join(f"{key} {_value(value)}" for key, value in sorted(params.items()) if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def lines(text: str) -> str:
    """A text of several lines, with everything else that is not printable made visible."""
    return "\n".join(map(_visible, text.split("\n")))
