"""How assertions show values in a line, and parameters that several kinds share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

SHOWN = 10
"""How many values, or records, a message names."""

Count = Annotated[int, Field(ge=0)]


def check_ends(params: Any) -> None:
    """Raise ValueError for a range without an end, or with its ends the wrong way round."""
    if params.min is None and params.max is None:
        raise ValueError("a range has at least one end, min or max")
    if params.min is not None and params.max is not None and params.min > params.max:
        raise ValueError("min is at most max")


def text(value: Any) -> str:
    """A value as a word: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def short(value: Any) -> str:
    """A value as it is written, cut."""
    written = repr(value)
    return written if len(written) <= 40 else written[:39] + "…"


def listed(wrong: Sequence[str]) -> str:
    """The first of what is wrong, and how much more there is."""
    more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return ", ".join(wrong[:SHOWN]) + more
