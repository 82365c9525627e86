"""The same pipeline on Google Cloud Dataflow: submitted with Beam's own runner, followed and cancelled by this module.

Beam waits for a job by logging its messages and raising one of them; after a Ctrl-C the job goes on, at its owner's expense. So this module
reads the state, the messages and the counters itself, through Beam's client, and cancels a job that does not end.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from refinery_beam.crashes.job_died import raises_job_died
from refinery_beam.errors import EngineError, UsageError
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.known_options import refuse_unknown
from refinery_beam.runners.local import cap_native_threads
from refinery_beam.runners.quiet import quiet_beam

POLL_SECONDS = 5.0
"""Seconds between two requests for the job's state and counters."""

LAST_WORDS_SECONDS = 50.0
"""How long a failed job's messages may take to arrive: about 30 s as a rule, says Beam."""

CANCEL_SECONDS = 120.0
"""How long a cancelled job may take to end before we stop waiting for it."""

ENDS = ("DONE", "FAILED", "CANCELLED", "DRAINED", "UPDATED")

WORDS = 3
"""How many messages of a failed job an error repeats."""


@dataclass(kw_only=True)
class Listener:
    """Receives the news of a running job. `say` gets one line for each change of state; `counts` are finished records by pass.

    A repeated bundle counts again, so the counts are good for the progress line and for nothing else.
    """

    say: Callable[[str], None] = lambda text: None
    counts: dict[str, int] = field(default_factory=dict)


def run_dataflow(
    build: Callable[[Any], None],
    options: EngineOptions,
    *,
    work: str,
    workers: int | None = None,
    listener: Listener | None = None,
    talk: bool = False,
) -> None:
    """Run the pipeline that `build` makes on Dataflow, to its end. Raises EngineError with the job's own words and its console page.

    Call it on the main thread. Ctrl-C cancels the job, then comes out as KeyboardInterrupt.
    """
    cap_native_threads()
    listener = listener or Listener()
    with quiet_beam(enabled=not talk), raises_job_died(work):
        pipeline = _pipeline(build, options, work=work, workers=workers)
        with _interrupted_later() as pressed:
            job = _submit(pipeline, options)
        listener.say(f"Dataflow job {job.id} is submitted: {job.page}")
        try:
            if pressed:
                raise KeyboardInterrupt
            state = _wait(job, listener)
        except BaseException:
            _cancel(job, listener)
            raise
        if state != "DONE":
            raise _failed(job, state)


@dataclass(frozen=True, kw_only=True)
class DataflowJob:
    """A submitted job: its id, its page in the console, and Beam's handle on it."""

    id: str
    page: str
    result: Any
    client: Any


@contextmanager
def _interrupted_later() -> Iterator[list[int]]:
    """Inside, the first Ctrl-C waits: a job must be known before it can be cancelled. A second Ctrl-C is raised at once."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before == signal.SIG_IGN:
        yield pressed
        return

    def handler(number: int, frame: Any) -> None:
        pressed.append(number)
        if len(pressed) > 1 and callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _pipeline(build: Callable[[Any], None], options: EngineOptions, *, work: str, workers: int | None) -> Any:
    import apache_beam as beam
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    beam_options = dataflow_options(options, work=work, workers=workers)
    refuse_unknown(options, beam_options)
    try:
        pipeline = beam.Pipeline(runner=DataflowRunner(), options=beam_options)
    except ValueError as error:
        raise UsageError(
            "Beam refuses the options: " + " ".join(str(error).split("\n", 1)[-1].split()),
            code="beam-option",
            value=" ".join(options.flags),
            rule="Dataflow's options are Beam's",
            remedy="correct what stands behind --",
        ) from error
    build(pipeline)
    return pipeline


def _submit(pipeline: Any, options: EngineOptions) -> DataflowJob:
    try:
        result = pipeline.run()
    except Exception as error:
        raise EngineError(
            f"the job could not be submitted: {_one_line(error)}", code="job-submission", value=type(error).__name__
        ) from error
    name = result.job_id()
    page = f"https://console.cloud.google.com/dataflow/jobs/{options.value('region')}/{name}?project={options.value('project')}"
    return DataflowJob(id=name, page=page, result=result, client=pipeline.runner.dataflow_client)


def dataflow_options(options: EngineOptions, *, work: str, workers: int | None) -> Any:
    """Beam's options: the user's, and the defaults of this program where they differ from Beam's."""
    from refinery_beam.runners.parsed_once import pipeline_options_of

    flags = list(options.flags)
    if not options.given("job_name"):
        flags.append(f"--job_name={job_name(work)}")
    if workers and not options.given("num_workers") and not options.given("max_num_workers"):
        flags.append(f"--max_num_workers={workers}")
    return pipeline_options_of(flags)


