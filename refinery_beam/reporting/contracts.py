"""The report's section about contracts: every assertion with its result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.reporting.markdown import _cell, _table


def contracts_section(expectations: Sequence[Mapping[str, Any]], messages: Sequence[str]) -> str:
    """A row for each assertion. `messages`, in the same order, say why an assertion fails ('' if it holds)."""
    if not expectations:
        return ""
    rows = []
    for entry, message in zip(expectations, messages, strict=True):
        params = ", ".join(f"{k}={_short(v)}" for k, v in sorted(entry["params"].items()) if v is not None)
        lost = entry.get("quarantined")
        result = "holds" if entry["passed"] else f"{lost:,} in the ledger" if lost else "**does not hold**"
        shown = message or ", ".join(f"{k} {_short(v)}" for k, v in sorted(entry["observed"].items()) if v not in (None, []))
        rows.append((entry["section"], entry["kind"], _cell(entry["field"] or ""), _cell(params), entry["severity"], result, _cell(shown)))
    return "## Contracts\n\n" + _table(("section", "kind", "field", "parameters", "severity", "result", "seen"), rows)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
