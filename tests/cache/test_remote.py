"""The commit and the law of leases on a store that keeps its objects in this process. Real servers and whole runs: tests/stores."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from refinery_beam import locations
from refinery_beam.cache import (
    LocalStore,
    RemoteStaging,
    RemoteStore,
    Store,
    find,
    home,
    lookup_at,
    open_attempt,
    prepare_root,
    promote,
    sweep_store,
    verify,
)
from refinery_beam.cache.attempts import leases
from refinery_beam.cache.attempts.leases import Lease
from refinery_beam.cache.attempts.locks import identity_of_process
from refinery_beam.errors import EngineError, StoreError
from refinery_beam.launch.clean import clean
from refinery_beam.locations import objects, patience
from support import handmade

KEY = handmade.KEY


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(leases, "FRESH_SECONDS", 0.0)
    location = f"memory://{tmp_path.name}-{os.getpid()}"
    yield location
    locations.remove_all([locations.join(location, entry.path) for entry in locations.walk(location)])


def paths(root: str, below: str = "") -> list[str]:
    return [entry.path for entry in locations.walk(locations.join(root, below) if below else root)]


def fill(staging: RemoteStaging, **options: object) -> dict[str, object]:
    """Write a small instance into the local half, as the driver does with its files."""
    return handmade.fill(staging._local, **options)  # type: ignore[arg-type]


def started(root: str) -> RemoteStaging:
    staging = open_attempt(root, KEY)
    assert isinstance(staging, RemoteStaging)
    return staging


def strange_lease(root: str, attempt: str = "0badcafe", **said: object) -> str:
    """The lease of a run of another machine, with some rows beside it."""
    folder = locations.join(root, "staging", f"{KEY.name}-{attempt}")
    locations.write(locations.join(folder, "lease"), json.dumps({"state": "ready", "pid": 1, "where": "elsewhere 1", **said}).encode())
    locations.write(locations.join(folder, "rows/shards/x.jsonl"), b"[]\n")
    return folder


def test_built_then_hit_and_nothing_else_stays(root: str) -> None:
    with started(root) as staging:
        status, manifest = promote(staging, fill(staging))
        assert status == "built" and manifest.location == staging.output
    with started(root) as staging:
        assert promote(staging, fill(staging)) == ("hit", manifest)
    assert paths(root, "staging") == []
    listed = ["manifest.json", "recipe.yaml", *(file.path for file in manifest.files)]
    assert paths(root) == sorted(f"instances/{'/'.join(KEY.parts)}/{path}" for path in listed)
    assert verify(manifest.location, deep=True).ok
    assert os.listdir(os.path.join(home(root), "staging")) == ["trash"]


def test_both_stores_offer_what_the_cache_asks_for() -> None:
    assert isinstance(LocalStore(), Store) and isinstance(RemoteStore(), Store)


def test_the_bytes_are_those_of_a_local_root(root: str, tmp_path: Path) -> None:
    local = handmade.build(str(tmp_path / "local"))
    with started(root) as staging:
        remote = promote(staging, fill(staging))[1]
    assert remote == local
    assert locations.read(locations.join(remote.location, "manifest.json")) == Path(local.location, "manifest.json").read_bytes()
    assert [(e.path, e.size) for e in locations.walk(remote.location)] == [(e.path, e.size) for e in locations.walk(local.location)]


def test_two_at_once_promote_once_and_differing_bytes_are_found(root: str) -> None:
    with started(root) as first, started(root) as second, started(root) as third:
        assert promote(second, fill(second))[0] == "built"
        assert promote(first, fill(first))[0] == "hit"
        with pytest.raises(EngineError) as caught:
            promote(third, fill(third, tweak="other"))
        assert (caught.value.code, caught.value.exit_code) == ("nondeterminism", 4)
    assert verify(first.output, deep=True).ok
    assert paths(root, "staging") == []


def test_bytes_that_differ_before_there_is_a_manifest_are_found_too(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(root) as first, started(root) as second:
        fill(first)
        locations.write(locations.join(first.output, "report/report.md"), b"what another living run has put")
        with pytest.raises(EngineError) as caught:
            promote(second, fill(second))
        assert caught.value.code == "nondeterminism" and caught.value.at.endswith("report/report.md")
    assert paths(root) == []


def test_what_dead_runs_left_is_cleared_and_what_living_ones_write_is_not(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    location = locations.join(root, "instances", *KEY.parts)
    locations.write(locations.join(location, "report/report.md"), b"half a report")
    locations.write(locations.join(location, "dataset/train/part-00000-of-00009-abc.parquet"), b"of another shape")
    folder = strange_lease(root)
    with started(root) as staging:
        # The run elsewhere counts as alive, so nothing of the key is touched.
        assert "report/report.md" in paths(location) and locations.size(locations.join(folder, "lease"))
        assert not staging.no_other_run()
        with pytest.raises(EngineError, match="other bytes on the store"):
            promote(staging, fill(staging))
    assert "report/report.md" in paths(location), "leaving beside a living run clears nothing either"
    # Three minutes later, by the store's clock.
    real = locations.modified

    def later(location: str) -> datetime:
        return real(location) if locations.parent(location) != folder else real(location) - timedelta(seconds=leases.LEASE_SECONDS)

    monkeypatch.setattr(leases.locations, "modified", later)
    with started(root) as staging:
        assert paths(location) == [] and locations.walk(folder) == []
        assert promote(staging, fill(staging))[0] == "built"
    assert verify(location, deep=True).ok


def test_a_run_of_this_machine_whose_process_is_gone_is_dead_at_once(root: str) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    where = identity_of_process()["where"]
    dead = strange_lease(root, "00000001", pid=int(ended.stdout), where=where)
    living = strange_lease(root, "00000002", pid=os.getpid(), where=where)
    lockless = locations.join(root, "staging", f"{KEY.name}-00000003")
    locations.write(locations.join(lockless, "rows/shards/x.jsonl"), b"what a sweep that died left")
    other = locations.join(root, "staging", "of-another-key-0-00000004", "lease")
    locations.write(other, b"{}")
    with started(root) as staging:
        assert locations.walk(dead) == [] and locations.walk(lockless) == []
        assert len(locations.walk(living)) == 2 and not staging.no_other_run()
        assert locations.size(other) == 2


def test_nobody_works_while_another_clears(root: str) -> None:
    folder = strange_lease(root, state="sweeping")
    working = threading.Event()

    def run() -> None:
        with started(root):
            working.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert not working.wait(0.3)
    locations.write(locations.join(folder, "lease"), json.dumps({"state": "ready", "where": "elsewhere 1", "pid": 1}).encode())
    assert working.wait(60)
    thread.join()


def test_several_begin_at_once_over_the_leavings_of_a_dead_run(root: str) -> None:
    """Whatever order they come in, nobody's upload is swept: all of them finish, one builds."""
    location = locations.join(root, "instances", *KEY.parts)
    for n in range(20):
        locations.write(locations.join(location, f"dataset/train/left-{n}"), b"x")
    said: list[str] = []

    def run() -> None:
        with started(root) as staging:
            time.sleep(0.05)
            said.append(promote(staging, fill(staging))[0])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["built", "hit", "hit", "hit"]
    assert verify(location, deep=True).ok


