"""What others than `log` ask the journal: evidence that helps, and that may be missing."""

from __future__ import annotations

import json
import platform
from typing import Any

from refinery_beam.cache.journal.read import read_journal
from refinery_beam.errors import RefineryError


def newest_variables(root: str, key_name: str) -> dict[str, str]:
    """Where the newest run of a key found its files, by variable: {} where no run tells, or the journal cannot be read. A run of this
    machine is preferred: only it knows its folders.
    """
    rows = newest_rows(root, key_name, ["variables", "host"])
    for row in sorted(rows, key=lambda row: row["host"] != platform.node()):
        try:
            pairs = json.loads(row["variables"] or "[]")
            found = {str(name): str(value) for name, value in pairs}
        except (ValueError, TypeError):
            continue
        if found:
            return found
    return {}


def newest_rows(root: str, key_name: str, columns: list[str]) -> list[dict[str, Any]]:
    """Some columns of the runs of a key, the newest first; [] where there is no journal that can be read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        table = read_journal(root, columns=list(dict.fromkeys(["key", *columns]))).table
    except (RefineryError, OSError, pa.ArrowException):
        return []
    rows: list[dict[str, Any]] = table.filter(pc.equal(table.column("key"), key_name)).select(columns).to_pylist()
    return rows
