"""Engines as values: ``rb.run("recipe.yaml", engine=rb.Flink(parallelism=8))``.

Each is a runner and the Beam options it is given, under the names of docs/engines.md; whatever else Beam takes goes into ``options``. What
an engine may be given is checked by `runners.options`, as on the command line. No Beam here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

OptionValue = str | int | float | bool | Sequence[str] | None


def _option(name: str, default: Any = "") -> Any:
    """A field that is the Beam option `name`."""
    return field(default=default, metadata={"option": name})


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A runner with its Beam options. Of ``options``, True is an option without a value, None and False leave it out, and a list gives it
    several times.

    >>> Flink(parallelism=8, options={"state_backend": "rocksdb"}).beam_options()
    ('--parallelism=8', '--state_backend=rocksdb')
    """

    runner: ClassVar[str]
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    def __repr__(self) -> str:
        said = (f"{f.name}={value!r}" for f in fields(self) if (value := getattr(self, f.name)) not in ("", None, False, {}))
        return f"{type(self).__name__}({', '.join(said)})"

    def beam_options(self) -> tuple[str, ...]:
        """The options as they stand behind ``--`` on the command line."""
        own = {f.metadata["option"]: getattr(self, f.name) for f in fields(self) if "option" in f.metadata}
        return tuple(flag for name, value in {**own, **self.options}.items() for flag in _flags(name, value))


@dataclass(frozen=True, kw_only=True, repr=False)
class Direct(Engine):
    """Beam's local engine, in this process or several; it takes no Beam options: ``workers`` and ``mode`` are options of the run."""

    runner = "direct"


@dataclass(frozen=True, kw_only=True, repr=False)
class Prism(Engine):
    """Beam's portable engine for tests. ``location`` is its binary."""

    runner = "prism"
    location: str = _option("prism_location")


@dataclass(frozen=True, kw_only=True, repr=False)
class Flink(Engine):
    """Apache Flink, started for the job, or a cluster of yours at ``master`` (``host:port``).

    ``environment_type`` says how workers of a cluster start: ``LOOPBACK``, ``PROCESS`` or ``EXTERNAL``.
    """

    runner = "flink"
    parallelism: int | None = _option("parallelism", None)
    master: str = _option("flink_master")
    job_server_jar: str = _option("flink_job_server_jar")
    job_endpoint: str = _option("job_endpoint")
    submit_uber_jar: bool = _option("flink_submit_uber_jar", False)
    environment_type: str = _option("environment_type")
    environment_config: str = _option("environment_config")


@dataclass(frozen=True, kw_only=True, repr=False)
class Spark(Engine):
    """Apache Spark, started for the job (``master="local[4]"``), or by a job server at ``job_endpoint``."""

    runner = "spark"
    master: str = _option("spark_master_url")
    job_server_jar: str = _option("spark_job_server_jar")
    job_endpoint: str = _option("job_endpoint")
    environment_type: str = _option("environment_type")
    environment_config: str = _option("environment_config")


@dataclass(frozen=True, kw_only=True, repr=False)
class Dataflow(Engine):
    """Google Cloud Dataflow. ``temp_location`` is in Cloud Storage; ``sdk_container_image`` is the image of the workers."""

    runner = "dataflow"
    project: str = _option("project")
    region: str = _option("region")
    temp_location: str = _option("temp_location")
    staging_location: str = _option("staging_location")
    sdk_container_image: str = _option("sdk_container_image")
    machine_type: str = _option("machine_type")
    max_num_workers: int | None = _option("max_num_workers", None)
    service_account_email: str = _option("service_account_email")


def _flags(name: str, value: OptionValue) -> list[str]:
    if value is None or value is False or value == "":
        return []
    if value is True:
        return [f"--{name}"]
    if isinstance(value, str | int | float):
        return [f"--{name}={value}"]
    return [f"--{name}={one}" for one in value]
