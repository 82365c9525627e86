import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.cache import InstanceKey, LocalStore, find, instance_dir, lookup, lookup_at, prepare_root, refuse_inside_sources
from refinery_beam.cache.manifest import manifest_bytes, safe_relative, sealed
from refinery_beam.errors import StoreError, UsageError
from support import handmade

KEY = handmade.KEY


def rewrite(location: str, change: Callable[[dict[str, Any]], Any]) -> None:
    path = Path(location) / "manifest.json"
    raw = json.loads(path.read_bytes())
    change(raw)
    path.write_bytes(manifest_bytes(sealed(raw)))


def test_a_key_has_full_digests_only() -> None:
    with pytest.raises(ValueError, match="64 lower-case hex"):
        InstanceKey("ab" * 8, "cd" * 32, 1)
    with pytest.raises(ValueError, match="input_hash"):
        InstanceKey("ab" * 32, "CD" * 32, 1)


def test_a_whole_instance_is_a_hit(tmp_path: Path) -> None:
    assert find(str(tmp_path), KEY) == (None, None)
    built = handmade.build(str(tmp_path))
    hit = lookup(str(tmp_path), KEY)
    assert hit == built
    assert hit is not None
    assert hit.location == instance_dir(str(tmp_path), KEY)
    assert (hit.counts, hit.splits, hit.encoding, hit.image_field) == ({"train": 14, "val": 3}, ("train", "val"), "tensor", "image")
    assert [f.path for f in hit.files] == sorted(f.path for f in hit.files)
    assert [f.shard for f in hit.shards("train")] == [0, 1]
    assert json.loads((Path(hit.location) / "manifest.json").read_bytes()) == hit.raw


def test_another_seed_is_a_miss(tmp_path: Path) -> None:
    handmade.build(str(tmp_path))
    assert find(str(tmp_path), InstanceKey(KEY.recipe_hash, KEY.input_hash, -42)) == (None, None)


@pytest.mark.parametrize("part", ["recipe_hash", "input_hash"])
def test_a_prefix_clash_is_refused_and_names_both(tmp_path: Path, part: str) -> None:
    handmade.build(str(tmp_path))
    parts = {"recipe_hash": KEY.recipe_hash, "input_hash": KEY.input_hash}
    parts[part] = parts[part][:16] + "0" * 48
    with pytest.raises(StoreError) as caught:
        lookup(str(tmp_path), InstanceKey(**parts, seed=42))
    assert caught.value.code == "prefix-clash"
    assert parts[part] in caught.value.message
    assert getattr(KEY, part) in caught.value.message


def test_a_missing_or_short_shard_is_a_miss_with_a_reason(tmp_path: Path) -> None:
    built = handmade.build(str(tmp_path))
    shard = built.shards("train")[1]
    path = Path(built.location) / shard.path
    path.write_bytes(path.read_bytes()[:-1])
    found = find(str(tmp_path), KEY)
    assert found.manifest is None
    assert found.damage is not None
    assert shard.path in found.damage
    assert f"has {shard.bytes - 1} bytes, its manifest says {shard.bytes}" in found.damage
    path.unlink()
    assert f"lacks {shard.path}" in str(find(str(tmp_path), KEY).damage)
    path.symlink_to("/dev/null")
    assert lookup(str(tmp_path), KEY) is None


@pytest.mark.parametrize("size", [0, 1, 200])
def test_a_truncated_manifest_is_damage(tmp_path: Path, size: int) -> None:
    location = Path(handmade.build(str(tmp_path)).location)
    (location / "manifest.json").write_bytes((location / "manifest.json").read_bytes()[:size])
    assert "is not JSON" in str(find(str(tmp_path), KEY).damage)


def test_no_manifest_and_no_directory(tmp_path: Path) -> None:
    location = Path(handmade.build(str(tmp_path)).location)
    (location / "manifest.json").unlink()
    assert "has no manifest.json" in str(find(str(tmp_path), KEY).damage)
    shutil.rmtree(location)
    location.mkdir()
    assert find(str(tmp_path), KEY) == (None, None)
    location.rmdir()
    location.write_text("in the way")
    assert "is not a directory" in str(find(str(tmp_path), KEY).damage)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "files_digest is not": lambda raw: raw["files"][0].update(sha256="00" * 32),
    "logical_digest is not": lambda raw: raw.update(logical_digest="00" * 32),
    "holds? 14|hold 14": lambda raw: raw["counts"].update(train=13),
    "counts is missing": lambda raw: raw.pop("counts"),
    "same splits": lambda raw: raw["splits"].append("test"),
    "unknown split": lambda raw: (raw["splits"].remove("val"), raw["counts"].pop("val")),
    "not the path": lambda raw: raw["files"][0].update(path="../../../etc/passwd"),
    "listed twice": lambda raw: raw["files"].append(raw["files"][0]),
    "names no contract": lambda raw: raw.pop("contract"),
    "odd fields": lambda raw: raw["files"][0].update(extra=1),
}


