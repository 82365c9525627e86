"""Resuming, repairing and cleaning with the cache root on a real server."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.cache import InstanceKey, RemoteStaging, verify
from support.counted import Counted
from support.recipes import write_recipe

pytestmark = pytest.mark.stores

SINK = ['{name: png, stage: post_pipeline, field: image, format: png_per_record, path_template: "{split}/{record_id}.png"}']
THREADS = ("--mode", "threads", "--workers", "2")


@pytest.fixture
def recipe(class_folders: Path, tmp_path: Path) -> Path:
    return write_recipe(class_folders, tmp_path, sinks=SINK)


@pytest.fixture
def counted(bucket: str, recipe: Path, tmp_path: Path) -> Counted:
    return Counted(recipe, f"{bucket}/c", tmp_path)


def test_a_killed_run_goes_on(counted: Counted, tmp_path: Path) -> None:
    local = Counted(counted.recipe, str(tmp_path / "local"), tmp_path)
    _, clean, every = local.run(*THREADS)
    code, _, _ = counted.run(*THREADS, die_at=every * 9 // 10)
    assert code == -signal.SIGKILL
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"]) == (0, clean["files_digest"])
    reused: Any = again["reused"]
    assert reused["shards"] >= 1
    assert locations.walk(f"{counted.root}/resume") == locations.walk(f"{counted.root}/staging") == []
    assert verify(str(again["instance"]), deep=True).ok


def test_a_damaged_part_is_made_again(counted: Counted, tmp_path: Path) -> None:
    local = Counted(counted.recipe, str(tmp_path / "local"), tmp_path)
    _, clean, every = local.run(*THREADS)
    assert counted.run(*THREADS, die_at=every * 9 // 10)[0] == -signal.SIGKILL
    shards = [e.path for e in locations.walk(f"{counted.root}/instances") if "/dataset/" in e.path]
    data = locations.read(f"{counted.root}/instances/{shards[0]}")
    locations.write(f"{counted.root}/instances/{shards[0]}", data[:-1] + bytes([data[-1] ^ 1]))
    records = [e.path for e in locations.walk(f"{counted.root}/resume") if e.path.endswith("part.json")]
    locations.write(f"{counted.root}/resume/{records[-1]}", b"half a record")
    code, again, _ = counted.run(*THREADS)
    assert (code, again["files_digest"]) == (0, clean["files_digest"])
    assert verify(str(again["instance"]), deep=True).ok


def test_repair(bucket: str, recipe: Path) -> None:
    root = f"{bucket}/c"
    built = rb.run(recipe, cache_root=root)
    shard = built.manifest.shards("train")[0].path
    sink = next(e.path for e in locations.walk(built.path) if e.path.endswith(".png"))
    for path in (shard, "report/report.md"):
        locations.remove(locations.join(built.path, path))
    locations.write(locations.join(built.path, sink), b"not a picture")
    report = rb.verify(recipe, cache_root=root, repair=True)
    assert (report.ok, report.repaired, report.not_repaired) == (True, tuple(sorted([shard, sink, "report/report.md"])), ())


def test_clean(bucket: str, recipe: Path, counted: Counted) -> None:
    root = counted.root
    built = rb.run(recipe, cache_root=root)
    assert rb.clean(cache_root=root, everything=True, yes=True).removed == (), "it was used within the last day"
    rb.tag(built.path, name="v1", cache_root=root)
    assert rb.clean(cache_root=root, everything=True, grace="0", yes=True).removed == ()
    rb.untag("v1", cache_root=root)
    living = RemoteStaging.open(root, InstanceKey(built.manifest.recipe_hash, built.manifest.input_hash, built.manifest.seed))
    try:
        (kept,) = rb.clean(cache_root=root, everything=True, grace="0", yes=True).kept
        assert kept.reason == "a run of it is at work"
    finally:
        living.close()
    assert counted.run(*THREADS, "--seed", "9", die_at=60)[0] == -signal.SIGKILL
    # The lease of a run that was killed here is known to be dead at once.
    result = rb.clean(cache_root=root, everything=True, orphans=True, grace="0", yes=True)
    assert {"instance", "attempt"} <= {item.kind for item in result.removed}
    left = [entry.path for entry in locations.walk(root) if not entry.path.startswith(("tags/", "used/"))]
    assert left == [], "nothing is left but the history of a tag"
