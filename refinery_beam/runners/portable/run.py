"""The same pipeline on an engine that speaks Beam's portable protocol: Prism, Flink, Spark.

Beam knows how to find each engine's *job server* (a Go binary, a jar) and which command starts it; this module starts and stops
it. Beam itself would leave it running until the interpreter ends, and the terminal's Ctrl-C would reach it before the job is cancelled.

By default the engine starts on this machine and workers are threads of this process (LOOPBACK). PROCESS workers are started on each machine
by a boot script; see `worker_boot`.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from refinery_beam import locations
from refinery_beam.crashes.job_died import raises_job_died
from refinery_beam.errors import EngineError
from refinery_beam.job.cancel import cancel
from refinery_beam.job.failures import read_failures
from refinery_beam.processes import PACKAGE_ROOT
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.known_options import refuse_unknown
from refinery_beam.runners.local import cap_native_threads
from refinery_beam.runners.pipelines import make_pipeline
from refinery_beam.runners.portable.job_server import job_server
from refinery_beam.runners.portable.options import pipeline_options
from refinery_beam.runners.quiet import quiet_beam

REFUSAL_SECONDS = 1.0
"""Seconds between two checks whether a worker has refused to work."""

STOP_SECONDS = 10.0
"""How long a cancelled job may take to report that it is cancelled."""


def run_portable(
    build: Callable[[Any], None], options: EngineOptions, *, work: str, logs: str = "", workers: int | None = None, talk: bool = False
) -> None:
    """Run the pipeline that `build` makes on the engine, to its end. Raises EngineError, or RuntimeError with the engine's own words.

    Call it on the main thread. Ctrl-C cancels the job, then comes out as KeyboardInterrupt. The job server's log is in ``logs``, a local
    folder (by default ``work``).
    """
    logs = logs or work
    cap_native_threads()
    with quiet_beam(enabled=not talk), raises_job_died(work), _boot_script(options, logs) as boot:
        _hush_worker_threads(not talk)
        beam_options = pipeline_options(options, workers=workers, boot=boot, work=work)
        try:
            with job_server(options, beam_options, os.path.join(logs, "job-server.log")), _ended_if_it_fails(work):
                refuse_unknown(options, beam_options)
                pipeline = make_pipeline(runner=_runner(options.runner), options=beam_options)
                build(pipeline)
                result = pipeline.run()
                try:
                    with _ended_by_a_refusal(result, work):
                        result.wait_until_finish()
                except KeyboardInterrupt:
                    _cancel(result)
                    raise
                state = str(result.state)
        finally:
            _join_hanging_up()
    if state != "DONE":
        raise EngineError(f"the engine ended in state {state}", code="engine-state", value=state)


def _hush_worker_threads(enabled: bool) -> None:
    """Worker threads of this process print the traceback of every exception on stderr, some of them after the run is over.

    The exception reaches the driver as well. Beam has no switch for it, so its module gets a `print` of its own.
    """
    from apache_beam.runners.worker import sdk_worker

    if enabled:
        sdk_worker.print = lambda *_, **__: None
    else:
        vars(sdk_worker).pop("print", None)


@contextmanager
def _ended_if_it_fails(work: str) -> Iterator[None]:
    """Inside, a failed job stops the worker threads of this process, while their output is still hidden from the user."""
    try:
        yield
    except BaseException:
        cancel(work)
        raise


@contextmanager
def _ended_by_a_refusal(result: Any, work: str) -> Iterator[None]:
    """Cancels the job when a worker has refused to work for this driver: a worker pool's engine waits for such a worker for ever."""
    over = threading.Event()
    # On a store every check is a listing.
    seconds = REFUSAL_SECONDS * (10 if locations.is_url(work) else 1)

    def poll_refusals() -> None:
        while not over.wait(seconds):
            with suppress(OSError, ValueError):  # a worker is still writing the file
                if any(error.code == "worker-differs" for error in read_failures(work)):
                    _cancel(result)
                    return

    thread = threading.Thread(target=poll_refusals, name="refinery-refusals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(STOP_SECONDS + 1)


def _runner(name: str) -> Any:
    if name == "prism":
        from apache_beam.runners.portability.prism_runner import PrismRunner

        return PrismRunner()
    if name == "flink":
        from apache_beam.runners.portability.flink_runner import FlinkRunner

        return FlinkRunner()
    from apache_beam.runners.portability.spark_runner import SparkRunner

    return SparkRunner()


def _cancel(result: Any) -> None:
    """Ask the engine to cancel the job and wait a little until it says that it has."""
    try:
        result.cancel()
        deadline = time.monotonic() + STOP_SECONDS
        while result.state not in ("CANCELLED", "FAILED", "DONE") and time.monotonic() < deadline:
            time.sleep(0.1)
    except Exception:
        pass  # the job server is stopped next, and nothing is promoted


def _join_hanging_up() -> None:
    """Wait for worker threads that notice only now that the other end is gone: `raises_job_died` hides their output from the user."""
    deadline = time.monotonic() + 5
    for thread in threading.enumerate():
        if thread.name.startswith(("read_grpc_client_inputs", "read_state", "beam_control_read", "run_worker_")):
            thread.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def _boot_script(options: EngineOptions, work: str) -> Iterator[str]:
    """A script that starts a worker from this very Python environment, for PROCESS workers on this machine; '' where none is needed."""
    if options.environment != "PROCESS" or options.given("environment_config"):
        yield ""
        return
    path = os.path.join(work, "worker-boot")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n")
        file.write(f"PYTHONPATH={shlex.quote(PACKAGE_ROOT)}${{PYTHONPATH:+:$PYTHONPATH}}; export PYTHONPATH\n")
        file.write(f'exec {shlex.quote(sys.executable)} -m refinery_beam worker-boot "$@"\n')
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    yield path
