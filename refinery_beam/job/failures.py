"""Passes errors of workers to the driver as files. Engines pass on only the text of an error, each in its own wrapping."""

from __future__ import annotations

import json
import os
from typing import Any

from refinery_beam import errors, locations
from refinery_beam.errors import RefineryError


def report_failure(work: str, error: RefineryError) -> None:
    """Write an error, with all its parts, to a file for the driver."""
    path = locations.join(work, "failures", f"{os.getpid()}-{os.urandom(4).hex()}.json")
    payload = [{"kind": type(e).__name__, **e.to_dict()} for e in error.errors()]
    try:
        locations.write(path, json.dumps(payload).encode())
    except OSError:
        pass  # the exception itself still reaches the driver


def read_failures(work: str) -> list[RefineryError]:
    """The errors that workers wrote, sorted by position, each once."""
    folder = locations.join(work, "failures")
    found: dict[tuple[str, str, str], RefineryError] = {}
    for name in locations.names(folder):
        if not name.endswith(".json"):
            continue
        for item in json.loads(locations.read(locations.join(folder, name))):
            kind: Any = getattr(errors, item.pop("kind"), errors.EngineError)
            error = kind(item.pop("message"), at=item.pop("place"), **item)
            found.setdefault((error.at, error.code, error.message), error)
    return [found[key] for key in sorted(found)]
