"""The local engine: Beam's FnApiRunner, constructed by us.

Why not ``DirectRunner``: that name has meant a switching runner since Beam 2.68. It first tries to download a Go binary and then picks an
engine by the graph, so the engine changed with the recipe and with the network. Here it is always the same engine.

Modes
-----
* ``threads`` (default for small and middling jobs): two Beam workers in this process, so that one closes a file while the other
  reads, which share a few read-ahead threads; for few records one, since each worker sets up every stage anew. Pillow, hashlib and
  zstd release the GIL, there is no start-up to pay, and no image crosses a process. By default forked processes prepare the records on
  Linux, where moving them is worth it; see `forked`.
* ``processes``: Beam's multi-processing mode, one thread each. Two seconds of start-up; better when the job is long and there
  are many cores.

A worker process that dies (out of memory, a crashing codec) ends the run with `crashes.job_died.JobDied`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

from refinery_beam.crashes.job_died import raises_job_died
from refinery_beam.errors import EngineError
from refinery_beam.forked.pool import forked_pool
from refinery_beam.job.interned import interning
from refinery_beam.runners.pipelines import make_pipeline
from refinery_beam.runners.quiet import quiet_beam

Mode = Literal["threads", "processes"]

RunnerFactory = Callable[[Any], Any]
"""A function from Beam's pipeline options to a Beam runner."""

MANY_RECORDS = 20_000
"""From this number of records on, two seconds of process start-up do not matter."""

FEW_RECORDS = 256
"""Up to this number of records, one Beam worker is done before two have set up their stages."""

NATIVE_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """How the local engine runs: `mode` (threads or processes), the number of `workers` in that mode, and of `beam_workers` that Beam
    starts.

    `runner_factory` makes the runner from Beam's pipeline options; by default it is `constructed_runner`.
    """

    mode: Mode
    workers: int
    beam_workers: int
    runner_factory: RunnerFactory | None = field(default=None, repr=False, compare=False)

    @property
    def threads(self) -> int:
        """Read-ahead threads of one worker process."""
        return self.workers if self.mode == "threads" else 1


def plan_local_workers(
    records: int,
    *,
    mode: str = "auto",
    workers: int | None = None,
    cpus: int | None = None,
    runner_factory: RunnerFactory | None = None,
) -> LocalOptions:
    """Mode and worker count for a job of `records`: all cores; processes only for long jobs on more cores than the GIL feeds
    (more than four). The caller's number of `workers` holds for small jobs too.

    >>> plan_local_workers(4_000, cpus=4)
    LocalOptions(mode='threads', workers=4, beam_workers=2)
    >>> plan_local_workers(1_000_000, cpus=16)
    LocalOptions(mode='processes', workers=16, beam_workers=16)
    """
    cores = cpus or available_cpus()
    count = workers or cores
    if mode == "auto":
        mode = "processes" if records >= MANY_RECORDS and count > 4 else "threads"
    engine_mode: Mode = "processes" if mode == "processes" else "threads"
    if engine_mode == "threads":
        beam_workers = 1 if workers is None and records <= FEW_RECORDS else min(2, count)
    else:
        beam_workers = count
    return LocalOptions(mode=engine_mode, workers=count, beam_workers=beam_workers, runner_factory=runner_factory)


def available_cpus() -> int:
    """The processors this process may use (a container's share, not the machine's), at least 1."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def run_local(build: Callable[[Any], None], options: LocalOptions, *, work: str, talk: bool = False) -> None:
    """Run the pipeline that `build` makes, to its end. Raises EngineError, or whatever the worker code raised.

    `work` is the job's work folder, where workers leave their markers.
    `talk` lets Beam log what it likes.
    """
    cap_native_threads()
    make_runner = options.runner_factory or constructed_runner
    in_this_process = options.mode == "threads" and make_runner is constructed_runner
    with quiet_beam(enabled=not talk), raises_job_died(work) as ending, interning() if in_this_process else nullcontext():
        from refinery_beam.runners.worker_processes import worker_processes

        pipeline_options = _pipeline_options(options)
        pipeline = make_pipeline(runner=make_runner(pipeline_options), options=pipeline_options)
        build(pipeline)
        if (pool := forked_pool()) is not None:
            pool.died = ending.worker_died
        with worker_processes(ending.worker_died) as workers:
            ending.on_interrupt = workers.end
            result = pipeline.run()
            result.wait_until_finish()
    if str(result.state) != "DONE":
        raise EngineError(f"the local engine ended in state {result.state}", code="engine-state", value=str(result.state))


def constructed_runner(options: Any) -> Any:
    """An FnApiRunner for Beam's pipeline `options`: the default runner factory."""
    from apache_beam.runners.portability.fn_api_runner import fn_runner

    return fn_runner.FnApiRunner(provision_info=provision_info(options))


def provision_info(options: Any) -> Any:
    """The pipeline options that an FnApiRunner passes to its worker processes.

    A runner made by its name ('FnApiRunner') has none, and its worker processes start without any pipeline option.
    """
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    return fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))


def _pipeline_options(options: LocalOptions) -> Any:
    from refinery_beam.runners.parsed_once import pipeline_options_of

    flags = [f"--direct_num_workers={options.beam_workers}"]
    flags.append("--direct_running_mode=" + ("multi_processing" if options.mode == "processes" else "in_memory"))
    return pipeline_options_of(flags)


def cap_native_threads() -> None:
    """One thread for each native pool, here and in worker processes: they would otherwise multiply by the number of workers."""
    for name in NATIVE_POOLS:
        os.environ.setdefault(name, "1")
    import pyarrow as pa

    pa.set_cpu_count(1)
