"""Reads the runner and its Beam options, and refuses bad ones before anything is read or submitted.

Beam options follow ``--`` on the command line and reach the engine unchanged. Refused are the few that would change the dataset or that
this program sets itself. No Beam here: a cache hit checks the options too.
"""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import RefineryError, UsageError, raise_all
from refinery_beam.runners.dataflow.options import dataflow_errors
from refinery_beam.runners.engine_options import ENVIRONMENTS, EngineOptions

RUNNERS = ("direct", "prism", "flink", "spark", "dataflow")
"""Engines that run a job."""

REFUSED = {
    "dask": "Beam's DaskRunner computes only the last output of a job and reports success: the other files would be missing",
    "ray": "Beam has no runner for Ray, and the separate project has no release",
}
"""Engines that are refused by name, and why."""

OURS = {
    "runner": "--runner before the -- says it",
    "save_main_session": "nothing of the main program travels to workers",
    "streaming": "a dataset is a bounded job",
    "allow_non_deterministic_key_coders": "groups must be the same on every worker",
    "refinery_driver": "workers are told by this program what it is",
    "output_executable_path": "a job is run, not stored",
    "no_wait_until_finish": "what a job wrote is checked and promoted when it is done",
}
"""Beam options that are refused, and why."""


def read_options(runner: str, given: Sequence[str] = ()) -> EngineOptions:
    """The options of a run, checked without a recipe. Raises UsageError with all errors at once.

    >>> read_options("flink", ["--parallelism", "2", "--flink-job-server-jar=/x.jar"]).flags
    ('--parallelism=2', '--flink_job_server_jar=/x.jar')
    """
    if runner not in RUNNERS:
        raise _unknown_runner(runner)
    flags, errors = _flags(given)
    options = EngineOptions(runner=runner, flags=flags)
    errors += [
        UsageError(f"the Beam option --{name} cannot be given", code="beam-option", value=f"--{name}", rule=why)
        for name, why in OURS.items()
        if options.given(name)
    ]
    if runner == "direct" and flags:
        errors.append(
            UsageError(
                "the local engine takes no Beam options",
                code="beam-option",
                value=" ".join(flags),
                rule="options behind -- are for prism, flink, spark and dataflow",
                remedy="use --workers and --mode, or name an engine with --runner",
            )
        )
    if runner == "dataflow":
        errors += dataflow_errors(options)
    elif runner != "direct" and not errors:
        errors += _environment_errors(options)
    raise_all(errors)
    return options


def check_locations(options: EngineOptions, *, cache_root: str, sources: Sequence[str], shared_files: bool = False) -> None:
    """Refuse local folders if workers cannot read them; `shared_files` says that they can. Raises UsageError."""
    away = options.runner == "dataflow"
    if options.here or (shared_files and not away):
        return
    local = [("the cache root", cache_root), *(("the source", source) for source in sources)]
    shared = "--shared-files, if every worker sees it at the same path; else run the engine here, or use --runner direct"
    raise_all(
        UsageError(
            f"{what} {location} is a folder of this machine, and the engine is on {options.master}",
            code="local-place",
            value=location,
            remedy="keep it in Cloud Storage (gs://BUCKET/FOLDER), or use --runner direct" if away else shared,
        )
        for what, location in local
        if "://" not in location
    )


def _flags(given: Sequence[str]) -> tuple[tuple[str, ...], list[RefineryError]]:
    flags: list[str] = []
    errors: list[RefineryError] = []
    for word in given:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            flags.append(f"--{name.replace('-', '_')}{equals}{value}")
        elif flags and "=" not in flags[-1]:
            flags[-1] += f"={word}"
        else:
            errors.append(
                UsageError(
                    f"{word!r} is no Beam option",
                    code="beam-option",
                    value=word,
                    remedy="put the recipe and the options of refinery-beam before the --",
                )
            )
    return tuple(flags), errors


def _environment_errors(options: EngineOptions) -> list[RefineryError]:
    kind = options.value("environment_type")
    if kind and kind not in ENVIRONMENTS:
        return [UsageError(f"workers cannot be started as {kind!r}", code="worker-environment", value=kind, known=ENVIRONMENTS)]
    if not options.environment:
        return [
            UsageError(
                f"how workers start on {options.master} is not said",
                code="worker-environment",
                value="",
                rule="an engine of its own needs --environment_type; Beam's default is a container without this package",
                remedy="--environment_type=PROCESS where every machine has this Python environment, LOOPBACK to work in this process",
            )
        ]
    if kind == "EXTERNAL" and not options.value("environment_config"):
        return [
            UsageError(
                "where the worker pool listens is not said",
                code="worker-environment",
                value=kind,
                rule="EXTERNAL workers come from a pool beside each task manager",
                remedy="--environment_config=localhost:50000",
            )
        ]
    return []


def _unknown_runner(runner: str) -> RefineryError:
    return UsageError(
        f"the runner {runner!r} is refused: {REFUSED[runner]}" if runner in REFUSED else f"there is no runner {runner!r}",
        code="unknown-runner",
        value=runner,
        known=RUNNERS,
    )
