"""Shards and partial statistics as parts that the next run of the key finds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.job.job import Job
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.record.extras import EXTRA_ROWS, FILES
from refinery_beam.record.facts import part_names
from refinery_beam.record.shard import Shard
from refinery_beam.records import LedgerRow, Ref, ShardRow
from refinery_beam.resume.keys import part_key
from refinery_beam.resume.parts import FACTS, INSTANCE, PartFile, Parts, from_text, quietly, to_text
from refinery_beam.resume.reused import FIT, SHARD, Counter


class FinishedShard(NamedTuple):
    """The outputs of a written shard as rows and bytes: what the pipeline passes on, and what a part holds."""

    row: ShardRow
    ledger: tuple[LedgerRow, ...]
    partials: tuple[tuple[str, bytes], ...]
    extras: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, shard: Shard) -> FinishedShard:
        """The outputs of a shard that was just written."""
        partials = tuple((name, shard.partials[name].dumps()) for name in sorted(shard.partials))
        return cls(shard.row, tuple(shard.ledger), partials, tuple(shard.extras))

    def to_body(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "row": list(self.row),
            "ledger": [list(row) for row in self.ledger],
            "partials": [[name, to_text(data)] for name, data in self.partials],
            "extras": [[tag, [_plain(value) for value in row]] for tag, row in self.extras],
        }

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> FinishedShard:
        """From JSON. Raises ValueError, KeyError or TypeError for anything that `to_body` did not make."""
        return cls(
            ShardRow(*body["row"]),
            tuple(LedgerRow(*row) for row in body["ledger"]),
            tuple((name, from_text(text)) for name, text in body["partials"]),
            tuple((tag, EXTRA_ROWS[tag](*(_value(value) for value in row))) for tag, row in body["extras"]),
        )


class ShardParts:
    """The parts of the shards below one `folder` of an instance. Without a folder for parts it finds and keeps nothing."""

    def __init__(self, job: Job, folder: str) -> None:
        self._job, self._folder = job, folder
        self._parts = Parts(job.resume, {INSTANCE: job.instance, FACTS: f"{job.work}/{FACTS}"}, others=job.resume_others, by=by(job))
        self._counter = Counter(job.work)

    def name(self, split: str, shard: int, shards: int, refs: Sequence[Ref], merged: Mapping[str, bytes]) -> str:
        """The name of the part of a shard of these refs."""
        if not self._job.resume:
            return ""
        key = part_key(self._job.resume_law, SHARD, [self._folder, split, shard, shards], refs, merged, self._job.poison)
        return f"{self._folder}-{split}-{shard:05d}-{key[:32]}"

    def find(self, name: str) -> FinishedShard | None:
        """The shard that an earlier run finished, its files now in the instance of this attempt."""
        found = self._parts.find(name) if name else None
        if found is None:
            return None
        try:
            finished = FinishedShard.from_body(found[0])
        except (ValueError, KeyError, TypeError):
            return None
        if self._folder == "dataset":
            self._counter.add(SHARD, name, records=finished.row.records, size=finished.row.bytes)
        return finished

    def keep(self, name: str, finished: FinishedShard, *, facts: str) -> None:
        """Keep a shard that was just written, with its `facts` if it has any."""
        if not name:
            return
        row = finished.row
        files = [PartFile(INSTANCE, row.file, row.bytes, row.sha256)]
        files += [PartFile(INSTANCE, f"sinks/{f.sink}/{f.path}", f.bytes, f.sha256) for tag, f in finished.extras if tag == FILES]
        with quietly():
            for part in part_names(facts, row.split, row.shard, row.shards) if facts else []:
                data = locations.read(locations.join(facts, part))
                files.append(PartFile(FACTS, part, len(data), hashlib.sha256(data).hexdigest()))
            self._parts.keep(name, finished.to_body(), files)

    def flush(self) -> None:
        """Write down how much was found."""
        self._counter.flush()


class FitParts:
    """The partial statistics of one fit point, bucket by bucket."""

    def __init__(self, job: Job, point: FitPoint) -> None:
        self._job, self._point = job, point
        self._parts = Parts(job.resume, {}, others=job.resume_others, by=by(job))
        self._counter = Counter(job.work)

    def name(self, bucket: int, refs: Sequence[Ref], merged: Mapping[str, bytes]) -> str:
        """The name of the part of a bucket of these refs; `merged` are the accumulators of all points."""
        if not self._job.resume:
            return ""
        key = part_key(self._job.resume_law, FIT, [self._point.name, bucket], refs, merged, self._job.poison)
        return f"fit-{self._point.name}-{bucket:05d}-{key[:32]}"

    def find(self, name: str, *, records: int) -> bytes | None:
        """The partial of a bucket that an earlier run observed."""
        found = self._parts.find(name) if name else None
        if found is None:
            return None
        try:
            partial = from_text(found[0]["partial"])
        except (ValueError, KeyError, TypeError):
            return None
        self._counter.add(FIT, name, records=records)
        return partial

    def keep(self, name: str, partial: bytes) -> None:
        """Keep the partial of a bucket."""
        if name:
            self._parts.keep(name, {"partial": to_text(partial)}, ())

    def flush(self) -> None:
        """Write down how much was found."""
        self._counter.flush()


def by(job: Job) -> str:
    """A name for a job among those of its key."""
    return hashlib.sha256(job.work.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return {"bytes": to_text(value)} if isinstance(value, bytes) else value


def _value(value: Any) -> Any:
    return from_text(value["bytes"]) if isinstance(value, dict) else value
