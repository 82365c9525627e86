"""Instances on a store: shards are fetched once, proved, bounded on the disk, and give the rows of the local ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.cache.attempts import locks
from refinery_beam.reading.shard_cache import ShardCache, bytes_of
from support.recipes import SMALL, write_recipe


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> rb.Instance:
    from refinery_beam.testing import images

    folder = tmp_path_factory.mktemp("shards")
    images.class_folders(folder / "photos", per_class=40, size=(24, 20), formats=("png",))
    recipe = write_recipe(folder / "photos", folder, base=SMALL, output={"shard_records": 10, "row_group_bytes": 4096})
    return rb.run(recipe, cache_root=folder / "cache")


@pytest.fixture
def remote(local: rb.Instance, tmp_path: Path) -> rb.Instance:
    url = f"memory://{tmp_path.name}-{os.getpid()}/instance"
    fsspec.filesystem("memory").put(local.path, url.removeprefix("memory:/"), recursive=True)
    return rb.open_instance(url)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each shard was fetched whole."""
    counts: Counter[str] = Counter()
    real = locations.download

    def counted(url: str, local: str) -> None:
        counts[locations.basename(url)] += 1
        real(url, local)

    monkeypatch.setattr(locations, "download", counted)
    return counts


def cache_of(tmp_path: Path, limit_bytes: int = 1 << 30) -> ShardCache:
    return ShardCache(str(tmp_path / "shards"), limit_bytes)


def same(one: Any, other: Any) -> bool:
    return one["record_id"] == other["record_id"] and np.array_equal(one["image"], other["image"]) and one["label"] == other["label"]


def test_an_epoch_fetches_each_shard_once(local: rb.Instance, remote: rb.Instance, tmp_path: Path, fetched: Counter[str]) -> None:
    reader = remote.split("train", shard_cache=cache_of(tmp_path))
    for epoch in range(2):
        theirs = list(reader.stream(epoch=epoch, batch_size=8))
        assert all(map(same, theirs, local["train"].stream(epoch=epoch, batch_size=8)))
    assert len(fetched) == len(remote.manifest.shards("train")) > 4
    assert set(fetched.values()) == {1}, "the second epoch reads the local files"


def test_passes_and_a_second_reader_share_the_folder(
    remote: rb.Instance, local: rb.Instance, tmp_path: Path, fetched: Counter[str]
) -> None:
    for _ in range(2):
        reader = remote.split("train", shard_cache=cache_of(tmp_path))
        assert all(map(same, reader, local["train"]))
    assert set(fetched.values()) == {1}


def test_the_folder_is_bounded(remote: rb.Instance, local: rb.Instance, tmp_path: Path, fetched: Counter[str]) -> None:
    shards = remote.manifest.shards("train")
    limit = 3 * max(shard.bytes for shard in shards)
    cache = cache_of(tmp_path, limit)
    for row, own in zip(remote.split("train", shard_cache=cache), local["train"], strict=True):
        assert same(row, own)
    # (While rows are read, a thread adds and removes files.)
    assert sum(os.path.getsize(path) for path in Path(cache.folder).iterdir()) <= limit
    assert set(fetched.values()) == {1}
    assert cache.held(shards[-1]) and cache.held(shards[-2]) and not cache.held(shards[0])


def test_a_shard_is_not_fetched_again_within_its_window(remote: rb.Instance, tmp_path: Path, fetched: Counter[str]) -> None:
    # One shard fits: those that a reader holds open are there all the same.
    reader = remote.split("train", shard_cache=cache_of(tmp_path, 1))
    for _ in reader.stream(batch_size=1, threads=1, prefetch=0):
        pass
    assert set(fetched.values()) == {1}


def test_random_access_fetches_what_it_meets_often(remote: rb.Instance, local: rb.Instance, tmp_path: Path, fetched: Counter[str]) -> None:
    reader = remote.split("train", cache_bytes=1, shard_cache=cache_of(tmp_path))
    rows = [0, 9, 0, 9]
    for count, row in enumerate(rows, start=1):
        assert same(reader[row], local["train"][row])
        assert sum(fetched.values()) == (1 if count >= 3 else 0)