@pytest.mark.parametrize("words", CHANGES)
def test_a_manifest_that_contradicts_itself_is_damage(tmp_path: Path, words: str) -> None:
    location = handmade.build(str(tmp_path)).location
    rewrite(location, CHANGES[words])
    damage = find(str(tmp_path), KEY).damage
    assert damage is not None
    assert any(word in damage for word in words.split("|")), damage


def test_a_newer_contract_is_not_ours_to_replace(tmp_path: Path) -> None:
    location = handmade.build(str(tmp_path)).location
    rewrite(location, lambda raw: raw.update(contract=2))
    with pytest.raises(StoreError) as caught:
        lookup_at(location)
    assert caught.value.code == "manifest-contract"


def test_safe_paths() -> None:
    assert not any(map(safe_relative, ("", "/", "..", "a/..", "a/../b", "./a", "a/", "a\\b", "a\0b")))
    assert safe_relative("dataset/train/ü ..x.parquet")


def test_the_root_is_created_and_proved(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    assert prepare_root(str(root)) == str(root)
    assert os.listdir(root / "staging") == []


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    for root in ("f", "f/below"):
        with pytest.raises(StoreError) as caught:
            prepare_root(str(tmp_path / root))
        assert caught.value.code == "cache-not-a-directory"
        assert caught.value.exit_code == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError) as caught:
        prepare_root(str(tmp_path))
    assert caught.value.code == "cache-not-writable"


def test_a_read_only_file_system() -> None:
    with pytest.raises(StoreError) as caught:
        prepare_root("/proc/refinery")
    assert caught.value.code in ("cache-not-writable", "store-io")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "makedirs", full)
    with pytest.raises(StoreError) as caught:
        prepare_root(str(tmp_path))
    assert caught.value.code == "no-space"


def test_the_cache_and_the_sources_stay_apart(tmp_path: Path) -> None:
    source, cache = tmp_path / "photos", tmp_path / "cache"
    (source / "sub").mkdir(parents=True)
    cache.mkdir()
    (tmp_path / "link").symlink_to(source)
    refuse_inside_sources(str(cache), [str(source), "gs://bucket/x"])
    # A source that holds the cache's neighbours is fine; one that merely shares a prefix too.
    refuse_inside_sources(str(tmp_path / "photos-cache"), [str(source)])
    for root in (source, source / "sub" / "new", tmp_path / "link" / "c"):
        with pytest.raises(UsageError) as caught:
            refuse_inside_sources(str(root), [str(source)])
        assert caught.value.code == "output-inside-source"
    with pytest.raises(UsageError) as caught:
        refuse_inside_sources(str(cache), [str(cache / "instances" / "x")])
    assert caught.value.code == "source-inside-cache"


def test_put_if_absent(tmp_path: Path) -> None:
    store = LocalStore()
    path = str(tmp_path / "m")
    assert store.put_if_absent(path, b"one")
    assert not store.put_if_absent(path, b"two")
    assert (store.read(path), store.size(path), os.listdir(tmp_path)) == (b"one", 3, ["m"])


def test_put_if_absent_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = LocalStore()
    path = str(tmp_path / "m")
    assert store.put_if_absent(path, b"one")
    assert not store.put_if_absent(path, b"two")
    assert (store.read(path), os.listdir(tmp_path)) == (b"one", ["m"])


def test_a_hit_imports_nothing_heavy(tmp_path: Path) -> None:
    handmade.build(str(tmp_path))
    code = (
        "import sys\nfrom refinery_beam.cache import *\n"
        f"assert lookup({str(tmp_path)!r}, InstanceKey({KEY.recipe_hash!r}, {KEY.input_hash!r}, 42))\n"
        "print(sorted({'numpy', 'pyarrow', 'apache_beam', 'PIL', 'fsspec', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_thousands_of_files_are_checked_fast(tmp_path: Path) -> None:
    """In the processor's time, which other processes of the machine do not take."""
    from time import process_time

    handmade.build(str(tmp_path), splits={"train": 2}, shards=1)
    location = Path(instance_dir(str(tmp_path), KEY))
    (location / "report" / "many").mkdir()
    for n in range(2000):
        (location / "report" / "many" / f"{n}.txt").write_bytes(b"x")
    from refinery_beam.cache import compute_files
    from refinery_beam.rows import files_digest

    raw = json.loads((location / "manifest.json").read_bytes())
    (location / "manifest.json").unlink()
    raw["files"] = compute_files(str(location), shards=[f for f in raw["files"] if "split" in f])
    raw["files_digest"] = files_digest(raw["files"])
    (location / "manifest.json").write_bytes(manifest_bytes(sealed(raw)))
    begin = process_time()
    assert lookup(str(tmp_path), KEY) is not None
    assert process_time() - begin < 0.5
