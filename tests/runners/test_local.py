"""The local engine by itself: what it chooses, what it does with exceptions, and that nothing of Beam's is printed."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from refinery_beam.crashes.job_died import raises_job_died
from refinery_beam.errors import EngineError
from refinery_beam.job.interned import current_table
from refinery_beam.runners.local import LocalOptions, constructed_runner, plan_local_workers, run_local
from refinery_beam.runners.quiet import quiet_beam, stderr_set_aside

PLAIN = LocalOptions(mode="threads", workers=1, beam_workers=1, runner_factory=constructed_runner)
"""What crosses the stages of these pipelines is not measured; see the top conftest."""


def test_choices() -> None:
    assert plan_local_workers(100, cpus=2) == LocalOptions(mode="threads", workers=2, beam_workers=1)
    assert plan_local_workers(100, workers=8) == LocalOptions(mode="threads", workers=8, beam_workers=2), "as it was told"
    assert plan_local_workers(300, cpus=8) == LocalOptions(mode="threads", workers=8, beam_workers=2)
    assert plan_local_workers(300, cpus=1) == LocalOptions(mode="threads", workers=1, beam_workers=1)
    assert plan_local_workers(100_000, cpus=2).mode == "threads"
    assert plan_local_workers(100_000, cpus=8) == LocalOptions(mode="processes", workers=8, beam_workers=8)
    assert plan_local_workers(100_000, cpus=8, workers=3) == LocalOptions(mode="threads", workers=3, beam_workers=2)
    assert plan_local_workers(10, mode="processes", workers=2, cpus=8) == LocalOptions(mode="processes", workers=2, beam_workers=2)
    assert plan_local_workers(10, cpus=8, workers=5).threads == 5
    assert plan_local_workers(10, mode="processes", cpus=8).threads == 1


def test_it_runs_and_keeps_the_type_of_an_error(tmp_path: Path) -> None:
    def build(pipeline: Any) -> None:
        _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda n: (tmp_path / str(n)).touch())

    run_local(build, PLAIN, work=str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2", "3"]


def test_refs_are_interned_where_nobody_else_reads_them(tmp_path: Path) -> None:
    tables: list[int] = []

    def build(pipeline: Any) -> None:
        tables.append(current_table())
        _ = pipeline | beam.Create([1])

    for options in (
        PLAIN,
        PLAIN,
        replace(PLAIN, runner_factory=lambda options: constructed_runner(options)),
        replace(PLAIN, mode="processes"),
    ):
        run_local(build, options, work=str(tmp_path))
    first, second, *others = tables
    assert 0 < first < second and others == [0, 0]
    assert current_table() == 0


def test_ctrl_c_comes_out_as_itself(tmp_path: Path) -> None:
    def build(pipeline: Any) -> None:
        _ = pipeline | beam.Create([1]) | beam.Map(lambda _: os.kill(os.getpid(), signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_local(build, PLAIN, work=str(tmp_path))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_a_dead_worker_is_an_engine_error(tmp_path: Path) -> None:
    """The pipeline waits for an answer that will never come."""

    def build(pipeline: Any) -> None:
        _ = pipeline | beam.Create([1]) | beam.Map(lambda _: os.kill(os.getpid(), signal.SIGKILL))

    options = LocalOptions(mode="processes", workers=2, beam_workers=2, runner_factory=constructed_runner)
    with pytest.raises(EngineError) as caught:
        run_local(build, options, work=str(tmp_path))
    assert (caught.value.code, caught.value.value) == ("worker-died", "SIGKILL")


def test_the_first_worker_that_died_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught, raises_job_died(str(tmp_path)) as ending:
        ending.worker_died("SIGSEGV")
        ending.worker_died("SIGKILL")
        raise RuntimeError("what the engine says of it")
    assert (caught.value.code, caught.value.value) == ("worker-died", "SIGSEGV")


def test_quiet_means_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with quiet_beam():
        logging.getLogger("apache_beam").error("noise")
    assert caplog.records == []
    with quiet_beam(enabled=False):
        logging.getLogger("apache_beam").error("wanted")
    assert [r.message for r in caplog.records] == ["wanted"]


def test_stderr_of_workers_is_set_aside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with stderr_set_aside(str(tmp_path / "log"), enabled=True) as stream:
        os.write(2, b"noise of a worker\n")
        stream.write("progress\n")
    os.write(2, b"after\n")
    assert (tmp_path / "log").read_bytes() == b"noise of a worker\n"
    assert capfd.readouterr().err == "progress\nafter\n"
