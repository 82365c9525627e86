"""The local engine: Beam's FnApiRunner, constructed by us.

Why not ``DirectRunner``: that name has meant a switching runner since Beam 2.68. It first tries to download a Go binary and then picks an
engine by looking at the graph, so the engine changed with the recipe and with the network. Here it is always the same one.

Modes
-----
* ``threads`` (default for small and middling jobs): one Beam worker in this process whose write DoFn reads ahead with a few
threads. Pillow, hashlib
  and zstd release the GIL, there is no start-up to pay, and no image crosses a process.
* ``processes``: Beam's multi-processing mode, one thread each. Two seconds of start-up; better when the job is long and there
are many cores.

A worker process that dies (out of memory, a crashing codec) would leave FnApiRunner waiting for ever: the thread that watches the process
raises, the main thread never hears of it. `death_guard` turns that into an EngineError.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from refinery_beam.errors import EngineError

Mode = Literal["threads", "processes"]

MANY_RECORDS = 20_000
"""From here on two seconds of process start-up no longer show."""

NATIVE_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """How the local engine runs: mode, workers (threads or processes), and how often each bundle is replayed (a test of idempotence)."""

    mode: Mode
    workers: int
    bundle_repeat: int = 0

    @property
    def threads(self) -> int:
        """Read-ahead threads of one worker process."""
        return self.workers if self.mode == "threads" else 1


def choose(
    records: int, *, mode: str = "auto", workers: int | None = None, cpus: int | None = None, bundle_repeat: int = 0
) -> LocalOptions:
    """Mode and worker count for a job of `records`: all cores; processes only for long jobs on more cores than the GIL feeds
    (more than four).

    >>> choose(4_000, cpus=2)
    LocalOptions(mode='threads', workers=2, bundle_repeat=0)
    >>> choose(1_000_000, cpus=16)
    LocalOptions(mode='processes', workers=16, bundle_repeat=0)
    """
    cores = cpus or available_cpus()
    count = workers or cores
    if mode == "auto":
        mode = "processes" if records >= MANY_RECORDS and count > 4 else "threads"
    chosen: Mode = "processes" if mode == "processes" else "threads"
    return LocalOptions(mode=chosen, workers=count, bundle_repeat=bundle_repeat)


def available_cpus() -> int:
    """The processors this process may use (a container's share, not the machine's), at least 1."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def run_local(build: Callable[[Any], None], options: LocalOptions) -> None:
    """Run the pipeline that `build` makes, to its end. Raises EngineError, or whatever the worker code raised.

    Call it on the main thread: the death guard interrupts that one.
    """
    cap_native_threads()
    import apache_beam as beam

    pipeline_options = _pipeline_options(options)
    with quiet_beam(), death_guard():
        pipeline = beam.Pipeline(runner=constructed_runner(pipeline_options), options=pipeline_options)
        build(pipeline)
        result = pipeline.run()
        result.wait_until_finish()
    if str(result.state) != "DONE":
        raise EngineError(f"the local engine ended in state {result.state}", code="engine-state", value=str(result.state))


def constructed_runner(options: Any) -> Any:
    """An FnApiRunner with provision info. By name ('FnApiRunner') it has none, and worker processes start without any pipeline option."""
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(info))


def _pipeline_options(options: LocalOptions) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = [f"--direct_num_workers={options.workers if options.mode == 'processes' else 1}"]
    flags.append("--direct_running_mode=" + ("multi_processing" if options.mode == "processes" else "in_memory"))
    if options.bundle_repeat:
        flags.append(f"--direct_runner_bundle_repeat={options.bundle_repeat}")
    return PipelineOptions(flags, save_main_session=False)


def cap_native_threads() -> None:
    """One thread for each native pool, here and in worker processes: they would otherwise multiply by the number of workers."""
    for name in NATIVE_POOLS:
        os.environ.setdefault(name, "1")
    import pyarrow as pa

    pa.set_cpu_count(1)


@contextmanager
def quiet_beam() -> Iterator[None]:
    """Beam's loggers at WARNING while a job runs; its INFO lines drown the progress line."""
    import logging

    logger = logging.getLogger("apache_beam")
    before = logger.level
    logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def death_guard() -> Iterator[None]:
    """Inside, the death of a worker process ends the run with EngineError instead of waiting for ever."""
    dead: list[str] = []
    before = threading.excepthook

    def hook(args: Any) -> None:
        text = str(args.exc_value)
        if "Worker subprocess exited" in text:
            dead.append(text)
            os.kill(os.getpid(), signal.SIGINT)
        else:
            before(args)

    threading.excepthook = hook
    try:
        yield
    except BaseException as error:
        if dead:
            raise EngineError(
                "a worker process died",
                code="worker-died",
                value=dead[0],
                rule="worker processes live until the job is done",
                remedy="it was probably killed for lack of memory, or a codec crashed: try --workers 1, or --mode threads",
            ) from error
        raise
    finally:
        threading.excepthook = before
