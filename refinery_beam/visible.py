r"""Text from outside, made fit to be printed: no name can move a cursor, colour a terminal, turn the direction of writing, or break a line.

There are two kinds of text. A *name* (a path, a label, a record id, a cell of a table) is somebody else's, whole: `display` escapes what
cannot be printed and doubles backslashes, so that two different names never look alike. *Words* were composed here, with names in them that
are displayed already: `visible` only escapes what slipped through, and leaves backslashes alone.

Not printable is what `str.isprintable` says: controls of both sets (C0, C1), characters that turn the direction of writing, those without
width, separators of lines, spaces other than the space, surrogates, and what Unicode has not assigned.
"""

from __future__ import annotations

import json
import re
from typing import Any

NAME_CHARACTERS = 4_096
"""Of a longer name the beginning and the end are shown. The paths of Linux are not longer."""

_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")


def display(text: str) -> str:
    r"""A name with everything unprintable escaped and backslashes doubled: what is shown tells two different names apart.

    >>> display("caf\udce9\n.png")
    'caf\\xe9\\n.png'
    >>> display("a\nb") == display(r"a\nb")
    False
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join("\\\\" if c == "\\" else c if c.isprintable() else _escape(c) for c in text)


def visible(text: str) -> str:
    r"""One line of words with everything unprintable escaped. A line break inside it is one of a name, and becomes a sign of its own, which
    no backslash in a name looks like.

    >>> print(visible("red\x1b[31m, a\nb, \u202egnp"))
    red\x1b[31m, a␤b, \u202egnp
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "␤" if c == "\n" else _escape(c) for c in text)


def shorten(text: str, limit: int = NAME_CHARACTERS) -> str:
    """A text of at most about `limit` characters: its beginning, how much is left out, its end.

    >>> shorten("a" * 1_000_000, 20)
    'aaaaaaaaaa…(999,980 more)…aaaaaaaaaa'
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}…({len(text) - 2 * half:,} more)…{text[-half:]}"


def name(text: str, limit: int = NAME_CHARACTERS) -> str:
    """A name as it is printed: shortened, then displayed."""
    return display(shorten(text, limit))


def json_text(body: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    r"""JSON that can be printed on a terminal and parses to the very same values: what is not printable is a ``\u`` escape.

    >>> json_text({"name": "é\u202e\x85\U000e0001\udce9"})
    '{"name": "é\\u202e\\u0085\\udb40\\udc01\\udce9"}'
    """
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, indent=indent, sort_keys=sort_keys)
    return "\n".join(line if line.isprintable() else _NOT_PRINTABLE.sub(_json_escape, line) for line in text.split("\n"))


def _json_escape(found: re.Match[str]) -> str:
    char = found.group()
    return char if char.isprintable() else json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # a byte of a name that is no UTF-8
    return char.encode("unicode_escape").decode()
