"""Deals refs into the groups of a pass, and counts them for the progress line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam

from refinery_beam.job.job import Job
from refinery_beam.pipeline.heartbeat import Heartbeat
from refinery_beam.records import Ref

TOGETHER = 64
"""Refs that are counted together: counting one costs more than dealing it."""


class Deal(beam.DoFn):
    """Gives every ref with its group, and counts the refs of the pass `name` for the progress line."""

    def __init__(self, job: Job, name: str, group_of: Callable[..., Any]) -> None:
        self._job, self._name, self._group_of = job, name, group_of

    def setup(self) -> None:
        self._coming = Heartbeat(self._job.work, self._name, enabled=self._job.heartbeat, coming=True)
        self._dealt = 0

    def process(self, ref: Ref, *more: Any) -> Iterable[tuple[Any, Ref]]:
        self._dealt += 1
        if self._dealt == TOGETHER:
            self._count()
        yield self._group_of(ref, *more)

    def finish_bundle(self) -> None:
        self._count()
        self._coming.flush()

    def _count(self) -> None:
        dealt, self._dealt = self._dealt, 0
        self._coming.done(dealt)