def test_a_lease_is_renewed_and_one_that_cannot_be_is_lost(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)
    with started(root) as staging:
        lease = locations.join(staging.dir, "lease")
        first = locations.modified(lease)
        deadline = time.monotonic() + 60
        while locations.modified(lease) <= first and time.monotonic() < deadline:
            time.sleep(0.01)
        assert locations.modified(lease) > first
        monkeypatch.setattr(leases.locations, "write", _refuse)
        monkeypatch.setattr(leases, "LEASE_SECONDS", 0.1)
        time.sleep(0.1)
        with pytest.raises(StoreError) as caught:
            promote(staging, fill(staging))
        assert (caught.value.code, caught.value.exit_code) == ("lease-lost", 3)
    assert find(root, KEY) == (None, None)


def _refuse(location: str, data: bytes) -> None:
    raise OSError(5, "the store is gone", location)


@pytest.mark.parametrize("damage", ["missing shard", "short shard", "broken manifest"])
def test_a_damaged_instance_is_named_and_healed(root: str, damage: str) -> None:
    with started(root) as staging:
        manifest = promote(staging, fill(staging))[1]
    shard = manifest.files[0].path
    if damage == "missing shard":
        locations.remove(locations.join(manifest.location, shard))
    elif damage == "short shard":
        locations.write(locations.join(manifest.location, shard), b"x")
    else:
        locations.write(locations.join(manifest.location, "manifest.json"), b"{")
    found = lookup_at(manifest.location)
    assert found.manifest is None and found.damage is not None
    assert {f.code for f in verify(manifest.location).findings} <= {"missing", "wrong-size", "manifest-damaged"}
    with started(root) as staging:
        assert promote(staging, fill(staging)) == ("built", manifest)
    assert verify(manifest.location, deep=True).ok


def test_a_manifest_broken_while_a_run_works_is_replaced_by_it(root: str) -> None:
    with started(root) as staging:
        body = fill(staging)
        locations.write(locations.join(staging.output, "manifest.json"), b"{")
        assert promote(staging, body)[0] == "built"
    assert verify(staging.output).ok


