"""What every DoFn of one job shares: the plan, where to write, how many threads, how to report. Small and picklable."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from refinery_beam import places
from refinery_beam.errors import RefineryError
from refinery_beam.pipeline.cancel import at_work, check
from refinery_beam.pipeline.versions import Versions, refuse_other_versions, versions_here
from refinery_beam.plan.nodes import Plan


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one plan. `instance` is where shards go and `work` the folder for rows, heartbeats and failures; either may be a URL.

    All paths are absolute: workers have another working directory.
    """

    plan: Plan
    instance: str
    work: str
    threads: int
    records: int
    shard_records: int
    grouped: bool
    heartbeat: bool = True
    driver: Versions = field(default_factory=versions_here)
    """What the process that made the job runs; see `versions`."""
    deadly: tuple[tuple[str, str], ...] = ()
    """Record ids that are known to end every process that works on them, with how: bad records before anything is done with them."""

    @property
    def buckets(self) -> int:
        """How many groups the references are dealt into for a fit pass: a function of the data, never of the workers."""
        return max(1, -(-self.records // 256))


WORK_FOLDERS = (
    *("scratch", "shards", "ledger", "statistics", "progress", "failures"),
    *("index", "growth", "evidence", "sinks", "sample", "digests", "marks"),
)
"""Folders of ``Job.work``."""


COUNTERS = "refinery_beam"
"""Namespace of Beam's counters of finished records, one a phase. Nothing but a live line may be made of them: a retry counts again."""


class Heartbeat:
    """Counts of finished records, written to one small file a process a few times a second, for `runners.progress` to sum. On a store: one
    small object, every ten seconds and at the end of a shard.

    `name` is that of the pass; with `coming` the counts are of the records that will go through it.

    Between records it also asks whether the job is over. The file is outside the instance and deleted with the staging folder. Beam's own
    counters arrive only after the job on most engines; Dataflow shows them while it runs, so the same counts are given to them too.
    """

    INTERVAL = 0.2
    INTERVAL_ON_A_STORE = 10.0

    def __init__(self, folder: str, name: str, *, enabled: bool = True, coming: bool = False) -> None:
        # A name of its own for every heartbeat: two worker threads of one process must not overwrite each other's counts.
        from apache_beam.metrics import Metrics

        name = f"of.{name}" if coming else name
        self._counter = Metrics.counter(COUNTERS, name)
        self._work = folder
        self._path = places.join(folder, "progress", f"{name}-{os.getpid()}-{os.urandom(4).hex()}")
        self._interval = self.INTERVAL_ON_A_STORE if places.is_url(folder) else self.INTERVAL
        self._enabled = enabled
        self._count = 0
        self._written = 0.0

    def done(self, count: int = 1) -> None:
        from time import monotonic

        check(self._work)
        self._counter.inc(count)
        self._count += count
        now = monotonic()
        if self._enabled and now - self._written >= self._interval:
            self._written = now
            self.flush()

    def flush(self) -> None:
        if not self._enabled:
            return
        try:
            if places.is_url(self._path):
                places.write(self._path, str(self._count).encode())
                return
            with open(self._path, "w") as file:
                file.write(str(self._count))
        except OSError:
            self._enabled = False  # progress is a comfort: it never fails a run


@contextmanager
def working(job: Job) -> Iterator[None]:
    """Inside, a DoFn works for the job: it stops when the job is over, and what it raises reaches the driver whole.

    A worker of other versions than the driver's does not work at all.
    """
    try:
        refuse_other_versions(job.driver)
        with at_work(job.work):
            yield
    except RefineryError as error:
        if error.code != "cancelled":
            report_failure(job.work, error)
        raise


def report_failure(work: str, error: RefineryError) -> None:
    """Leave an error where the driver finds it whole. Engines hand back only text, each in its own wrapping."""
    path = places.join(work, "failures", f"{os.getpid()}-{os.urandom(4).hex()}.json")
    payload = [{"kind": type(e).__name__, **e.to_dict()} for e in error.errors()]
    try:
        places.write(path, json.dumps(payload).encode())
    except OSError:
        pass  # the exception itself still reaches the driver


def read_failures(work: str) -> list[RefineryError]:
    """The errors workers left, sorted by place, each once."""
    from refinery_beam import errors

    folder = places.join(work, "failures")
    found: dict[tuple[str, str, str], RefineryError] = {}
    for name in places.names(folder):
        if not name.endswith(".json"):
            continue
        for item in json.loads(places.read(places.join(folder, name))):
            kind: Any = getattr(errors, item.pop("kind"), errors.EngineError)
            error = kind(item.pop("message"), **item)
            found.setdefault((error.place, error.code, error.message), error)
    return [found[key] for key in sorted(found)]


_POOLS: dict[int, ThreadPoolExecutor] = {}


def shared_pool(threads: int) -> ThreadPoolExecutor | None:
    """The process's pool of `threads` threads, made once; None for a single thread."""
    if threads <= 1:
        return None
    if threads not in _POOLS:
        _POOLS[threads] = ThreadPoolExecutor(threads, thread_name_prefix="refinery")
    return _POOLS[threads]
