"""Exceptions of codecs in words that are the same on every machine."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"<[^<>]* object at 0x[0-9a-fA-F]+>|0x[0-9a-fA-F]{6,}")
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][^\s'\"/\\:]+){2,}")


def words_of(error: BaseException) -> str:
    """The text of an exception without the parts that differ between machines and runs."""
    text = error.args[0] if error.args else ""
    said = text.decode("latin-1") if isinstance(text, bytes) else str(error)
    said = _PATH.sub("(path)", _ADDRESS.sub("(data)", " ".join(said.split())))
    said = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)
    return said[:200] if said else type(error).__name__
