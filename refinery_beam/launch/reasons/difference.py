"""One difference between what a run would be made of and what an instance was made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from refinery_beam.errors import display

Part = Literal[
    "recipe",
    "order",
    "file",
    "label",
    "label table",
    "digest kind",
    "seed",
    "op",
    "law",
    "codec",
    "plugin",
    "statistics",
    "comparison",
    "release",
]
Change = Literal["changed", "added", "removed", "renamed"]

NAMED = 3
"""How many of many files are named in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What differs, and how: ``before`` is in the instance, ``after`` is now.

    `part` is the part of the key, `name` the field, op, codec or record; `at` where the recipe says it, `overlay` the overlay that it
    comes from, or '' for neither. Of many records that changed alike there is one difference with their `count`, and the first of them in
    `examples` (of renamed ones: old and new id).
    """

    part: Part
    change: Change
    name: str
    before: Any = None
    after: Any = None
    at: str = ""
    overlay: str = ""
    count: int = 1
    examples: tuple[Any, ...] = ()
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Its form in `why --json`."""
        words = {"part": self.part, "change": self.change, "name": self.name, "before": self.before, "after": self.after}
        more = {"place": self.at, "overlay": self.overlay, "count": self.count, "examples": [_plain(e) for e in self.examples]}
        return {**words, **more, "sentence": self.sentence}

    def __str__(self) -> str:
        return self.sentence


def said(value: Any) -> str:
    """A value of a recipe in the recipe's own words, short enough for a sentence.

    >>> said(None), said(0.7), said(["train", "test"]), said({"size": 32})
    ('nothing', '0.7', '[train, test]', '{size: 32}')
    """
    text = _words(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


def several(ids: Sequence[str], count: int) -> str:
    """Some names of many, and how many more there are.

    >>> several(["a", "b", "c"], 5)
    'a, b, c and 2 more'
    """
    more = count - min(len(ids), NAMED)
    return ", ".join(display(i) for i in ids[:NAMED]) + (f" and {more:,} more" if more else "")


def _words(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool) or not isinstance(value, str | list | dict):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_words, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k}: {_words(v)}' for k, v in value.items())}}}"
    return display(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
