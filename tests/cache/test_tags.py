"""Tags, notes of use and the list of instances."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refinery_beam import locations
from refinery_beam.cache.instances import key_name_of, keys_like, list_instances, location_of
from refinery_beam.cache.tags import TagState, check_tag_name, is_tag_name, read_tag, read_tags, write_tag
from refinery_beam.cache.used import forget_used, last_used, note_used
from refinery_beam.errors import RefineryError, StoreError, UsageError
from support.handmade import KEY, build


def test_a_tag_is_a_row_of_files(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert read_tag(root, "a") == TagState()
    write_tag(root, "a", "one", after=TagState())
    write_tag(root, "b", "one", after=TagState())
    write_tag(root, "a", "two", after=read_tag(root, "a"))
    assert (read_tag(root, "a"), read_tags(root)) == (TagState(2, "two"), {"a": "two", "b": "one"})
    write_tag(root, "b", None, after=read_tag(root, "b"))
    assert (read_tag(root, "b"), read_tags(root)) == (TagState(2, None), {"a": "two"})
    write_tag(root, "b", "three", after=read_tag(root, "b"))
    assert read_tags(root) == {"a": "two", "b": "three"}
    assert sorted(os.listdir(tmp_path / "tags" / "a")) == ["00000001.json", "00000002.json"]


def test_of_two_who_move_a_tag_one_is_first(tmp_path: Path) -> None:
    root = str(tmp_path)
    write_tag(root, "a", "k0", after=TagState())
    before = read_tag(root, "a")
    barrier, won, lost = threading.Barrier(8), [], []

    def move(n: int) -> None:
        barrier.wait()
        try:
            write_tag(root, "a", f"k{n}", after=before)
            won.append(n)
        except StoreError as error:
            lost.append(error.code)

    threads = [threading.Thread(target=move, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), lost) == (1, ["tag-moved"] * 7)
    assert read_tag(root, "a") == TagState(2, f"k{won[0]}")


def test_a_broken_tag_is_named(tmp_path: Path) -> None:
    write_tag(str(tmp_path), "a", "one", after=TagState())
    (tmp_path / "tags" / "a" / "00000002.json").write_text("{")
    (tmp_path / "tags" / "a" / "notes.txt").write_text("{")
    with pytest.raises(StoreError) as caught:
        read_tags(str(tmp_path))
    assert caught.value.code == "tag-damaged" and caught.value.at.endswith("a/00000002.json")


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".x", "-x", "a b", "a\n", "x.yaml", "x" * 81, "tag:", "ä"])
def test_names_that_are_none(name: str) -> None:
    assert not is_tag_name(name)
    with pytest.raises(UsageError) as caught:
        check_tag_name(name)
    assert caught.value.code == "tag-name" and caught.value.remedy


def test_use_is_noted_beside_instances(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert last_used(root) == {}
    before = datetime.now(UTC) - timedelta(seconds=2)
    note_used(root, "x")
    os.utime(tmp_path / "used" / "x", (1000, 1000))
    assert last_used(root) == {"x": datetime.fromtimestamp(1000, UTC)}
    note_used(root, "x")
    assert last_used(root)["x"] >= before
    forget_used(root, "x")
    forget_used(root, "x")
    assert last_used(root) == {}


def test_use_that_cannot_be_noted_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "used").write_text("in the way")
    note_used(str(tmp_path), "x")
    note_used(str(tmp_path / "used" / "below"), "x")
    assert last_used(str(tmp_path)) == {}


def test_use_on_a_store_is_an_object_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    root = "memory://used-notes"
    note_used(root, "x")
    note_used(root, "x")
    (hour,) = locations.names(f"{root}/used/x")
    assert last_used(root) == {"x": datetime.strptime(f"{hour}+0000", "%Y%m%dT%H%z")}
    locations.write(f"{root}/used/x/19990101T05", b"")
    locations.write(f"{root}/used/x/odd", b"")
    assert last_used(root) == {"x": datetime.strptime(f"{hour}+0000", "%Y%m%dT%H%z")}
    forget_used(root, "x")
    assert last_used(root) == {}


def test_tags_on_a_store() -> None:
    root = "memory://tags-of-a-test"
    write_tag(root, "a", "one", after=TagState())
    assert read_tags(root) == {"a": "one"}
    with pytest.raises(StoreError) as caught:
        write_tag(root, "a", "two", after=TagState())
    assert caught.value.code == "tag-moved" and read_tags(root) == {"a": "one"}
    write_tag(root, "a", "two", after=read_tag(root, "a"))
    assert read_tags(root) == {"a": "two"}


def test_the_list_of_instances(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert list_instances(root) == []
    manifest = build(root)
    write_tag(root, "best", KEY.name, after=TagState())
    (tmp_path / "instances" / "notes").mkdir()
    (tmp_path / "instances" / ("0" * 16) / ("1" * 16) / "7").mkdir(parents=True)
    broken = tmp_path / "instances" / ("0" * 16) / ("1" * 16) / "8"
    broken.mkdir()
    (broken / "manifest.json").write_text("{}")
    damaged, whole = list_instances(root)
    assert (damaged.manifest, damaged.bytes, damaged.tags) == (None, 2, ()) and damaged.damage
    assert (whole.key_name, whole.location, whole.manifest, whole.tags) == (KEY.name, manifest.location, manifest, ("best",))
    on_disk = sum(p.stat().st_size for p in Path(manifest.location).rglob("*") if p.is_file())
    assert whole.bytes == on_disk
    assert whole.built == whole.used
    note_used(root, KEY.name)
    assert list_instances(root)[1].used == last_used(root)[KEY.name]


def test_names_of_keys(tmp_path: Path) -> None:
    manifest = build(str(tmp_path))
    assert key_name_of(manifest.location) == (str(tmp_path), KEY.name)
    assert location_of(str(tmp_path), KEY.name) == manifest.location
    for text, found in (("ababab", 1), ("abababab-cdcdcdcd-42", 1), ("abababab-cdcdcdcd-4", 0), ("ab", 0), ("cdcdcd", 0), ("x", 0)):
        assert len(keys_like(str(tmp_path), text)) == found, text


def test_a_root_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "instances").mkdir(mode=0)
    with pytest.raises(RefineryError):
        list_instances(str(tmp_path))
