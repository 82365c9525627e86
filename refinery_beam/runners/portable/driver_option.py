"""The Beam option that tells a worker, before Beam's SDK starts in it, the driver's versions and the folder for errors."""

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
    """Makes the option known to Beam, which drops unknown options."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(f"--{NAME}", default=None, help="set by refinery-beam itself")


def driver_flag(work: str) -> str:
    """The option's value for the workers of this process."""
    return f"--{NAME}=" + json.dumps({"versions": versions_here(), "work": work})


def refuse_other_driver(options: Mapping[str, Any]) -> None:
    """Raise EnvironmentFault ``worker-differs``, and write it for the driver, unless this process runs the driver's versions.

    `options` are a worker's pipeline options. Does nothing for the job of another program.
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
