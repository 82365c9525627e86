"""The same pipeline on an engine that speaks Beam's portable protocol: Prism, Flink, Spark.

Beam knows how to find each engine's *job server* (a Go binary, a jar) and which command starts it; we start and stop it ourselves. Beam's
own way leaves it running until the interpreter ends, and hands it the terminal's Ctrl-C before the job could be cancelled.

By default the engine starts beside this process and workers are threads in it (LOOPBACK). PROCESS workers are started on each machine by a
boot script; see `worker_boot`.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from refinery_beam import places
from refinery_beam.crashes.parent_death import tethered
from refinery_beam.crashes.worker_deaths import guarded
from refinery_beam.errors import EngineError
from refinery_beam.processes import PACKAGE_ROOT, child_environment
from refinery_beam.runners.known_options import refuse_unknown
from refinery_beam.runners.local import cap_native_threads, quiet_beam
from refinery_beam.runners.options import EngineOptions

START_SECONDS = 60.0
"""A job server that does not answer by then is taken for broken."""

KEEP_WORKERS_MILLIS = 60_000
"""How long Java engines keep the workers of a finished stage for the next one: else every stage starts new ones, and each imports Beam."""

REFUSAL_SECONDS = 1.0
"""How often it is asked whether a worker has refused to work."""

STOP_SECONDS = 10.0
"""How long a cancelled job may take to say so, and a job server to end, before it is killed."""


def run_portable(
    build: Callable[[Any], None], options: EngineOptions, *, work: str, logs: str = "", workers: int | None = None, talk: bool = False
) -> None:
    """Run the pipeline that `build` makes on the engine, to its end. Raises EngineError, or RuntimeError with the engine's own words.

    Call it on the main thread. Ctrl-C cancels the job, then comes out as KeyboardInterrupt. The job server's log is in ``logs``, a local
    folder (by default ``work``).
    """
    logs = logs or work
    cap_native_threads()
    with quiet_beam(enabled=not talk), guarded(work), _boot_script(options, logs) as boot:
        import apache_beam as beam

        _hush_worker_threads(not talk)
        beam_options = pipeline_options(options, workers=workers, boot=boot, work=work)
        try:
            with _job_server(options, beam_options, os.path.join(logs, "job-server.log")), _ended_if_it_fails(work):
                refuse_unknown(options, beam_options)
                pipeline = beam.Pipeline(runner=_runner(options.runner), options=beam_options)
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
    """Worker threads of this process stop when the job is over before its end, while what they print is still kept from the user."""
    from refinery_beam.job.cancel import cancel

    try:
        yield
    except BaseException:
        cancel(work)
        raise


@contextmanager
def _ended_by_a_refusal(result: Any, work: str) -> Iterator[None]:
    """Cancels the job when a worker has refused to work for this driver: a worker pool's engine waits for such a worker for ever."""
    from refinery_beam.job.failures import read_failures

    over = threading.Event()
    # On a store every look is a listing.
    seconds = REFUSAL_SECONDS * (10 if places.is_url(work) else 1)

    def watch() -> None:
        while not over.wait(seconds):
            with suppress(OSError, ValueError):  # being written this very moment
                if any(error.code == "worker-differs" for error in read_failures(work)):
                    _cancel(result)
                    return

    thread = threading.Thread(target=watch, name="refinery-refusals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(STOP_SECONDS + 1)


def read_ahead_threads(options: EngineOptions, workers: int | None) -> int:
    """Read-ahead threads of one worker process. With LOOPBACK all workers are threads of this process and share them."""
    from refinery_beam.runners.local import available_cpus

    return workers or available_cpus() if options.environment == "LOOPBACK" else 1


def pipeline_options(options: EngineOptions, *, workers: int | None, boot: str = "", work: str = "") -> Any:
    """Beam's options: those given, and parallelism and the worker boot where they were not. Workers elsewhere learn what this driver is."""
    from refinery_beam.runners.driver_option import driver_flag
    from refinery_beam.runners.local import available_cpus
    from refinery_beam.runners.parsed_once import pipeline_options_of

    flags = list(options.flags)
    count = workers or available_cpus()
    if options.runner == "flink" and not options.given("parallelism"):
        flags.append(f"--parallelism={count}")
    if options.runner == "flink" and not options.given("flink_version"):
        # Of the lines that Beam 2.77 knows, the one that was tested.
        flags.append("--flink_version=1.19")
    if options.runner == "spark" and not options.given("spark_master_url"):
        flags.append(f"--spark_master_url=local[{count}]")
    if not options.given("environment_type"):
        flags.append(f"--environment_type={options.environment}")
    if options.environment in ("PROCESS", "EXTERNAL") and not options.given("environment_cache_millis"):
        flags.append(f"--environment_cache_millis={KEEP_WORKERS_MILLIS}")
    if work and options.environment != "LOOPBACK":
        flags.append(driver_flag(work))
    if boot:
        flags.append("--environment_config=" + json.dumps({"command": boot}))
    return pipeline_options_of(flags)


def _runner(name: str) -> Any:
    if name == "prism":
        from apache_beam.runners.portability.prism_runner import PrismRunner

        return PrismRunner()
    if name == "flink":
        from apache_beam.runners.portability.flink_runner import FlinkRunner

        return FlinkRunner()
    from apache_beam.runners.portability.spark_runner import SparkRunner

    return SparkRunner()


def _server_of(name: str, options: Any) -> Any:
    """Beam's description of an engine's job server: where it is found, and the command that starts it."""
    if name == "prism":
        from apache_beam.runners.portability.prism_runner import PrismJobServer

        return PrismJobServer(options)
    if name == "flink":
        from apache_beam.options.pipeline_options import FlinkRunnerOptions
        from apache_beam.runners.portability.flink_runner import FlinkJarJobServer, FlinkRunner

        view = options.view_as(FlinkRunnerOptions)
        view.flink_master = FlinkRunner.add_http_scheme(view.flink_master)
        return FlinkJarJobServer(options)
    from apache_beam.runners.portability.spark_runner import SparkJarJobServer

    return SparkJarJobServer(options)


@contextmanager
def _job_server(given: EngineOptions, options: Any, log: str) -> Iterator[None]:
    """Inside, the engine's job server runs and `options` name it. One that was given, or an uber jar's, is left to Beam."""
    from apache_beam.options.pipeline_options import PortableOptions

    if given.given("job_endpoint") or given.given("flink_submit_uber_jar") or given.given("spark_submit_uber_jar"):
        yield
        return
    folder = tempfile.mkdtemp(prefix="refinery-beam-job-server-")
    process: subprocess.Popen[bytes] | None = None
    try:
        server = _server_of(given.runner, options)
        server._local_temp_root = folder
        command, endpoint = server.subprocess_cmd_and_endpoint()
        with open(log, "wb") as file:
            # A session of its own: Ctrl-C at the terminal is ours to pass on, as a cancelled job.
            process = subprocess.Popen(
                tethered([str(word) for word in command]),
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _await_server(process, endpoint, log)
        options.view_as(PortableOptions).job_endpoint = endpoint
        yield
    finally:
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _await_server(process: subprocess.Popen[bytes], endpoint: str, log: str) -> None:
    import grpc

    deadline = time.monotonic() + START_SECONDS
    with grpc.insecure_channel(endpoint) as channel:
        ready = grpc.channel_ready_future(channel)
        while True:
            try:
                ready.result(timeout=0.2)
                return
            except grpc.FutureTimeoutError:
                if process.poll() is None and time.monotonic() < deadline:
                    continue
            ready.cancel()
            with open(log, errors="replace") as file:
                said = [line.strip() for line in file if line.strip()][:3]
            raise EngineError(
                "the job server of the engine did not start",
                code="job-server",
                value=" / ".join(said) or process.args[0],  # type: ignore[index]
                rule="Prism is a Go binary; Flink and Spark need Java 11 or 17",
                remedy="docs/engines.md says what each engine needs; --debug shows what Beam says",
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
    """Wait for worker threads that learn only now that the other end is gone: `guarded` keeps what they say from the user."""
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
        file.write(f"PYTHONPATH={_quoted(PACKAGE_ROOT)}${{PYTHONPATH:+:$PYTHONPATH}}; export PYTHONPATH\n")
        file.write(f'exec {_quoted(sys.executable)} -m refinery_beam worker-boot "$@"\n')
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    yield path


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
