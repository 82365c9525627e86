"""The Beam option by which a worker learns, before Beam's SDK starts in it, what its driver runs and where it listens for failures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from refinery_beam.errors import EnvironmentFault
from refinery_beam.job.failures import report_failure
from refinery_beam.job.versions import refuse_other_versions, versions_here

NAME = "refinery_driver"


class DriverOption(PipelineOptions):
    """Makes the option known to Beam, which drops what it does not know."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(f"--{NAME}", default=None, help="set by refinery-beam itself")


def driver_flag(work: str) -> str:
    """The option, as this process gives it to its workers."""
    return f"--{NAME}=" + json.dumps({"versions": versions_here(), "work": work})


def refuse_other_driver(options: Mapping[str, Any]) -> None:
    """Raise EnvironmentFault ``worker-differs``, and leave it where the driver finds it, unless this process runs the driver's versions.

    `options` are pipeline options as a worker is given them. Those of a job that is not ours are left alone.
    """
    text = options.get(f"beam:option:{NAME}:v1")
    if not text:
        return
    driver = json.loads(text)
    try:
        refuse_other_versions(tuple((name, version) for name, version in driver["versions"]))
    except EnvironmentFault as error:
        report_failure(driver["work"], error)
        raise
