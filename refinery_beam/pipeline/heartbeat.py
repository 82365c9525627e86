"""Counts of finished records while a job runs, for the progress line and for nothing else."""

from __future__ import annotations

import os
from time import monotonic

from apache_beam.metrics import Metrics

from refinery_beam import locations
from refinery_beam.job.cancel import check

COUNTERS = "refinery_beam"
"""Namespace of Beam's counters of finished records, one for each pass. Good for the progress line only: a retry counts again."""


class Heartbeat:
    """Counts of finished records, written to one small file a process a few times a second, for `runners.progress` to sum. On a store: one
    small object, every ten seconds and at the end of a shard.

    `name` is the pass. `coming` counts the records that a pass will receive instead of those it has finished.

    Between records it also checks whether the job is over. The file is outside the instance and deleted with the staging folder. Beam's own
    counters arrive only after the job on most engines; Dataflow shows them while it runs, so they get the same counts.
    """

    INTERVAL = 0.2
    INTERVAL_ON_A_STORE = 10.0

    def __init__(self, folder: str, name: str, *, enabled: bool = True, coming: bool = False) -> None:
        # A name of its own for every heartbeat: two worker threads of one process must not overwrite each other's counts.
        name = f"of.{name}" if coming else name
        self._counter = Metrics.counter(COUNTERS, name)
        self._work = folder
        self._path = locations.join(folder, "progress", f"{name}-{os.getpid()}-{os.urandom(4).hex()}")
        self._interval = self.INTERVAL_ON_A_STORE if locations.is_url(folder) else self.INTERVAL
        self._enabled = enabled
        self._count = 0
        self._written = 0.0

    def done(self, count: int = 1) -> None:
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
            if locations.is_url(self._path):
                locations.write(self._path, str(self._count).encode())
                return
            # Of one width, written over what is there: a reader never meets a file that was just emptied.
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(file, b"%020d" % self._count, 0)
            finally:
                os.close(file)
        except OSError:
            self._enabled = False  # progress is a comfort: it never fails a run
