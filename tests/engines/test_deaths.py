"""Records that end their worker, on engines of other make: named as on the local one, and no server or instance is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from refinery_beam.testing import images
from support.clusters import flags, flink_cluster
from support.deadly import HOOK, finish, spoil, start

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    images.class_folders(root, per_class=6)
    return root


def nothing_is_left(photos: Path) -> None:
    cache = photos.parent / "cache"
    assert not list(cache.glob("instances/*/*/*")) and not list(cache.glob("staging/*-*-*-*"))


@pytest.mark.parametrize("name", ["prism", "flink"])
def test_workers_in_threads(name: str, photos: Path) -> None:
    """The crash takes the run's process along; its parent tells on what, and the job server ends with it."""
    bad = spoil(photos, b"SEGFAULT")
    options = flags(name)
    before = servers(options)
    code, body = finish(start(photos, "--runner", name, "--", *options))
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"], error["value"], error["place"]) == (4, "poison-record", "SIGSEGV", str(photos.parent / bad))
    nothing_is_left(photos)
    deadline = time.monotonic() + 60
    while servers(options) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers(options) - before == set()


def servers(options: tuple[str, ...]) -> set[int]:
    """The processes that run an engine's binary or jar."""
    (path,) = (option.partition("=")[2] for option in options)
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if path in words:
            found.add(int(file.parent.name))
    return found


class Cluster(NamedTuple):
    """The options of a run on it, and the file that its worker writes before it is killed."""

    options: tuple[str, ...]
    died: Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in whose workers the hook works."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "sitecustomize.py").write_text(HOOK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("DIED", str(folder / "died"))
        with flink_cluster(folder, 2) as location:
            options = ("--runner", "flink", "--", *flags("flink"), f"--flink_master={location}", "--environment_type=PROCESS")
            yield Cluster(options, folder / "died")


def test_a_poison_record_on_a_cluster(photos: Path, cluster: Cluster) -> None:
    """It is found, put into the ledger, and the run starts over without it; the bytes are those of the local engine."""
    spoil(photos, b"SEGFAULT")
    code, body = finish(start(photos, *cluster.options, on_error="quarantine"))
    assert (code, body["ledger"]) == (0, {"kills_worker": 1})
    shutil.rmtree(photos.parent / "cache")
    code, local = finish(start(photos, "--mode", "threads", on_error="quarantine"))
    assert (code, local["files_digest"]) == (0, body["files_digest"])


def test_a_killed_worker_of_a_cluster_names_what_it_held(photos: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIED", str(cluster.died))
    held = spoil(photos, b"KILL-ONCE")
    process = start(photos, *cluster.options)
    while not cluster.died.exists() and process.poll() is None:
        time.sleep(0.01)
    begun = time.monotonic()
    code, body = finish(process)
    assert time.monotonic() - begun < 60, "some seconds where nothing else runs"
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"]) == (4, "engine-failed")
    assert held in error["message"] and "alone each came through 3 times" in error["message"]
    nothing_is_left(photos)


def test_a_killed_run_takes_its_server_along(photos: Path) -> None:
    options = flags("flink")
    before = servers(options)
    process = start(photos, "--runner", "flink", "--", *options)
    deadline = time.monotonic() + 60
    while not servers(options) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert servers(options) - before
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while servers(options) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers(options) - before == set()
    assert subprocess.run(["pgrep", "-f", str(photos.parent / "cache")], stdout=subprocess.DEVNULL, check=False).returncode == 1
