"""Executes a staged pipeline as Dataflow's workers would: it knows the address of the pipeline and nothing of the process that sent it.

usage: staged_pipeline.py gs://.../pipeline.pb [version]     pretends to be that version of refinery-beam
"""

from __future__ import annotations

import sys

from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment

from refinery_beam import locations
from refinery_beam.job import versions


def main(address: str, version: str = "") -> None:
    if version:
        versions.__version__ = version  # type: ignore[attr-defined]
    pipeline = beam_runner_api_pb2.Pipeline.FromString(locations.read(address))
    for environment in pipeline.components.environments.values():
        # The container is this process.
        environment.CopyFrom(EmbeddedPythonEnvironment.default().to_runner_api(None))
    from apache_beam.options.pipeline_options import PipelineOptions

    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