def job_name(work: str) -> str:
    """A name of its own for every attempt: Dataflow refuses a second job of one name. Beam's would hold the name of the user.

    >>> job_name("gs://bucket/cache/staging/a-b-0-1234/rows")
    'refinery-beam-412be1d8614a'
    """
    return "refinery-beam-" + hashlib.sha256(work.encode()).hexdigest()[:12]


def _wait(job: DataflowJob, listener: Listener) -> str:
    """The state the job ends in."""
    before = ""
    while True:
        state = str(job.result.state)
        if state != before:
            listener.say(f"Dataflow job {job.id} is {state.lower()}")
            before = state
        if state in ENDS:
            return state
        if state == "RUNNING":
            listener.counts.update(_counts(job))
        time.sleep(POLL_SECONDS)


def _counts(job: DataflowJob) -> dict[str, int]:
    """Finished records by pass, as far as workers have reported them. Never fails: without counts the progress line shows less."""
    from apache_beam.metrics import MetricsFilter

    from refinery_beam.pipeline.heartbeat import COUNTERS

    counts: dict[str, int] = {}
    try:
        for found in job.result.metrics().query(MetricsFilter().with_namespace(COUNTERS))["counters"]:
            counts[found.key.metric.name] = counts.get(found.key.metric.name, 0) + int(found.attempted or 0)
    except Exception:
        # Counters are for the progress line: whatever the service or its library raises, the job goes on without them.
        return {}
    return counts


def _cancel(job: DataflowJob, listener: Listener) -> None:
    """Cancel the job and wait until it has ended, because it may still write. A second Ctrl-C ends the waiting."""
    listener.say(f"cancelling Dataflow job {job.id}")
    try:
        job.result.cancel()
        deadline = time.monotonic() + CANCEL_SECONDS
        while str(job.result.state) not in ENDS:
            if time.monotonic() > deadline:
                listener.say(f"Dataflow job {job.id} has not ended yet; see {job.page}")
                return
            time.sleep(min(1.0, POLL_SECONDS))
    except (Exception, KeyboardInterrupt):
        listener.say(f"Dataflow job {job.id} may still be running; see {job.page}")


def _failed(job: DataflowJob, state: str) -> EngineError:
    """The error for a job that did not end as done, with the job's own messages."""
    if state != "FAILED":
        return EngineError(f"the Dataflow job was ended from outside, in state {state}", code="engine-state", at=job.page, value=state)
    words = last_words(_error_messages(job))
    return EngineError(
        "the Dataflow job failed" + (": " + "\n  ".join(words) if words else ", and gave no reason"),
        code="engine-failed",
        at=job.page,
        value=state,
        remedy="the page above has the logs of its workers; nothing was promoted",
    )


def _error_messages(job: DataflowJob) -> list[str]:
    """The texts of the job's messages of importance error, oldest first. Waits for the first of them: they come late."""
    deadline = time.monotonic() + LAST_WORDS_SECONDS
    while True:
        texts, token = [], None
        while True:
            messages, token = job.client.list_messages(job.id, page_token=token, minimum_importance="JOB_MESSAGE_ERROR")
            texts += [str(message.message_text) for message in messages]
            if not token:
                break
        if texts or time.monotonic() > deadline:
            return texts
        time.sleep(min(1.0, POLL_SECONDS))


def last_words(texts: Sequence[str]) -> list[str]:
    """The useful lines of a job's error messages: the exceptions of workers, else the messages of the service; the last few.

    >>> last_words(["A work item was attempted 4 times without success.", "Traceback (most recent call last):\\n  File x\\nOSError: disk"])
    ['OSError: disk']
    """
    raised = [_exception_of(text) for text in texts if "Traceback" in text]
    listener = raised or [text for text in texts if "work item was attempted" not in text] or list(texts)
    return list(dict.fromkeys(" ".join(text.split()) for text in listener))[-WORDS:]


def _exception_of(text: str) -> str:
    """The last line of the last traceback in a text."""
    lines = [line for line in text[text.rindex("Traceback") :].splitlines()[1:] if line.strip() and not line.startswith(" ")]
    return lines[0] if lines else text.strip().splitlines()[-1]


def _one_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[0].split()) if lines else type(error).__name__
