"""The options that a run on Dataflow needs and those it refuses, checked before anything is read or sent. No Beam here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec

from refinery_beam import __version__
from refinery_beam.errors import EnvironmentFault, RefineryError, UsageError
from refinery_beam.runners.engine_options import EngineOptions

NEEDED = ("project", "region", "temp_location")

REFUSED_OPTIONS = {
    "update": "a run is a job of its own, it replaces none",
    "transform_name_mapping": "a run is a job of its own, it replaces none",
    "create_from_snapshot": "a run begins with the images, not with a snapshot",
    "template_location": "a job is run, not stored",
    "dry_run": "nothing is written by a dry run; refinery-beam plan says what a run would do",
    "environment_type": "Dataflow starts workers from containers",
    "environment_config": "Dataflow starts workers from containers",
    "job_endpoint": "Dataflow has no job server; --dataflow_endpoint names its service",
    "worker_harness_container_image": "this old name of --sdk_container_image does not say what else it does",
}
"""Beam options that a run on Dataflow cannot have, and why."""

RUNNER_V2_OFF = re.compile(r"disable_(prime_)?(portable_runner|runner_v2\S*)|enable_streaming_java_runner|no_use_multiple_sdk_containers")
"""Experiments that Beam 2.77 no longer carries out, and the one that puts all cores of a machine under one interpreter lock."""

BUCKET = re.compile(r"gs://[a-z0-9][-_.a-z0-9]+[a-z0-9]/.*")

EXAMPLE = "refinery-beam run RECIPE --runner dataflow --cache-root gs://... -- --project=... --region=... --temp_location=gs://.../tmp"


def dataflow_errors(options: EngineOptions) -> list[RefineryError]:
    """Every error in the options of a Dataflow run, at once."""
    return [*_missing(options), *_refused(options), *_locations(options), *_code(options)]


def _missing(options: EngineOptions) -> Iterator[RefineryError]:
    missing = [f"--{name}" for name in NEEDED if not options.value(name)]
    if missing:
        yield UsageError(
            "Dataflow needs " + ", ".join(missing),
            code="beam-option",
            value="",
            rule="a Dataflow job has a project, a region and a place for temporary files",
            remedy=EXAMPLE,
        )


def _refused(options: EngineOptions) -> Iterator[RefineryError]:
    for name, why in REFUSED_OPTIONS.items():
        if options.given(name):
            remedy = "leave it out" if not name.endswith("container_image") else "say --sdk_container_image"
            yield UsageError(
                f"the Beam option --{name} cannot be given for Dataflow", code="beam-option", value=f"--{name}", rule=why, remedy=remedy
            )
    for given in (word for name in ("experiment", "experiments") for text in options.values(name) for word in text.split(",")):
        if RUNNER_V2_OFF.fullmatch(given):
            yield UsageError(
                f"the experiment {given} cannot be given",
                code="beam-option",
                value=given,
                rule="Beam 2.77 runs on Dataflow's Runner v2 only, with one Python process a core",
            )


def _locations(options: EngineOptions) -> Iterator[RefineryError]:
    for name in ("temp_location", "staging_location"):
        location = options.value(name)
        if location and not BUCKET.fullmatch(location):
            yield UsageError(
                f"--{name} is no place in Cloud Storage: {location}",
                code="beam-option",
                value=location,
                rule="Dataflow keeps its own files in Cloud Storage: gs://BUCKET/FOLDER",
                remedy=f"--{name}=gs://BUCKET/tmp",
            )


def _code(options: EngineOptions) -> Iterator[RefineryError]:
    """Errors for options that do not bring this package to the workers: they start from Beam's container, which lacks it."""
    packages = [*options.values("extra_package"), *options.values("extra_packages")]
    setup = options.value("setup_file")
    wrong = [*(p for p in packages if _is_ours(p) and not _package_fits(p)), *([setup] if setup and not _setup_fits(setup) else [])]
    for location in wrong:
        yield UsageError(
            f"{location} is not refinery-beam {__version__}",
            code="worker-code",
            value=location,
            rule="workers run the version of the driver",
            remedy="build it from this release, or say --sdk_container_image",
        )
    if not wrong and not options.value("sdk_container_image") and not setup and not any(map(_is_ours, packages)):
        yield UsageError("how workers get refinery-beam is not said", code="worker-code", value="")


def _is_ours(package: str) -> bool:
    return re.match(r"refinery[-_]beam[-_]", os.path.basename(package), flags=re.IGNORECASE) is not None


def _package_fits(package: str) -> bool:
    """Whether a file is a distribution of this very version."""
    fits = re.fullmatch(rf"refinery[-_]beam-{re.escape(__version__)}(\.tar\.gz|-.+\.whl)", os.path.basename(package), flags=re.IGNORECASE)
    return fits is not None and (package.startswith("gs://") or os.path.isfile(package))


def _setup_fits(setup: str) -> bool:
    """Whether a setup.py or pyproject.toml is that of this package, in this version."""
    try:
        with open(os.path.join(os.path.dirname(os.path.abspath(setup)), "refinery_beam", "__init__.py"), encoding="utf-8") as file:
            return os.path.isfile(setup) and f'__version__ = "{__version__}"' in file.read()
    except OSError:
        return False


def require_extra() -> None:
    """Raise EnvironmentFault ``missing-extra`` unless Google's client libraries are installed. Imports almost nothing."""
    try:
        found = find_spec("google.cloud.dataflow") and find_spec("google.cloud.storage")
    except ModuleNotFoundError:
        found = None
    if not found:
        raise EnvironmentFault(
            "Dataflow needs Google's client libraries, and they are not installed", code="missing-extra", value="dataflow", extra="dataflow"
        )
