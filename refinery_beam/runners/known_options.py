"""Beam drops an option that it does not know without a word. Here such an option is refused before a job is submitted."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from refinery_beam.errors import UsageError, closest, did_you_mean, raise_all
from refinery_beam.runners.engine_options import EngineOptions

ANSWER_SECONDS = 60.0
"""How long a job server may take to list its options."""


def refuse_unknown(given: EngineOptions, options: Any) -> None:
    """Refuse options that neither Beam nor the engine's job server knows: Beam drops them without a word. Raises UsageError."""
    import argparse

    from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

    parser = argparse.ArgumentParser(allow_abbrev=False)
    for options_of in dict.fromkeys(PipelineOptions.__subclasses__()):
        if "_add_argparse_args" in vars(options_of):
            with suppress(argparse.ArgumentError):  # two packages may define one option
                options_of._add_argparse_args(parser)
    known = [word[2:] for action in parser._actions for word in action.option_strings if word.startswith("--")]
    names = [flag[2:].partition("=")[0] for flag in given.flags]
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint and any(name not in known for name in names):
        known += _options_of_the_server(endpoint)
    errors = [
        UsageError(
            f"neither Beam nor {given.runner} knows the option --{name}",
            code="beam-option",
            value=f"--{name}",
            rule="an option that nobody knows would be dropped without a word",
            remedy=did_you_mean(name, known) if closest(name, known) else None,
        )
        for name in names
        if name not in known
    ]
    raise_all(errors)


def _options_of_the_server(endpoint: str) -> list[str]:
    """The names of the options that a job server adds to Beam's."""
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        answer = stub.DescribePipelineOptions(beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=ANSWER_SECONDS)
    return [option.name for option in answer.options]
