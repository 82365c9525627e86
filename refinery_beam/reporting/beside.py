"""The report's sections about what stands beside the dataset: contracts, the sample, sinks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.reporting.markdown import _cell, _table

NAMED = 10


def contracts_section(expectations: Sequence[Mapping[str, Any]], messages: Sequence[str]) -> str:
    """Every assertion with its result and what was seen; `messages` say what does not hold."""
    if not expectations:
        return ""
    rows = []
    for entry, message in zip(expectations, messages, strict=True):
        params = ", ".join(f"{k}={_short(v)}" for k, v in sorted(entry["params"].items()) if v is not None)
        lost = entry.get("quarantined")
        result = "holds" if entry["passed"] else f"{lost:,} in the ledger" if lost else "**does not hold**"
        seen = message or ", ".join(f"{k} {_short(v)}" for k, v in sorted(entry["observed"].items()) if v not in (None, []))
        rows.append((entry["section"], entry["kind"], _cell(entry["field"] or ""), _cell(params), entry["severity"], result, _cell(seen)))
    return "## Contracts\n\n" + _table(("section", "kind", "field", "parameters", "severity", "result", "seen"), rows)


def beside_section(entries: Mapping[str, Any]) -> str:
    """The sample and the sinks, in a few lines."""
    lines = []
    if sample := entries.get("sample"):
        counts = ", ".join(f"{split} {n:,}" for split, n in sample["counts"].items())
        chosen = sample["selector"]
        size = f"n={chosen['n']}" if chosen["n"] is not None else f"fraction={chosen['fraction']}"
        lines.append(f"Sample ({chosen['kind']}, {size}, seed {chosen['seed']}): {counts}.")
    for name, sink in (entries.get("sinks") or {}).items():
        lines.append(f"Sink `{name}`: {sink['files']:,} files, {sink['bytes']:,} bytes, listed in `{sink['table']}`.")
    return "## Beside the dataset\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
