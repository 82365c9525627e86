"""A worker of another release, on a real engine: the option that tells it of its driver goes through Flink's job server and back."""

from __future__ import annotations

from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam.launch.run import run_with
from refinery_beam.launch.settings import Settings
from refinery_beam.runners.portable import driver_option
from support.engine_parts import JARS

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


def test_workers_of_another_release_are_refused(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not JARS["flink"].exists():
        pytest.skip(f"{JARS['flink']} is not there: make engines")
    here = driver_option.versions_here()
    monkeypatch.setattr(driver_option, "versions_here", lambda: tuple((n, "9.9.9" if n == "refinery-beam" else v) for n, v in here))
    options = (f"--flink_job_server_jar={JARS['flink']}", "--environment_type=PROCESS")
    with pytest.raises(rb.errors.RefineryError) as caught:
        run_with(recipe, Settings(cache_root=str(tmp_path / "cache"), runner="flink", beam_options=options, workers=1))
    assert (caught.value.code, caught.value.exit_code) == ("worker-differs", 3)
    assert caught.value.message == f"a worker has refinery-beam {rb.__version__}; this run began with refinery-beam 9.9.9"
    assert not list((tmp_path / "cache").glob("instances/*/*/*"))
