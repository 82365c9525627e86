"""How a job ends: done, failed in words a person can use, cancelled, refused; and that nothing else is printed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import apache_beam as beam
import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.runners.dataflow.run import Listener, last_words, run_dataflow
from refinery_beam.runners.engine_options import EngineOptions
from support.google_stub import JOB_ID, Google, Script

PAGE = f"https://console.cloud.google.com/dataflow/jobs/europe-west4/{JOB_ID}?project=a-project"

WORKER = """\
Error message from worker: generic::unknown: Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1498, in apache_beam.runners.common.DoFnRunner.process
    return self.do_fn_invoker.invoke_process(windowed_value)
OSError: [Errno 28] No space left on device: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/opt/refinery_beam/pipeline/write.py", line 83, in process
OSError: [Errno 28] No space left on device [while running 'Shards/Write-ptransform-12']

passed through:
==>
    dist_proc/dax/workflow/worker/fnapi_service_impl.cc:1335"""

GAVE_UP = "A work item was attempted 4 times without success. The work item was attempted on these workers: w-1."

Options = Callable[..., EngineOptions]


def build(pipeline: beam.Pipeline) -> None:
    """Any pipeline will do: none is executed here."""
    _ = pipeline | beam.Create(["a"]) | beam.Map(len)


def run(options: EngineOptions, listener: Listener | None = None) -> None:
    run_dataflow(build, options, work="gs://a-bucket/cache/staging/x/rows", listener=listener)


def test_done_says_nothing(options: Options, google: Google, capfd: pytest.CaptureFixture[str]) -> None:
    google.script = Script(states=["PENDING", "RUNNING", "DONE"], messages=[("BASIC", "Worker configuration: n1"), ("ERROR", "a retry")])
    run(options())
    assert capfd.readouterr() == ("", "")
    assert google.updates == []


def test_a_failed_job_speaks(options: Options, google: Google, capfd: pytest.CaptureFixture[str]) -> None:
    google.script = Script(
        states=["RUNNING", "FAILED"], messages=[("ERROR", WORKER), ("WARNING", "slow"), ("ERROR", WORKER), ("ERROR", GAVE_UP)]
    )
    with pytest.raises(RefineryError) as caught:
        run(options())
    error = caught.value
    assert (error.code, error.exit_code, error.at, error.value) == ("engine-failed", 4, PAGE, "FAILED")
    assert error.message == (
        "the Dataflow job failed: OSError: [Errno 28] No space left on device [while running 'Shards/Write-ptransform-12']"
    )
    assert capfd.readouterr() == ("", "") and google.updates == []


def test_words_of_the_service_itself(options: Options, google: Google) -> None:
    quota = "Workflow failed. Causes: Project a-project has insufficient quota(s)\n to execute this workflow: CPUS 0/8."
    google.script = Script(states=["FAILED"], messages=[("ERROR", quota)])
    with pytest.raises(RefineryError) as caught:
        run(options())
    assert caught.value.message == "the Dataflow job failed: " + " ".join(quota.split())


def test_last_words() -> None:
    assert last_words([]) == []
    assert last_words([GAVE_UP]) == [GAVE_UP]
    assert last_words(["a", "b", "a", "c", "d", GAVE_UP]) == ["b", "c", "d"]


def test_no_words(options: Options, google: Google) -> None:
    google.script = Script(states=["FAILED"], messages=[("DEBUG", "fine"), ("WARNING", "slow")])
    with pytest.raises(RefineryError) as caught:
        run(options())
    assert caught.value.message == "the Dataflow job failed, and gave no reason"
    assert google.asked.count("messages") >= 2, "messages may be late"


@pytest.mark.parametrize("state", ["CANCELLED", "DRAINED", "UPDATED"])
def test_ended_by_somebody_else(state: str, options: Options, google: Google) -> None:
    google.script = Script(states=["RUNNING", state])
    with pytest.raises(RefineryError) as caught:
        run(options())
    assert (caught.value.code, caught.value.exit_code, caught.value.value) == ("engine-state", 4, state)
    assert google.updates == []


def interrupt_when(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("cancels", [True, False])
@pytest.mark.parametrize("running", [True, False], ids=["running", "being created"])
def test_ctrl_c_cancels_the_job(running: bool, cancels: bool, options: Options, google: Google, capfd: pytest.CaptureFixture[str]) -> None:
    google.script = Script(states=["RUNNING"], cancels=cancels)
    said: list[str] = []
    happened = (lambda: "metrics" in google.asked) if running else (lambda: google.jobs != [])
    threading.Thread(target=interrupt_when, args=(happened,), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(options(), Listener(say=said.append))
    assert google.updates == ["CANCELLED"]
    assert said[-1 if cancels else -2] == f"cancelling Dataflow job {JOB_ID}"
    assert cancels or said[-1] == f"Dataflow job {JOB_ID} has not ended yet; see {PAGE}"
    assert capfd.readouterr() == ("", "")


def test_a_job_that_is_not_accepted(
    options: Options, google: Google, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from apache_beam.utils import retry

    monkeypatch.setattr(retry.Clock, "sleep", lambda self, seconds: None)
    google.script = Script(refuse="dataflow.jobs.create is denied for runner@a-project")
    with pytest.raises(RefineryError) as caught:
        run(options())
    assert (caught.value.code, caught.value.exit_code) == ("job-submission", 4)
    assert "dataflow.jobs.create is denied for runner@a-project" in caught.value.message
    assert "\n" not in caught.value.message and google.jobs == []
    assert capfd.readouterr() == ("", "")


def test_an_option_nobody_knows_and_one_that_beam_refuses(options: Options, google: Google) -> None:
    with pytest.raises(RefineryError) as caught:
        run(options("--max-workers=3"))
    assert (caught.value.code, caught.value.value) == ("beam-option", "--max_workers")
    with pytest.raises(RefineryError) as caught:
        run(options("--prebuild_sdk_container_base_image=other"))
    assert caught.value.code == "beam-option" and "Use --sdk_container_image instead" in caught.value.message
    assert google.jobs == [] and google.objects == {}
