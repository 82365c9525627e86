"""The journals of releases before this one: a file of JSON lines for each run, ``journal/<utc time>-<attempt>.jsonl`` in the local home of
the cache root. They are read as rows like the others, and compacted like them; nothing writes them any more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from refinery_beam.cache.journal.write import stored
from refinery_beam.cache.stores.home import home

_SAME = (
    *("recipe_hash", "input_hash", "seed", "runner", "workers", "mode", "overlays", "records_in", "hashed", "digest", "notes"),
    *("host", "user", "pid", "python", "status", "exit_code", "seconds"),
)


def line_files(root: str) -> list[str]:
    """The files of a root, oldest first."""
    folder = os.path.join(home(root), "journal")
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".jsonl")]
    except OSError:
        return []


def line_rows(path: str) -> list[dict[str, Any]]:
    """The rows of a file: one for its beginning, one for its end with all of the beginning, and one for every other event. Lines that are
    none are left out; a file that cannot be read has none.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return []
    begun: dict[str, Any] = {}
    rows = []
    for number, line in enumerate(lines):
        event = _event(line)
        if event is None:
            continue
        name = event["event"].replace("run:start", "run:begin")
        facts = _facts(event)
        if name == "run:begin":
            begun = facts
        elif name == "run:end":
            facts = {**begun, **facts}
        run = str(event.get("attempt") or os.path.basename(path))
        tail = "" if name in ("run:begin", "run:end") else f":{number}"
        rows.append(stored({**facts, "event": name, "run": run, "event_id": f"{run}:{name}{tail}"}))
    return rows


def is_over(rows: list[dict[str, Any]]) -> bool:
    """Whether the run of these rows has ended, so that nothing appends to its file any more."""
    return any(row["event"] == "run:end" for row in rows)


def _event(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            _time(event["time"])
            return event
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _facts(event: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: event[name] for name in _SAME if event.get(name) is not None}
    for name in ("seed", "workers", "records_in", "hashed", "pid", "exit_code"):
        if not isinstance(found.get(name, 0), int):
            del found[name]
    moment = _time(event["time"])
    found["time"] = moment
    if event["event"] == "run:start":
        found["started"] = moment
    if isinstance(event.get("recipe"), str):
        found["recipe_path"] = event["recipe"]
        found["recipe"] = os.path.splitext(os.path.basename(event["recipe"]))[0]
    if event.get("locations"):
        found["variables"] = event["locations"]
    if all(isinstance(event.get(name), str) for name in ("recipe_hash", "input_hash")):
        found["key"] = f"{event['recipe_hash'][:16]}-{event['input_hash'][:16]}-{event.get('seed')}"
    known = {*_SAME, "event", "time", "attempt", "seq", "contract", "recipe", "locations"}
    return found | {name: value for name, value in event.items() if name not in known}


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
