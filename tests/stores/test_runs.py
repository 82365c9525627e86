"""Whole runs with the cache root on a real server, over real connections."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.cache import RemoteStaging, home, verify
from refinery_beam.errors import DataError, StoreError
from refinery_beam.recipe import digest_of_recipe
from support.recipes import write_recipe
from support.store_servers import ENGINES

pytestmark = pytest.mark.stores

# Beside the dataset too: files of a sink, a sample, a picture and a fitted statistic.
MORE: dict[str, Any] = {
    "sinks": ['{name: png, stage: post_pipeline, field: image, format: png_per_record, path_template: "{split}/{record_id}.png"}'],
    "sample": "{selector: {n: 4}}",
    "pictures": ["{name: grid, op: sample_grid, params: {n: 4}, stage: post_pipeline, mode: reporting}"],
}


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "refinery_beam", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=200)


def objects(location: str) -> dict[str, bytes]:
    return {entry.path: locations.read(locations.join(location, entry.path)) for entry in locations.walk(location)}


def local_files(location: str) -> dict[str, bytes]:
    return {str(p.relative_to(location)): p.read_bytes() for p in sorted(Path(location).rglob("*")) if p.is_file()}


@pytest.fixture
def recipe(class_folders: Path, tmp_path: Path) -> Path:
    return write_recipe(class_folders, tmp_path)


def test_the_same_bytes_as_a_local_run_then_a_hit_and_every_reader(bucket: str, class_folders: Path, tmp_path: Path) -> None:
    recipe = write_recipe(class_folders, tmp_path, **MORE)
    local = rb.run(recipe, cache_root=tmp_path / "local")
    root = f"{bucket}/a/root"
    built = rb.run(recipe, cache_root=root)
    assert (built.status, built.manifest) == ("built", local.manifest)
    assert built.path.startswith(f"{root}/instances/")
    assert objects(built.path) == local_files(local.path)
    assert locations.walk(f"{root}/staging") == []
    assert set(built.pictures) == {"grid"} and locations.read(built.pictures["grid"])[:4] == b"\x89PNG"
    again = rb.run(recipe, cache_root=root)
    assert (again.status, again.manifest, again.pictures) == ("hit", built.manifest, built.pictures)
    assert rb.journal(cache_root=root).column("status").to_pylist() == ["hit", "built"]
    assert verify(built.path, deep=True, recipe_digest=digest_of_recipe).findings == ()

    instance, near = rb.open_instance(built.path), rb.open_instance(local.path)
    assert rb.open_instance(recipe, cache_root=root).path == instance.path
    assert rb.open_instance(f"{built.path}/manifest.json").counts == near.counts == {"train": 25, "val": 6, "test": 5}
    for mine, theirs in ((instance.split("train"), near.split("train")), (instance.sample("train"), near.sample("train"))):
        assert len(mine) == len(theirs) > 0
        for a, b in zip(mine, theirs, strict=True):
            assert a["record_id"] == b["record_id"] and np.array_equal(a["image"], b["image"])
    assert np.array_equal(instance.split("train")[7]["image"], near.split("train")[7]["image"])
    assert instance.statistics("normalize") == near.statistics("normalize")
    photo = next(class_folders.rglob("*.png"))
    assert np.array_equal(rb.Replay.from_instance(built.path)(photo), rb.Replay.from_instance(local.path)(photo))


def test_the_verbs_take_the_url(bucket: str, recipe: Path, tmp_path: Path) -> None:
    root = f"{bucket}/c"
    at = ("--cache-root", root, "--json")
    before = json.loads(call("status", str(recipe), *at).stdout)
    assert before["status"] == "miss" and before["instance"].startswith(root)
    ran = call("run", str(recipe), "--cache-root", root, "--mode", "processes", "--workers", "2", "--quiet")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"instance  {before['instance']}" in ran.stdout
    hit = json.loads(call("run", str(recipe), *at).stdout)
    assert (hit["status"], hit["instance"]) == ("hit", before["instance"])
    assert json.loads(call("plan", str(recipe), *at).stdout)["status"] == "hit"
    for target in (str(recipe), hit["instance"]):
        assert json.loads(call("status", target, *at).stdout)["files_digest"] == hit["files_digest"]
        assert json.loads(call("verify", target, "--deep", *at).stdout)["status"] == "verified"


def test_two_runs_at_once_build_once(bucket: str, recipe: Path) -> None:
    command = [sys.executable, "-m", "refinery_beam", "run", str(recipe), "--cache-root", f"{bucket}/c", "--json"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(run.communicate(timeout=200)[0]) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(s["status"] for s in said) == ["built", "hit"]
    assert said[0]["files_digest"] == said[1]["files_digest"]
    assert verify(said[0]["instance"], deep=True).ok
    assert locations.walk(f"{bucket}/c/staging") == []


DIE = """\
import os, signal, sys
from refinery_beam import locations
from refinery_beam.cache.stores import remote

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

put, when, left = locations.put_file, sys.argv.pop(1), [2]
def put_file(local, place):
    put(local, place)
    left[0] -= "/dataset/" in place
    if when == "after two shards" and left[0] == 0:
        die()
locations.put_file = put_file
if when == "before the manifest":
    once = remote.RemoteStore.put_if_absent
    remote.RemoteStore.put_if_absent = lambda self, path, data: die() if path.endswith("manifest.json") else once(self, path, data)