def test_other_bytes_are_damage(remote: rb.Instance, tmp_path: Path) -> None:
    shard = remote.manifest.shards("train")[0]
    location = locations.join(remote.path, shard.path)
    locations.write(location, locations.read(location)[:-1] + b"?")
    cache = cache_of(tmp_path)
    with pytest.raises(rb.StoreError) as caught:
        cache.fetch(location, shard)
    assert (caught.value.code, caught.value.at) == ("damaged", location)
    assert os.listdir(cache.folder) == []


def test_what_was_used_longest_ago_makes_room(remote: rb.Instance, tmp_path: Path) -> None:
    shards = remote.manifest.shards("train")[:4]
    cache = cache_of(tmp_path, sum(shard.bytes for shard in shards[:3]))
    for age, shard in enumerate(shards[:3]):
        path = cache.fetch(locations.join(remote.path, shard.path), shard)
        os.utime(path, ns=(age * 10**9, age * 10**9))
    assert cache.held(shards[0]), "asking is a use"
    cache.fetch(locations.join(remote.path, shards[3].path), shards[3])
    assert [cache.held(shard) is not None for shard in shards] == [True, False, shards[1].bytes >= shards[3].bytes, True]


def test_what_a_killed_process_left_is_removed(remote: rb.Instance, tmp_path: Path) -> None:
    first, second, third = remote.manifest.shards("train")[:3]
    cache = cache_of(tmp_path)
    os.makedirs(cache.folder)
    dead, alive = (Path(locations.temporary_name(cache.path(shard))) for shard in (second, third))
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    lock = locks.take(cache.path(third) + ".lock")
    assert lock is not None
    cache.fetch(locations.join(remote.path, first.path), first)
    assert (dead.exists(), alive.exists()) == (False, True)
    lock.release()


def test_files_of_other_names_stay(remote: rb.Instance, tmp_path: Path) -> None:
    first = remote.manifest.shards("train")[0]
    cache = cache_of(tmp_path, 1)
    os.makedirs(cache.folder)
    others = [
        Path(cache.folder) / name for name in ("mine.parquet", "part-00000-of-00001-0123456789ab.parquet", ".mine.parquet.1.tmp", "a.tmp")
    ]
    for other in others:
        other.write_bytes(b"x" * 1000)
    for shard in remote.manifest.shards("train")[:3]:
        cache.fetch(locations.join(remote.path, shard.path), shard)
    assert all(other.exists() for other in others)
    assert cache.held(first) is None


def test_a_folder_that_cannot_be_written_is_said(remote: rb.Instance, tmp_path: Path) -> None:
    shard = remote.manifest.shards("train")[0]
    (tmp_path / "shards").write_text("a file")
    with pytest.raises(rb.StoreError) as caught:
        cache_of(tmp_path).fetch(locations.join(remote.path, shard.path), shard)
    assert (caught.value.code, caught.value.at) == ("cache-not-a-directory", str(tmp_path / "shards"))


def test_a_local_instance_asks_for_no_cache(local: rb.Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_BEAM_SHARD_CACHE_BYTES", "much")
    assert len(list(local["train"])) == 90


def test_a_full_disk_is_said(remote: rb.Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(url: str, local: str) -> None:
        raise OSError(28, "No space left on device", local)

    monkeypatch.setattr(locations, "download", full)
    shard = remote.manifest.shards("train")[0]
    with pytest.raises(rb.StoreError) as caught:
        cache_of(tmp_path).fetch(locations.join(remote.path, shard.path), shard)
    assert caught.value.code == "no-space"


def test_the_environment_says_where_and_how_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REFINERY_BEAM_SHARD_CACHE", str(tmp_path))
    monkeypatch.setenv("REFINERY_BEAM_SHARD_CACHE_BYTES", "2 GiB")
    assert ShardCache() == ShardCache(str(tmp_path), 2 << 30)
    monkeypatch.setenv("REFINERY_BEAM_SHARD_CACHE_BYTES", "much")
    with pytest.raises(rb.UsageError) as caught:
        ShardCache()
    assert caught.value.code == "shard-cache-bytes"
    monkeypatch.delenv("REFINERY_BEAM_SHARD_CACHE")
    monkeypatch.delenv("REFINERY_BEAM_SHARD_CACHE_BYTES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ShardCache() == ShardCache(str(tmp_path / "refinery-beam" / "shards"), 16 << 30)


@pytest.mark.parametrize("text", ["", "GB", "1 iB", "-1", "1.5.2", "1 PB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(rb.UsageError):
        bytes_of(text)
