"""The job server of a portable engine: found by Beam, started and stopped by us."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from refinery_beam.crashes.parent_death import killed_with_parent
from refinery_beam.errors import EngineError
from refinery_beam.processes import child_environment
from refinery_beam.runners.engine_options import EngineOptions

START_SECONDS = 60.0
"""Seconds after which a job server that does not answer counts as broken."""

END_SECONDS = 10.0
"""How long a job server may take to end before it is killed."""


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
def job_server(given: EngineOptions, options: Any, log: str) -> Iterator[None]:
    """Inside, the engine's job server runs and `options` name it. Beam handles a job server that the user names, and uber jars."""
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
                killed_with_parent([str(word) for word in command]),
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
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