from refinery_beam.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("when", ["after two shards", "before the manifest"])
def test_a_killed_run_leaves_nothing_that_looks_finished(bucket: str, recipe: Path, tmp_path: Path, when: str) -> None:
    root = f"{bucket}/c"
    died = subprocess.run(
        [sys.executable, "-c", DIE, when, "run", str(recipe), "--cache-root", root], capture_output=True, text=True, timeout=200
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    left = [e for e in locations.walk(root) if not e.path.startswith("journal/")]
    assert sum(e.path.endswith(".parquet") for e in left) >= 2 and sum(e.path.endswith("/lease") for e in left) == 1
    assert json.loads(call("status", str(recipe), "--cache-root", root, "--json").stdout)["status"] == "miss"
    # Something of another shape, as an older release may have left it: a clean run does not carry it along.
    location = json.loads(call("status", str(recipe), "--cache-root", root, "--json").stdout)["instance"]
    locations.write(f"{location}/report/report.md", b"half a report")
    locations.write(f"{location}/dataset/train/part-00000-of-00099-000000000000.parquet", b"x")
    built = rb.run(recipe, cache_root=root)
    assert (built.status, built.manifest) == ("built", rb.run(recipe, cache_root=tmp_path / "local").manifest)
    assert verify(built.path, deep=True).findings == ()
    assert locations.walk(f"{root}/staging") == []
    assert [n for n in os.listdir(Path(home(root), "staging")) if n != "trash"] == []


def test_verify_finds_what_is_damaged_and_a_run_mends_it(bucket: str, recipe: Path) -> None:
    built = rb.run(recipe, cache_root=f"{bucket}/c")
    one, two = built.manifest.shards("train")[:2]
    data = locations.read(locations.join(built.path, one.path))
    locations.write(locations.join(built.path, one.path), data[:-1] + bytes([data[-1] ^ 1]))
    locations.remove(locations.join(built.path, two.path))
    locations.write(locations.join(built.path, "note.txt"), b"mine")
    found = {(f.code, f.path) for f in verify(built.path).findings}
    assert found == {("wrong-digest", one.path), ("missing", two.path), ("unlisted", "note.txt")}
    done = call("verify", built.path)
    assert done.returncode == 3 and f"missing: {two.path}" in done.stdout
    with pytest.raises(StoreError) as caught:
        rb.open_instance(built.path)
    assert caught.value.code == "damaged"
    again = rb.run(recipe, cache_root=f"{bucket}/c")
    assert (again.status, again.manifest) == ("built", built.manifest)
    assert verify(again.path, deep=True).findings == ()


def test_workers_that_share_only_the_store(bucket: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Index, rows, statistics, failures and heartbeats through the store, as for workers of other machines."""
    monkeypatch.setattr(RemoteStaging, "rows_dir", property(lambda self: self.shared_rows_dir))
    found: set[str] = set()
    real = locations.write

    def write(location: str, data: bytes) -> None:
        found.update({name for name in ("shards", "ledger", "statistics", "progress") if f"/rows/{name}/" in location})
        real(location, data)

    monkeypatch.setattr(locations, "write", write)
    built = rb.run(recipe, cache_root=f"{bucket}/c", mode="threads", progress=True)
    assert found == {"shards", "statistics", "progress"}
    assert built.manifest == rb.run(recipe, cache_root=tmp_path / "local").manifest
    assert locations.walk(f"{bucket}/c/staging") == []


def test_an_error_of_a_worker_comes_back_over_the_store(
    bucket: str, class_folders: Path, copy_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copy_of(class_folders)
    broken = next(photos.rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:200])
    monkeypatch.setattr(RemoteStaging, "rows_dir", property(lambda self: self.shared_rows_dir))
    with pytest.raises(DataError) as caught:
        rb.run(write_recipe(photos, tmp_path), cache_root=f"{bucket}/c", mode="threads")
    assert caught.value.at == str(broken)
    assert {e.path.partition("/")[0] for e in locations.walk(f"{bucket}/c")} == {"journal"}, "a run that fails takes away what it put"


def test_prism_writes_to_the_store(bucket: str, recipe: Path, tmp_path: Path) -> None:
    prism = ENGINES / f"prism-{version('apache-beam')}"
    assert prism.exists(), "run launchers/engines.sh prism, or `make test-stores`"
    arguments = ["run", str(recipe), "--cache-root", f"{bucket}/c", "--json", "--runner", "prism", "--", f"--prism_location={prism}"]
    done = call(*arguments)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == "built"
    assert said["files_digest"] == rb.run(recipe, cache_root=tmp_path / "local").manifest.files_digest
    assert locations.walk(f"{bucket}/c/staging") == []


def test_a_living_run_is_left_alone(bucket: str, recipe: Path) -> None:
    """A second run of the key begins while the first is at work, and takes nothing from under it."""
    slow = DIE.replace(
        "def put_file(local, place):\n    put(local, place)\n",
        "import time\ndef put_file(local, place):\n    put(local, place)\n    time.sleep(3)\n",
    )
    command = ["never", "run", str(recipe), "--cache-root", f"{bucket}/c", "--json"]
    first = subprocess.Popen([sys.executable, "-c", slow, *command], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while not any(e.path.endswith(".parquet") for e in locations.walk(f"{bucket}/c")) and time.monotonic() < deadline:
        time.sleep(0.2)
    second = rb.run(recipe, cache_root=f"{bucket}/c")
    said = json.loads(first.communicate(timeout=200)[0])
    assert first.returncode == 0
    assert {said["status"], second.status} == {"built", "hit"}
    assert verify(second.path, deep=True).findings == ()
