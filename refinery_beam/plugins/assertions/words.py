"""Formats values for messages of assertions, and defines parameters that several kinds share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from refinery_beam.plugins.broken_rule import broken_rule

SHOWN = 10
"""How many values, or records, a message names."""

Count = Annotated[int, Field(ge=0)]


def check_ends(params: Any) -> None:
    """Refuse a range without an end, or with its ends the wrong way round."""
    if params.min is None and params.max is None:
        raise broken_rule(
            "has neither min nor max", code="missing-field", rule="a range has at least one end", remedy="add 'min:' or 'max:'"
        )
    if params.min is not None and params.max is not None and params.min > params.max:
        raise broken_rule(f"min {params.min} is above max {params.max}", at="min", rule="min is at most max", remedy="swap them")


def text(value: Any) -> str:
    """A value as a word: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def short(value: Any) -> str:
    """A value as it is written, cut."""
    written = repr(value)
    return written if len(written) <= 40 else written[:39] + "…"


def listed(wrong: Sequence[str]) -> str:
    """The first faults, and how many more there are."""
    more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return ", ".join(wrong[:SHOWN]) + more
