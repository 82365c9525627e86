"""Sources on real servers: what their listings say is believed where it names content, and proved where bytes are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import refinery_beam as rb
from refinery_beam import locations
from refinery_beam.errors import DataError
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from support.recipes import write_recipe

pytestmark = pytest.mark.stores


@pytest.fixture
def source(bucket: str, class_folders: Path) -> str:
    """The class folders as a source on a server."""
    for path in sorted(class_folders.rglob("*.*")):
        locations.write(locations.join(bucket, "in", path.relative_to(class_folders).as_posix()), path.read_bytes())
    return f"{bucket}/in"


def over(url: str, folder: Path) -> Path:
    return write_recipe(url, folder, name="remote.yaml")


def test_the_stores_checksums_name_the_files(source: str, class_folders: Path, tmp_path: Path) -> None:
    recipe = over(source, tmp_path)
    prepared = prepare(recipe, Settings(cache_root=str(tmp_path / "cache")))
    assert (prepared.index.kind, prepared.index.hashed) == ("md5", 0)
    assert {e.path: e.digest for e in prepared.index.entries} == {
        p.relative_to(class_folders).as_posix(): hashlib.md5(p.read_bytes()).digest() for p in class_folders.rglob("*.*")
    }
    built = rb.run(recipe, cache_root=tmp_path / "cache")
    assert built.status == "built" and rb.run(recipe, cache_root=tmp_path / "cache").status == "hit"
    local = rb.run(write_recipe(class_folders, tmp_path), cache_root=tmp_path / "cache")
    # Another kind names the same content otherwise, and by that name groups are ranked: an input of its own, divided otherwise.
    assert local.manifest.input_hash != built.manifest.input_hash
    assert local.counts == built.counts and local.manifest.raw["logical_digest"] != built.manifest.raw["logical_digest"]


def test_asked_for_sha256_it_is_the_local_input(source: str, class_folders: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert rb.run(write_recipe(class_folders, tmp_path), cache_root=cache).status == "built"
    assert rb.run(over(source, tmp_path), cache_root=cache, digest="sha256", mode="processes", workers=2).status == "hit"
    again = prepare(over(source, tmp_path), Settings(cache_root=str(cache), digest="sha256"))
    assert (again.index.kind, again.index.hashed) == ("sha256", 0)


def test_beside_local_files_all_are_sha256(source: str, class_folders: Path, tmp_path: Path) -> None:
    roots = {"photos": source, "here": class_folders}
    sources = [{"name": name, "type": "image_folder", "path": str(root)} for name, root in roots.items()]
    recipe = write_recipe(source, tmp_path, input={"sources": sources})
    index = prepare(recipe, Settings(cache_root=str(tmp_path / "cache"))).index
    assert (index.kind, index.repeats.records) == ("sha256", 72)


def test_an_object_that_changes_is_noticed(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, path = locations.read, next(e.path for e in locations.walk(source))
    monkeypatch.setattr(locations, "read", lambda location: read(location) + b"!" if location.endswith(path) else read(location))
    # S3's first object is read to see what ETags are. It differs now, so all are hashed; on GCS the worker notices.
    if source.startswith("s3"):
        with pytest.raises(DataError) as caught:
            prepare(over(source, tmp_path), Settings(cache_root=str(tmp_path / "cache")))
        assert caught.value.code == "changed-during-run"
    else:
        with pytest.raises(DataError) as caught:
            rb.run(over(source, tmp_path), cache_root=tmp_path / "cache")
        assert caught.value.code == "changed-during-run"


def test_objects_uploaded_in_parts_have_no_md5(source: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if source.startswith("gs"):
        pytest.skip("on GCS it is composed objects, which the emulator gives an MD5")
    import fsspec

    fs = fsspec.filesystem("s3", use_listings_cache=False)
    target = source.removeprefix("s3://") + "/circle/parts.png"
    data = locations.read(locations.join(source, next(e.path for e in locations.walk(source))))
    with fs.open(target, "wb", block_size=5 << 20) as file:
        file.write(data + b"\0" * (11 << 20))
    listed = next(child for child in locations.list_children(f"{source}/circle") if child.name == "parts.png")
    assert listed.checksum is None and "-" in listed.version
    index = prepare(over(source, tmp_path), Settings(cache_root=str(tmp_path / "cache"))).index
    assert (index.kind, index.hashed, len(index.entries)) == ("sha256", 37, 37)
    assert prepare(over(source, tmp_path), Settings(cache_root=str(tmp_path / "cache"))).index.hashed == 0


def test_a_bucket_that_is_not_there(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare(over(f"{bucket}-never/in", tmp_path), Settings(cache_root=str(tmp_path / "cache")))
    assert caught.value.code == "source-path"
