"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from refinery_beam.tables.faults import TableFault

_ARRAY = "jq -c '.[]' labels.json > labels.jsonl"


def read_objects(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a text, each with its line. TableFault ``label-row`` for anything else."""
    # Not splitlines(): JSON text may hold U+2028, and "line" must mean what editors show. JSON has no bare carriage return inside a value.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = True
    for line, part in enumerate(lines, 1):
        if not part.strip():
            continue
        try:
            row = json.loads(part, object_pairs_hook=_once)
        except RecursionError:
            raise _fault("nested too deeply", line, _remedy(part, first)) from None
        except ValueError as error:
            detail = getattr(error, "msg", str(error))
            detail = "a number with thousands of digits" if detail.startswith("Exceeds the limit") else detail
            raise _fault(detail, line, _remedy(part, first)) from None
        if not isinstance(row, dict):
            raise _fault("not an object", line, _remedy(part, first))
        first = False
        yield line, row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return made


def _remedy(part: str, first: bool) -> str:
    if first and part.lstrip().startswith("["):
        return f"this is a JSON array, or a part of one; make lines of it: {_ARRAY}"
    return "mend this line"


def _fault(detail: str, line: int, remedy: str) -> TableFault:
    return TableFault(detail, line=line, code="label-row", rule="JSON lines hold one object a line", remedy=remedy)
