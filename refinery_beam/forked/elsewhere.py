"""Batches of records, prepared in the processes that were forked from the driver; see `forked.pool`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import thread_time

from refinery_beam.crashes.markers import Markers, Task
from refinery_beam.facts.album import Bounds
from refinery_beam.forked.pool import ForkedPool, forked_pool
from refinery_beam.job.job import Job
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.plugins.base import PluginFailed
from refinery_beam.record.batch import Batch, FitBatch, observe_batch, prepare_batch
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker
from refinery_beam.records import Ref

MOVED = 400_000_000
"""Bytes of rows for a second of work on them, at most: to move more from process to process costs about what threads lose when they wait
for the interpreter's lock. That is most of their time where images are small, and a tenth where codecs work on photographs.
"""


def pays(seconds: float, size: float) -> bool:
    """Whether processes are faster than threads for records that take so many seconds of a processor, and have so many bytes."""
    return size < MOVED * seconds


class Elsewhere:
    """The `record.prepared.Elsewhere` of a job."""

    def __init__(self, pool: ForkedPool, job: Job) -> None:
        self._pool, self._job = pool, pickle.dumps(job)
        self.lines, self.processes = pool.lines, pool.processes

    @classmethod
    def of(cls, job: Job) -> Elsewhere | None:
        """The processes of this process, if it has any that have not ended because they do not pay."""
        pool = forked_pool()
        return cls(pool, job) if pool is not None and pool.pays is not False else None

    def clock(self) -> float:
        """The seconds that this thread has worked."""
        return thread_time()

    @property
    def pays(self) -> bool | None:
        """Whether they pay for the records of the job; None before one was tried."""
        return self._pool.pays

    def tried(self, *, seconds: float, size: int, threads: int) -> None:
        """Decide by what the first records took, and say so."""
        decision = pays(seconds, size)
        if self._pool.decide(decision):
            by = f"{self.processes} processes" if decision else f"{threads} threads"
            self._pool.tell(f"a record takes {1000 * seconds:.1f} ms and has {size:,} bytes: {by} prepare them")
            if not decision:
                self._pool.close()  # while there is another owner of it, the system copies each page that this process writes to

    def prepare(self, refs: Sequence[Ref], fitted: Fitted, bounds: Bounds | None) -> Batch:
        """`prepare_batch` in the process of this line."""
        return self._pool.call(_prepared, self._job, refs, fitted, bounds)

    def observe(self, point: FitPoint, refs: Sequence[Ref], fitted: Fitted) -> FitBatch:
        """`observe_batch` in the process of this line. Accumulators are small, so it pays whatever the records."""
        return self._pool.call(_observed, self._job, point, refs, fitted)


def _prepared(job: bytes, refs: Sequence[Ref], fitted: Fitted, bounds: Bounds | None) -> Batch:
    worker, markers = _known(job, Task("write"))
    markers.knowing(fitted)
    with _blamed(worker):
        return prepare_batch(worker, refs, fitted, markers=markers, bounds=bounds)


def _observed(job: bytes, point: FitPoint, refs: Sequence[Ref], fitted: Fitted) -> FitBatch:
    worker, markers = _known(job, Task("fit", point.name))
    markers.knowing(fitted)
    with _blamed(worker):
        return observe_batch(worker, point, refs, fitted, markers=markers)


@contextmanager
def _blamed(worker: Worker) -> Iterator[None]:
    """What a plugin raises may be of a class that no other process knows."""
    try:
        yield
    except PluginFailed as failed:
        raise worker.plugin.blame(failed) from failed.error


@lru_cache(maxsize=2)
def _known(job: bytes, task: Task) -> tuple[Worker, Markers]:
    """What a process works with, made at its first batch of a task."""
    known: Job = pickle.loads(job)  # noqa: S301 - from the process that this one was forked from
    return Worker(known.plan), Markers(known, task)
