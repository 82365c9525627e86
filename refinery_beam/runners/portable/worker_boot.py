"""A worker of a portable engine, started from Python: neither a container nor Beam's Go boot program.

Engines start a worker by running a program with ``--id`` and ``--provision_endpoint`` (among others). The provision service knows the rest:
pipeline options and where the worker reports. Nothing is downloaded: the package is installed on the machine, or the job would not fit it
anyway. Serves as the command of a PROCESS environment and as ``--container_executable`` of a worker pool.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.runners.quiet import Unfailing

WORDS = ("id", "logging_endpoint", "artifact_endpoint", "provision_endpoint", "control_endpoint", "status_endpoint")


def boot(arguments: Sequence[str]) -> None:
    """Work for the engine until it closes the connection."""
    given = read_arguments(arguments)
    sys.stdout, sys.stderr = Unfailing(sys.stdout), Unfailing(sys.stderr)
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with grpc.insecure_channel(given.provision_endpoint) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = stub.GetProvisionInfo(request, metadata=[("worker_id", given.id)], timeout=60).info
    refuse_driver(info)
    scratch = tempfile.mkdtemp(prefix="refinery-beam-worker-")
    os.environ.update(environment(given, info, scratch))
    # Imported only now: an environment with other versions might fail to import it.
    from refinery_beam.runners.local import cap_native_threads

    cap_native_threads()
    # Engines end a worker with SIGTERM: unwind, so that the scratch folder goes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from apache_beam.runners.worker import sdk_worker_main

        sdk_worker_main.main(sys.argv)
    except KeyboardInterrupt:
        pass  # Beam's worker ends itself in this way
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def refuse_driver(info: Any) -> None:
    """Raise EnvironmentFault unless this environment has the driver's versions: other versions might be unable to read the job."""
    from google.protobuf import json_format

    from refinery_beam.runners.portable.driver_option import refuse_other_driver

    refuse_other_driver(json_format.MessageToDict(info.pipeline_options))


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments of the container contract; ignores unknown arguments.

    >>> read_arguments(["--id=1-1", "--provision_endpoint=localhost:9", "--new=x"]).id
    '1-1'
    """
    parser = argparse.ArgumentParser(prog="refinery-beam worker-boot", description="Started by an engine, not by people.")
    for word in WORDS:
        parser.add_argument("--" + word, default="", required=word in ("id", "provision_endpoint"))
    return parser.parse_known_args(list(arguments))[0]


def environment(given: argparse.Namespace, info: Any, scratch: str) -> Mapping[str, str]:
    """The environment variables Beam's worker reads."""
    from google.protobuf import json_format

    found = {
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(info.logging_endpoint.url or given.logging_endpoint),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(info.control_endpoint.url or given.control_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "SEMI_PERSISTENT_DIRECTORY": scratch,
    }
    status = info.status_endpoint.url or given.status_endpoint
    return found | ({"STATUS_API_SERVICE_DESCRIPTOR": _descriptor(status)} if status else {})


def _descriptor(url: str) -> str:
    from apache_beam.portability.api import endpoints_pb2
    from google.protobuf import text_format

    return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url)))
