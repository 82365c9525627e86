"""One server of each kind a session, a bucket a test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.store_servers import Server, reach, start


@pytest.fixture(scope="session")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from start("gs", tmp_path_factory.mktemp("gs"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from start("s3", tmp_path_factory.mktemp("s3"))


@pytest.fixture(params=["gs", "s3"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


_numbers = itertools.count(1)


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a new bucket, reached by this process and its children."""
    reach(server, monkeypatch, tmp_path)
    return server.make_bucket(f"test-{os.getpid()}-{next(_numbers)}")
