"""How much of a job came from kept parts: counted by workers, summed by the driver, shown to the user."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.resume.parts import quietly

FOLDER = "reused"
"""The folder of ``Job.work`` that holds the counts."""

SHARD, FIT = "shard", "fit"


@dataclass(frozen=True)
class Reused:
    """What a build did not make again: `shards` with their `records` and `bytes`, and the records whose part of a fitted statistic was
    there (`fit_records`, each once for every statistic).
    """

    shards: int = 0
    records: int = 0
    bytes: int = 0
    fit_records: int = 0

    def __bool__(self) -> bool:
        return bool(self.shards or self.fit_records)

    def to_dict(self) -> dict[str, Any]:
        """The object that `run --json` prints."""
        return {"shards": self.shards, "records": self.records, "bytes": self.bytes, "fit_records": self.fit_records}


class Counter:
    """Counts the parts that one worker took from earlier runs, and writes them down at the end of a bundle."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._found: list[list[Any]] = []

    def add(self, kind: str, name: str, *, records: int, size: int = 0) -> None:
        """One part. A repeated bundle names it again; the driver counts a name once."""
        self._found.append([kind, name, records, size])

    def flush(self) -> None:
        """Write down what was added since the last time."""
        if self._found:
            with quietly():
                location = locations.join(self._work, FOLDER, f"{os.getpid()}-{os.urandom(4).hex()}.json")
                locations.write(location, json.dumps(self._found).encode())
            self._found = []


def read_reused(work: str) -> Reused:
    """The sum of what all workers of a job wrote down."""
    found: dict[str, tuple[str, int, int]] = {}
    with quietly():
        for name in locations.names(locations.join(work, FOLDER)):
            if name.endswith(".json"):
                for kind, part, records, size in json.loads(locations.read(locations.join(work, FOLDER, name))):
                    found[part] = (kind, records, size)
    shards = [entry for entry in found.values() if entry[0] == SHARD]
    return Reused(
        shards=len(shards),
        records=sum(entry[1] for entry in shards),
        bytes=sum(entry[2] for entry in shards),
        fit_records=sum(entry[1] for entry in found.values() if entry[0] == FIT),
    )
