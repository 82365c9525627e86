"""Google's services on this machine, a key for them, and a job whose every place is in Cloud Storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refinery_beam.job.job import Job
from refinery_beam.runners.dataflow import run as dataflow
from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.options import read_options
from support.cloud_jobs import IMAGE, cloud_job
from support.google_stub import Google, google_services, service_account


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    """The services, running; this process's Google credentials are for them. Nothing is waited for longer than a moment."""
    from apache_beam.internal.gcp import auth

    with google_services() as services:
        key = tmp_path / "service-account-key.json"
        key.write_text(json.dumps(service_account(services)))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", services.url)
        monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
        for name, seconds in {"POLL_SECONDS": 0.05, "LAST_WORDS_SECONDS": 0.5, "CANCEL_SECONDS": 1.0}.items():
            monkeypatch.setattr(dataflow, name, seconds)
        yield services
        assert services.unknown == []


@pytest.fixture
def options(google: Google) -> Callable[..., EngineOptions]:
    """Complete options for the services, and more."""

    def of(*more: str) -> EngineOptions:
        locations = [
            "--project=a-project",
            "--region=europe-west4",
            "--temp_location=gs://a-bucket/tmp",
            "--staging_location=gs://a-bucket/code",
        ]
        return read_options("dataflow", [*locations, f"--sdk_container_image={IMAGE}", f"--dataflow_endpoint={google.endpoint}", *more])

    return of


@pytest.fixture
def job(class_folders: Path, tmp_path: Path) -> Job:
    return cloud_job(class_folders, tmp_path / "job")
