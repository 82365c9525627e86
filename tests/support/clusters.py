"""Engines for tests: the Beam options that name them, and a standalone Flink cluster."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.engine_parts import FLINK, JARS, PRISM

ROOT = Path(__file__).parents[2]

FLAGS = {
    "prism": (PRISM, f"--prism_location={PRISM}"),
    "flink": (JARS["flink"], f"--flink_job_server_jar={JARS['flink']}"),
    "spark": (JARS["spark"], f"--spark_job_server_jar={JARS['spark']}"),
}


def flags(name: str) -> tuple[str, ...]:
    """The Beam options of an engine; skips the test where the engine is not there."""
    if name not in FLAGS:
        return ()
    location, flag = FLAGS[name]
    if not location.exists():
        pytest.skip(f"{location} is not there: make engines")
    return (flag,)


@contextmanager
def flink_cluster(folder: Path, managers: int, *, beam_next_to: bool = True) -> Iterator[str]:
    """A standalone Flink; gives host:port."""
    if not FLINK.exists():
        pytest.skip(f"{FLINK} is not there: make engines")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = min(free.getsockname()[1], 60000)
    script = str(ROOT / "launchers/flink/local-cluster.sh")
    environment = {**os.environ, "REFINERY_BEAM_ENGINES": str(FLINK.parents[1]), "BEAM_BESIDE": str(int(beam_next_to))}
    with open(folder / "start.log", "w") as log:
        done = subprocess.run(
            [script, "start", str(folder), str(managers), str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    try:
        assert done.returncode == 0, (folder / "start.log").read_text()
        yield f"localhost:{port}"
    finally:
        subprocess.run([script, "stop", str(folder)], check=True)
