"""A job, as every worker of it knows it: the plan, where to write, how many threads, and how to stop. Small and picklable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from refinery_beam.errors import RefineryError
from refinery_beam.job.cancel import at_work
from refinery_beam.job.failures import report_failure
from refinery_beam.job.versions import Versions, refuse_other_versions, versions_here
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import PluginFailed
from refinery_beam.plugins.discovery import plugin_of_plan


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
    """The versions of the process that made the job; see `versions`."""
    poison: tuple[tuple[str, str], ...] = ()
    """(record id, how its process ended) of records that kill every process that works on them. Workers refuse them as bad records."""
    resume: str = ""
    """Where finished parts are kept and found (see `resume`), reachable for workers; '' keeps and finds none."""
    resume_others: tuple[str, ...] = ()
    """Where parts of the same recipe over other files may be found."""
    resume_law: str = ""
    """The digest of what all parts of the job follow from."""
    only: frozenset[tuple[str, int]] | None = None
    """The shards to write, as (split, number); None for all of them. A repair writes some."""
    fitted: Mapping[str, Any] | None = None
    """The statistics by step name, where they are known; None where they are to be fitted."""

    @property
    def buckets(self) -> int:
        """How many groups the refs are dealt into for a fit pass: a function of the data, never of the workers."""
        return max(1, -(-self.records // 256))


WORK_FOLDERS = (
    *("scratch", "shards", "ledger", "statistics", "progress", "failures"),
    *("index", "step_counts", "evidence", "sinks", "sample", "digests", "markers", "facts", "reused"),
)
"""Folders of ``Job.work``."""


@contextmanager
def working(job: Job) -> Iterator[None]:
    """Inside, a DoFn works for the job: it stops when the job is over, and the driver gets every part of an error that it raises.

    A worker of other versions than the driver's does not work at all.
    """
    try:
        refuse_other_versions(job.driver)
        with at_work(job.work):
            yield
    except PluginFailed as failed:
        error = plugin_of_plan(job.plan).blame(failed)
        report_failure(job.work, error)
        raise error from failed.error
    except RefineryError as error:
        if error.code != "cancelled":
            report_failure(job.work, error)
        raise
    except OSError as error:
        if not is_full(error):
            raise
        full = no_space(error, job.work)
        report_failure(job.work, full)
        raise full from error


_POOLS: dict[int, ThreadPoolExecutor] = {}


def shared_pool(threads: int) -> ThreadPoolExecutor | None:
    """The process's pool of `threads` threads, made once; None for a single thread."""
    if threads <= 1:
        return None
    if threads not in _POOLS:
        _POOLS[threads] = ThreadPoolExecutor(threads, thread_name_prefix="refinery")
    return _POOLS[threads]
