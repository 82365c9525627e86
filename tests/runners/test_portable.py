"""What surrounds an engine: its job server starts and stops with the run, and workers boot. The engines themselves: tests/engines."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from refinery_beam.errors import EngineError, ErrorGroup
from refinery_beam.runners.known_options import refuse_unknown
from refinery_beam.runners.options import read_options
from refinery_beam.runners.portable.options import pipeline_options, read_ahead_threads
from refinery_beam.runners.portable.run import _boot_script, run_portable
from refinery_beam.runners.portable.worker_boot import environment, read_arguments


def test_a_job_server_that_does_not_start(tmp_path: Path) -> None:
    broken = tmp_path / "prism"
    broken.write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    options = read_options("prism", [f"--prism_location={broken}"])
    with pytest.raises(EngineError) as caught:
        run_portable(lambda pipeline: None, options, work=str(tmp_path))
    assert (caught.value.code, caught.value.value) == ("job-server", "no such luck")


def test_defaults_are_added_only_where_nothing_was_said() -> None:
    def given(runner: str, *flags: str) -> dict[str, object]:
        found = pipeline_options(read_options(runner, flags), workers=3).get_all_options(drop_default=True)
        return {name: value for name, value in found.items() if name != "save_main_session"}

    assert given("flink") == {"parallelism": 3, "flink_version": "1.19", "environment_type": "LOOPBACK"}
    assert given("flink", "--parallelism=8", "--flink_version=1.20")["parallelism"] == 8
    assert given("spark")["spark_master_url"] == "local[3]"
    assert given("prism") == {"environment_type": "LOOPBACK"}


def test_threads_of_a_worker() -> None:
    assert read_ahead_threads(read_options("flink"), 3) == 3
    assert read_ahead_threads(read_options("flink", ["--flink_master=localhost:8081", "--environment_type=PROCESS"]), 3) == 1


def test_the_boot_script_is_this_python(tmp_path: Path) -> None:
    options = read_options("flink", ["--flink_master=localhost:8081", "--environment_type=PROCESS"])
    with _boot_script(options, str(tmp_path)) as path:
        assert Path(path).stat().st_mode & stat.S_IXUSR
        done = subprocess.run([path, "--help"], capture_output=True, text=True, cwd="/", check=True)
        assert "--provision_endpoint" in done.stdout
    with _boot_script(read_options("flink"), str(tmp_path)) as path:
        assert path == ""


def test_what_a_worker_is_told() -> None:
    from apache_beam.portability.api import beam_provision_api_pb2

    info = beam_provision_api_pb2.ProvisionInfo(runner_capabilities=["a", "b"])
    info.control_endpoint.url = "localhost:1"
    given = read_arguments(["--id=1-1", "--provision_endpoint=localhost:9", "--logging_endpoint=localhost:2", "--unknown=x"])
    assert environment(given, info, "/scratch") == {
        "WORKER_ID": "1-1",
        "PIPELINE_OPTIONS": "{}",
        "LOGGING_API_SERVICE_DESCRIPTOR": 'url: "localhost:2"\n',
        "CONTROL_API_SERVICE_DESCRIPTOR": 'url: "localhost:1"\n',
        "RUNNER_CAPABILITIES": "a b",
        "SEMI_PERSISTENT_DIRECTORY": "/scratch",
    }


def test_options_that_nobody_knows_are_refused() -> None:
    from apache_beam.options.pipeline_options import PipelineOptions

    given = read_options("flink", ["--paralellism=2", "--flink-version=1.19", "--zzzzzz"])
    with pytest.raises(ErrorGroup) as caught:
        refuse_unknown(given, PipelineOptions(list(given.flags)))
    assert [(e.code, e.value, e.remedy) for e in caught.value.errors()] == [
        ("beam-option", "--paralellism", "did you mean 'parallelism'?"),
        ("beam-option", "--zzzzzz", "leave it out"),
    ]
    fine = read_options("flink", ["--parallelism=2", "--flink_submit_uber_jar", "--experiments=a"])
    refuse_unknown(fine, PipelineOptions(list(fine.flags)))


def booted(driver: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What `worker-boot` says when the engine's provision service gives it the options of a driver."""
    import grpc
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    from refinery_beam.runners.portable import driver_option

    (tmp_path / "failures").mkdir()
    options = PipelineOptions([f"--{driver_option.NAME}={driver}"]).get_all_options()

    class Provision(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
        def GetProvisionInfo(self, request: object, context: object) -> object:
            info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=JobServiceHandle.encode_pipeline_options(options))
            return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)

    server = grpc.server(ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(Provision(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        command = [sys.executable, "-m", "refinery_beam", "worker-boot", "--id=1-1", f"--provision_endpoint=127.0.0.1:{port}"]
        return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, timeout=120)
    finally:
        server.stop(None)


def test_a_worker_of_another_release_does_not_even_start(tmp_path: Path) -> None:
    from refinery_beam.job.failures import read_failures
    from refinery_beam.job.versions import versions_here

    versions = [[name, "9.9.9" if name == "refinery-beam" else version] for name, version in versions_here()]
    done = booted(json.dumps({"versions": versions, "work": str(tmp_path)}), tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: a worker has refinery-beam {dict(versions_here())['refinery-beam']}; this run began with")
    assert [(e.code, e.exit_code) for e in read_failures(str(tmp_path))] == [("worker-differs", 3)]


def test_workers_elsewhere_are_told_what_the_driver_is(tmp_path: Path) -> None:
    from refinery_beam.runners.portable.driver_option import refuse_other_driver

    process = read_options("flink", ["--flink_master=localhost:8081", "--environment_type=PROCESS"])
    given = pipeline_options(process, workers=1, work=str(tmp_path)).get_all_options()["refinery_driver"]
    assert json.loads(given)["work"] == str(tmp_path)
    refuse_other_driver({"beam:option:refinery_driver:v1": given})
    refuse_other_driver({"beam:option:runner:v1": "none of our jobs"})
    assert "refinery_driver" not in pipeline_options(read_options("flink"), workers=1, work=str(tmp_path)).get_all_options(
        drop_default=True
    )


def test_a_refusal_ends_a_job_that_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker pool's engine asks again and again for a worker that will not come: the driver cancels the job."""
    from refinery_beam.errors import EnvironmentFault
    from refinery_beam.job.failures import report_failure
    from refinery_beam.runners.portable import run

    monkeypatch.setattr(run, "REFUSAL_SECONDS", 0.02)
    (tmp_path / "failures").mkdir()
    over = threading.Event()

    class Result:
        state = "RUNNING"

        def cancel(self) -> None:
            self.state = "CANCELLED"
            over.set()

    with run._ended_by_a_refusal(Result(), str(tmp_path)):
        report_failure(str(tmp_path), EngineError("a bad record", code="truncated"))
        assert not over.wait(0.3), "another failure is the engine's to handle"
        report_failure(str(tmp_path), EnvironmentFault("a worker has ...", code="worker-differs"))
        assert over.wait(60)
