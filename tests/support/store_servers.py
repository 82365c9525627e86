"""Real servers on 127.0.0.1: moto for S3, fake-gcs-server for Google Cloud Storage; and how a process reaches them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

# Read now: the tests themselves run without any variable of the program.
ENGINES = Path(os.environ.get("REFINERY_BEAM_ENGINES") or Path.home() / ".cache/refinery-beam/engines")
SERVER = ENGINES / "fake-gcs-server"
SECRET = "s3cr3t-that-is-in-no-file"


class Server(NamedTuple):
    scheme: str
    url: str

    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        if self.scheme == "gs":
            options: dict[str, str] = {"token": "anon", "endpoint_url": self.url, "project": "test"}
            # Without it gcsfs asks a gRPC service, which an emulator lacks, and waits a minute for it.
            return {"FSSPEC_GS": json.dumps(options), "STORAGE_EMULATOR_HOST": self.url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
        options = {"key": "accesskey", "secret": SECRET, "endpoint_url": self.url}
        return {"FSSPEC_S3": json.dumps(options), "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}

    def make_bucket(self, name: str) -> str:
        if self.scheme == "gs":
            body = json.dumps({"name": name}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{self.url}/storage/v1/b?project=test", data=body, method="POST", headers=headers)
        else:
            request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        return f"{self.scheme}://{name}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(scheme: str, folder: Path, **environment: str) -> Iterator[Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    if scheme == "gs":
        if not SERVER.exists():
            pytest.fail(f"{SERVER} is not there: run launchers/engines.sh gcs, or `make test-stores`")
        command = [str(SERVER), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
        command += ["-public-host", f"127.0.0.1:{port}", "-external-url", url]
    with open(folder / f"{scheme}.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / f"{scheme}.log").read_text()
            time.sleep(0.1)
        yield Server(scheme, url)
    finally:
        process.terminate()
        process.wait(60)


def reach(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process, and those it starts, use the server; caches of this machine are the test's own."""
    import fsspec.config

    for name in [n for n in os.environ if n.startswith(("FSSPEC_", "AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    conf: dict[str, dict[str, object]] = {}
    fsspec.config.set_conf_env(conf)
    monkeypatch.setattr(fsspec.config, "conf", conf)
    # fsspec took the table as a default argument.
    monkeypatch.setattr(fsspec.config.apply_config, "__defaults__", (conf,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
