"""One job on the engine of the settings: where its rows go, how it runs to its end, and the errors of a job that fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Attempt
from refinery_beam.crashes.job_died import JobDied
from refinery_beam.crashes.markers import read_markers
from refinery_beam.errors import Interrupted, RefineryError
from refinery_beam.job.cancel import cancel
from refinery_beam.job.failures import read_failures
from refinery_beam.job.job import WORK_FOLDERS
from refinery_beam.launch.build.failures import named
from refinery_beam.launch.settings import Settings
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.runners import local
from refinery_beam.runners.dataflow.run import Listener, run_dataflow
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.options import read_options
from refinery_beam.runners.portable.options import read_ahead_threads
from refinery_beam.runners.portable.run import run_portable
from refinery_beam.runners.progress import NOUN, live
from refinery_beam.runners.quiet import stderr_set_aside


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The engine of a job over `records` refs; `noun` is their name in messages. The driver's own files (logs) are in ``here``, always on
    this machine; rows are in ``work``, where the workers of the engine can write them.
    """

    settings: Settings
    options: EngineOptions
    local_options: local.LocalOptions
    here: str
    work: str
    records: int
    noun: str = NOUN

    @classmethod
    def of(cls, settings: Settings, staging: Attempt, *, records: int, noun: str = NOUN) -> Engine:
        """The engine that the settings name, with the folders of its job made."""
        options = read_options(settings.runner, settings.beam_options)
        here, work = staging.rows_dir, staging.rows_dir if options.runner == "direct" else staging.shared_rows_dir
        for name in WORK_FOLDERS:
            locations.make_folder(locations.join(work, name))
        local_workers = local_options(settings, records)
        return cls(settings=settings, options=options, local_options=local_workers, here=here, work=work, records=records, noun=noun)

    @property
    def is_local(self) -> bool:
        """Whether it is Beam's local engine."""
        return self.options.runner == "direct"

    @property
    def threads(self) -> int:
        """Threads that a worker process has for one bundle."""
        return self.local_options.threads if self.is_local else read_ahead_threads(self.options, self.settings.workers)

    @property
    def heartbeat(self) -> bool:
        """Whether workers write heartbeats. On Dataflow there may be a thousand of them, and it shows Beam's counters while they work."""
        return self.settings.shows_progress and self.options.runner != "dataflow"

    def run(self, build: Callable[[Any], None]) -> None:
        """Run the pipeline that `build` makes to its end. Raises the first error of a worker, or EngineError, after cancelling the job."""
        local_options = self.local_options
        where = (
            f"the local engine: {local_options.workers} {local_options.mode}"
            if self.is_local
            else f"{self.options.runner}, {self.options.environment} workers"
        )
        self.settings.tell(f"running on {where}, {self.records} records")
        finished = False
        try:
            self._run(build)
            finished = True
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted: nothing was promoted", code="interrupted") from error
        except Exception as error:
            failures = read_failures(self.work)
            if failures:
                raise named(failures) from error
            if isinstance(error, RefineryError):
                raise
            if is_full(error):
                raise no_space(error, self.work) from error
            raise JobDied(
                f"the engine failed: {_last_line(error)}", markers=read_markers(self.work), code="engine-failed", value=type(error).__name__
            ) from error
        finally:
            if not finished:
                cancel(self.work)

    def _run(self, build: Callable[[Any], None]) -> None:
        settings, listener, cloud = self.settings, Listener(), self.options.runner == "dataflow"
        aside = (self.local_options.mode == "processes" or not self.is_local) and not settings.debug
        with (
            stderr_set_aside(os.path.join(self.here, "stderr.log"), enabled=aside) as stream,
            live(
                self.work,
                self.records,
                noun=self.noun,
                stream=stream,
                enabled=settings.shows_progress,
                plain=settings.talks,
                counts=listener.counts if cloud else None,
            ) as listener.say,
        ):
            if self.is_local:
                local.run_local(build, self.local_options, work=self.work, talk=settings.debug)
            elif cloud:
                run_dataflow(build, self.options, work=self.work, workers=settings.workers, listener=listener, talk=settings.debug)
            else:
                run_portable(build, self.options, work=self.work, logs=self.here, workers=settings.workers, talk=settings.debug)


def local_options(settings: Settings, records: int) -> local.LocalOptions:
    """How the local engine runs a job over so many refs."""
    return local.plan_local_workers(records, mode=settings.mode, workers=settings.workers, runner_factory=settings.runner_factory)


def works_in_threads(settings: Settings, records: int) -> bool:
    """Whether workers are threads of the driver, on the local engine or as LOOPBACK workers of another."""
    options = read_options(settings.runner, settings.beam_options)
    if options.runner == "direct":
        return local_options(settings, records).mode == "threads"
    return options.environment == "LOOPBACK"


def processes_of_threads(settings: Settings, records: int) -> int:
    """How many processes may be forked to help the threads of the driver, on the local engine; 0 where there are few records, or somebody
    wants threads.
    """
    if settings.mode != "auto" or sys.platform != "linux" or records < local.FEW_RECORDS:
        return 0
    if read_options(settings.runner, settings.beam_options).runner != "direct":
        return 0
    options = local_options(settings, records)
    return options.workers if options.mode == "threads" else 0


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