def test_uploads_that_vanish_stop_it(root: str) -> None:
    with started(root) as staging:
        body = fill(staging)
        shard = str(body["files"][0]["path"])  # type: ignore[index]
        locations.put_file(os.path.join(staging.instance, shard), locations.join(staging.output, shard))
        locations.remove(locations.join(staging.output, shard))
        with pytest.raises(EngineError, match="was reported but never written"):
            promote(staging, body)


def test_a_store_without_conditional_puts_is_refused(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "put_if_absent", lambda url, data: True)
    with pytest.raises(StoreError) as caught:
        open_attempt(root, KEY)
    assert (caught.value.code, caught.value.exit_code) == ("store-create-only", 3)


@pytest.mark.parametrize("every", range(2, 12))
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "lost"])
def test_a_store_that_fails_now_and_then_keeps_no_probe(root: str, monkeypatch: pytest.MonkeyPatch, every: int, lost: bool) -> None:
    monkeypatch.setattr(patience, "WAITS", (0, 0))
    calls = itertools.count(1)

    def failing(name: str) -> None:
        plain = getattr(MemoryFileSystem, name)

        def call(self: object, *args: object, **more: object) -> object:
            strikes = next(calls) % every == 0
            if strikes and not lost:
                raise ConnectionResetError(104, "reset by peer")
            result = plain(self, *args, **more)
            if strikes:
                raise ConnectionResetError(104, "reset by peer")
            return result

        monkeypatch.setattr(MemoryFileSystem, name, call)

    for name in ("pipe_file", "cat_file", "info", "find", "ls", "rm_file", "modified"):
        failing(name)
    for _ in range(6):
        with suppress(StoreError):
            prepare_root(root)
        with suppress(OSError, StoreError):
            leases.living_keys(root)
    monkeypatch.undo()
    assert paths(root, "staging") == []


def left_probe(root: str, **said: object) -> str:
    location = locations.join(root, "staging", ".probe-0badcafe")
    locations.write(location, json.dumps(said).encode())
    return location


def test_old_probes_are_swept_and_young_ones_of_others_are_not(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(root) as staging:
        promote(staging, fill(staging))
    gone = _gone()
    for clear in (lambda: sweep_store(root, KEY), lambda: started(root).close(), lambda: clean(cache_root=root, yes=True)):
        left_probe(root, pid=1, where="elsewhere 1")
        clear()
        assert paths(root, "staging") == [".probe-0badcafe"], "who wrote it may be waiting for an answer"
        left_probe(root, **{**identity_of_process(), "pid": gone})
        clear()
        assert paths(root, "staging") == [], "its process is gone"
        old, plain = left_probe(root, pid=1, where="elsewhere 1"), locations.modified
        with monkeypatch.context() as patched:
            patched.setattr(locations, "modified", lambda path, old=old, plain=plain: plain(path) - timedelta(hours=2 * (path == old)))
            clear()
        assert paths(root, "staging") == [], "an hour is over"


def test_a_hit_sweeps_what_a_run_left_that_was_killed_at_its_end(root: str) -> None:
    with started(root) as staging:
        promote(staging, fill(staging))
    sweep_store(root, KEY)
    part = locations.join(root, "resume", KEY.name, "dataset-train-00000", "part.json")
    locations.write(part, b"half a record")
    strange_lease(root, attempt="0badbeef", **{**identity_of_process(), "pid": _gone()})
    sweep_store(root, KEY)
    assert paths(root, "staging") == paths(root, "resume") == []
    strange_lease(root, attempt="0badbeef", **{**identity_of_process(), "pid": _gone()})
    living = strange_lease(root)
    sweep_store(root, KEY)
    assert {path.partition("/")[0] for path in paths(root, "staging")} == {locations.basename(living)}
    assert find(root, KEY).manifest is not None


def test_an_attempt_that_ends_where_the_instance_is_there_leaves_no_parts(root: str) -> None:
    """Ctrl-C between the manifest and the end of a run."""
    part = locations.join(root, "resume", KEY.name, "dataset-train-00000", "part.json")
    with started(root) as staging:
        locations.write(part, b"half a record")
    assert locations.size(part), "without an instance the next run goes on from there"
    with started(root) as staging:
        promote(staging, fill(staging))
        locations.write(part, b"half a record")
    assert paths(root, "resume") == []


def _gone() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_ages_are_by_the_stores_clock(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock is years off: a lease that was written just now is young all the same."""
    folder = strange_lease(root)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    mine = Lease(locations.join(root, "staging"), KEY.name, "00c0ffee")
    mine._say("sweeping")
    assert mine.others() == {locations.basename(folder): "ready"}
    assert locations.modified(locations.join(folder, "lease")) <= datetime.now(UTC)
