"""Plain data as YAML that every reader, of any version, takes for exactly that data: block style, keys in order, lists of words in a line.

PyYAML's own emitter is not used: its bytes follow the version of the library, and it writes words bare that YAML 1.2 reads otherwise.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Words that some YAML reader, of any version, takes for something else than text.
_SPECIAL = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf", "infinity"])
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")


def to_yaml(value: dict[str, Any]) -> str:
    """A mapping as a YAML document.

    >>> print(to_yaml({"a": [1, "no"], "b": [{"c": None, "d": {}}]}), end="")
    a: [1, "no"]
    b:
      - c: null
        d: {}
    """
    lines: list[str] = []
    _mapping(value, 0, lines)
    return "\n".join(lines) + "\n"


def _mapping(value: dict[str, Any], depth: int, lines: list[str]) -> None:
    for key, item in value.items():
        _entry("  " * depth + quoted(key) + ":", item, depth, lines)


def _entry(head: str, item: Any, depth: int, lines: list[str]) -> None:
    if isinstance(item, dict) and item:
        lines.append(head)
        _mapping(item, depth + 1, lines)
    elif isinstance(item, list) and any(isinstance(i, dict | list) for i in item):
        lines.append(head)
        for inner in item:
            _item(inner, depth + 1, lines)
    else:
        lines.append(f"{head} {on_one_line(item)}")


def _item(item: Any, depth: int, lines: list[str]) -> None:
    pad = "  " * depth
    if isinstance(item, dict) and item:
        at = len(lines)
        _mapping(item, depth + 1, lines)
        lines[at] = pad + "- " + lines[at].lstrip(" ")
    else:
        lines.append(f"{pad}- {on_one_line(item)}")


def on_one_line(item: Any) -> str:
    """A value in one line."""
    if isinstance(item, list):
        return "[" + ", ".join(on_one_line(i) for i in item) + "]"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{quoted(k)}: {on_one_line(v)}" for k, v in item.items()) + "}"
    if isinstance(item, str):
        return quoted(item)
    return json.dumps(item, allow_nan=False)


def quoted(text: str, *, path: bool = False) -> str:
    """Text as YAML that every reader takes for exactly this text: bare where that is safe, else in double quotes.

    With `path` what begins with ``./`` or ``../`` may be bare too.

    >>> quoted("train"), quoted("no"), quoted("5"), quoted("a: b")
    ('train', '"no"', '"5"', '"a: b"')
    """
    relative = path and text.startswith(("./", "../"))
    if _PLAIN.match(f"_{text}" if relative else text) and text.casefold() not in _SPECIAL and len(text) < 100:
        return text
    return '"' + "".join(_escape(c) for c in text) + '"'


def _escape(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c == "\n":
        return "\\n"
    code = ord(c)
    if c.isprintable() and code != 0xFEFF:
        return c
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
