"""One finding of a verification."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """``code`` is a stable word, ``path`` lies below the instance, ``message`` is for people."""

    code: str
    path: str
    message: str
