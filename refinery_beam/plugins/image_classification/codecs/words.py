"""Exceptions of codecs in words that are the same on every machine."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"<[^<>]* object at 0x[0-9a-fA-F]+>|0x[0-9a-fA-F]{6,}")
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][^\s'\"/\\:]+){2,}")


def words_of(error: BaseException) -> str:
    """The text of an exception without the parts that differ between machines and runs."""
    said = _PATH.sub("(path)", _ADDRESS.sub("(data)", " ".join(str(error).split())))
    return said[:200] if said else type(error).__name__
