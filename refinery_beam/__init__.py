"""refinery-beam: one YAML recipe in, one prepared, cached, provable image dataset out.

    import refinery_beam as rb

    data = rb.run("recipe.yaml")                 # built, or found in the cache
    data["train"][0]["image"], len(data["train"])
    data.verify(deep=True)                       # every byte is what the manifest says
    data.replay("photo.jpg")                     # one new file, prepared as the dataset was

Verbs
    run, plan, validate, status, why, ls, tag, untag, log, rerun, inspect, diff, drift, verify, clean, draw, report, init, schema, check:
    as on the command line, with the same options as keywords (`Options`). journal gives every run as an Arrow table.
    open_instance opens what a run has made; Replay is the recipe's chain for one file.

Results
    RunResult (an Instance), PlanResult, WhyResult, InstanceList, TagResult, LogResult, RerunResult, ValidateResult, StatusResult,
    VerifyReport, CleanResult, InspectResult, DiffResult, DriftResult, DrawResult, ReportResult, InitResult, CheckupResult. An Instance has
    a SplitReader for each split, and its Manifest.

Engines
    Direct, Prism, Flink, Spark, Dataflow: ``rb.run("recipe.yaml", engine=rb.Flink(parallelism=8))``.

Errors
    RefineryError is the base of all; RecipeError and DataError are the recipe's and the data's fault, UsageError the caller's,
    EnvironmentFault, PluginError and StoreError the machine's, EngineError the engine's, Interrupted the user's. Each has `code`, `at`,
    `value`, `rule` and `remedy`; an ErrorGroup holds several.

Importing the package imports nothing heavy: each name loads its room when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from refinery_beam.cache.manifest import Manifest
    from refinery_beam.cache.verify import VerifyReport
    from refinery_beam.errors import (
        DataError,
        EngineError,
        EnvironmentFault,
        ErrorGroup,
        Interrupted,
        PluginError,
        RecipeError,
        RefineryError,
        StoreError,
        UsageError,
    )
    from refinery_beam.launch.cached import InstanceInfo, InstanceList, TagResult, ls, tag, untag
    from refinery_beam.launch.check import CheckupResult, check
    from refinery_beam.launch.clean import CleanResult, clean
    from refinery_beam.launch.cost import Cost
    from refinery_beam.launch.diff import diff
    from refinery_beam.launch.diff_result import DiffResult
    from refinery_beam.launch.drift import DriftResult, drift
    from refinery_beam.launch.history.log import LogEntry, LogResult, journal, log, log_show
    from refinery_beam.launch.history.rerun import Drift, RerunResult, rerun
    from refinery_beam.launch.init import InitResult, init, schema
    from refinery_beam.launch.inspect import inspect
    from refinery_beam.launch.inspect_result import InspectResult
    from refinery_beam.launch.opening import open_instance
    from refinery_beam.launch.options import Options
    from refinery_beam.launch.pictures import DrawResult, draw
    from refinery_beam.launch.plan import PlanResult, plan, plan_recipe
    from refinery_beam.launch.reasons.difference import Difference
    from refinery_beam.launch.reasons.why import WhyResult, why
    from refinery_beam.launch.report import ReportResult, report
    from refinery_beam.launch.run import RunResult, run
    from refinery_beam.launch.status import StatusResult, status, verify
    from refinery_beam.launch.validate import ValidateResult, validate
    from refinery_beam.reading.instance import Instance
    from refinery_beam.reading.readers import SplitReader
    from refinery_beam.reading.replay import Replay
    from refinery_beam.reading.shard_cache import ShardCache
    from refinery_beam.recipe.load import Recipe, load_recipe
    from refinery_beam.runners.engines import Dataflow, Direct, Engine, Flink, Prism, Spark

_ROOMS = {
    "cache.manifest": "Manifest",
    "cache.verify": "VerifyReport",
    "errors": "DataError EngineError EnvironmentFault ErrorGroup Interrupted PluginError RecipeError RefineryError StoreError UsageError",
    "launch.cached": "InstanceInfo InstanceList TagResult ls tag untag",
    "launch.check": "CheckupResult check",
    "launch.clean": "CleanResult clean",
    "launch.cost": "Cost",
    "launch.diff": "diff",
    "launch.diff_result": "DiffResult",
    "launch.drift": "DriftResult drift",
    "launch.history.log": "LogEntry LogResult journal log log_show",
    "launch.history.rerun": "Drift RerunResult rerun",
    "launch.init": "InitResult init schema",
    "launch.inspect": "inspect",
    "launch.inspect_result": "InspectResult",
    "launch.opening": "open_instance",
    "launch.options": "Options",
    "launch.pictures": "DrawResult draw",
    "launch.plan": "PlanResult plan plan_recipe",
    "launch.reasons.difference": "Difference",
    "launch.reasons.why": "WhyResult why",
    "launch.report": "ReportResult report",
    "launch.run": "RunResult run",
    "launch.status": "StatusResult status verify",
    "launch.validate": "ValidateResult validate",
    "reading.instance": "Instance",
    "reading.readers": "SplitReader",
    "reading.replay": "Replay",
    "reading.shard_cache": "ShardCache",
    "recipe.load": "Recipe load_recipe",
    "runners.engines": "Dataflow Direct Engine Flink Prism Spark",
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "CheckupResult",
    "CleanResult",
    "Cost",
    "DataError",
    "Dataflow",
    "DiffResult",
    "Difference",
    "Direct",
    "DrawResult",
    "Drift",
    "DriftResult",
    "Engine",
    "EngineError",
    "EnvironmentFault",
    "ErrorGroup",
    "Flink",
    "InitResult",
    "InspectResult",
    "Instance",
    "InstanceInfo",
    "InstanceList",
    "Interrupted",
    "LogEntry",
    "LogResult",
    "Manifest",
    "Options",
    "PlanResult",
    "PluginError",
    "Prism",
    "Recipe",
    "RecipeError",
    "RefineryError",
    "Replay",
    "ReportResult",
    "RerunResult",
    "RunResult",
    "ShardCache",
    "Spark",
    "SplitReader",
    "StatusResult",
    "StoreError",
    "TagResult",
    "UsageError",
    "ValidateResult",
    "VerifyReport",
    "WhyResult",
    "__version__",
    "check",
    "clean",
    "diff",
    "draw",
    "drift",
    "init",
    "inspect",
    "journal",
    "load_recipe",
    "log",
    "log_show",
    "ls",
    "open_instance",
    "plan",
    "plan_recipe",
    "report",
    "rerun",
    "run",
    "schema",
    "status",
    "tag",
    "untag",
    "validate",
    "verify",
    "why",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(f"refinery_beam.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'refinery_beam' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
