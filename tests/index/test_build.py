from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.errors import DataError, ErrorGroup, RecipeError
from refinery_beam.identity import digest, record_key
from refinery_beam.index import Entry, Index, Member, SourceHash, build_index, by_content, find_repeats, input_hash
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.records import LedgerRow
from support.index_parts import label_from, recipe, source

Put = Callable[..., Path]


def build(given: Any, hints: str = "") -> Index:
    return build_index(given, PLUGIN, hints_path=hints, threads=2)


def first_entry(index: Index) -> Entry:
    return next(iter(index.entries))


def by_path(index: Index) -> dict[str, Entry]:
    return {entry.path: entry for entry in index.entries}


def test_entries(tmp_path: Path, put: Put) -> None:
    put("images/cat/1.PNG", b"one")
    put("images/dog/2 3.jpg", b"two")
    put("images/dog/notes.txt")
    index = build(recipe(tmp_path, source("pets", partition="train")))
    assert by_path(index)["dog/2 3.jpg"] == Entry(
        source=0,
        path="dog/2 3.jpg",
        record_id="pets/dog/2 3.jpg",
        size=3,
        digest=hashlib.sha256(b"two").digest(),
        label="dog",
        partition="train",
        fields={},
        key=record_key("pets/dog/2 3.jpg"),
    )
    assert [e.key for e in index.entries] == sorted(record_key(i) for i in ("pets/cat/1.PNG", "pets/dog/2 3.jpg"))
    assert [dict(source.counts) for source in index.selection.sources] == [{".txt": 1}]
    assert (index.hashed, index.records_in, list(index.bad), index.warnings, index.notes) == (2, 2, [], (), ())
    assert index.facts == ((2,), 6, ("train",)) and index.repeats.records == 0
    assert index.sources[0].root == str(tmp_path / "images")


def test_input_hash_is_what_the_promise_says(tmp_path: Path, put: Put) -> None:
    put("images/b.png", b"B")
    put("images/a.png", b"A")
    table = put("labels.csv", "id,label\na,1\nb,2\n")
    index = build(recipe(tmp_path, source("s", "image_flat", label_from=label_from("labels.csv"))))
    rows = [
        b"%b\0001\0sha256\0%b" % (name, hashlib.sha256(data).hexdigest().encode()) for name, data in ((b"a.png", b"A"), (b"b.png", b"B"))
    ]
    expected = digest("input", digest("source", "s", *rows), digest("labels", "s", hashlib.sha256(table.read_bytes()).hexdigest()))
    assert index.input_hash == expected.hex()


def test_what_changes_the_input_hash(tmp_path: Path, put: Put) -> None:
    put("images/cat/1.png")
    put("images/dog/2.png")
    given = recipe(tmp_path, source())
    first = build(given).input_hash
    os.utime(tmp_path / "images/cat/1.png", (5, 5))
    put("images/cat/.DS_Store")
    put("images/cat/notes.txt")
    put("images/cat/deep/3.png")
    assert build(given).input_hash == first
    assert build(recipe(tmp_path, source("other"))).input_hash != first
    os.rename(tmp_path / "images", tmp_path / "moved")
    assert build(recipe(tmp_path, source(path="moved"))).input_hash == first
    put("moved/cat/1.png", b"images/cat/1.pnG")
    assert build(recipe(tmp_path, source(path="moved"))).input_hash != first
    put("moved/cat/1.png", b"images/cat/1.png")
    os.rename(tmp_path / "moved/cat/1.png", tmp_path / "moved/dog/1.png")
    assert build(recipe(tmp_path, source(path="moved"))).input_hash != first


def test_an_edited_label_is_another_input(tmp_path: Path, put: Put) -> None:
    put("images/a.png")
    given = recipe(tmp_path, source("s", "image_flat", label_from=label_from("labels.csv")))
    put("labels.csv", "id,label\na,cat\n")
    first = build(given)
    put("labels.csv", "id,label\na,dog\n")
    second = build(given)
    assert (first_entry(first).label, first_entry(second).label) == ("cat", "dog")
    assert first.input_hash != second.input_hash


def test_hints_make_the_second_build_read_nothing(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("images/cat/1.png")
    put("images/cat/2.png")
    now = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)
    given, hints = recipe(tmp_path, source()), str(tmp_path / "cache/hints.sqlite")
    first, second = build(given, hints), build(given, hints)
    assert (first.hashed, second.hashed) == (2, 0)
    assert (first.input_hash, list(first.entries), second.run_notes) == (second.input_hash, list(second.entries), ())


def test_table_labels_and_wanted_fields(tmp_path: Path, put: Put) -> None:
    put("images/a.png")
    put("images/b.png")
    put("labels.csv", "id,klass,patient,site,junk,path,w\na,cat,p1,x,j,q,1\nb,dog,p2,y,j,q,2\n")
    given = recipe(
        tmp_path,
        source("s", "image_flat", label_from=label_from("labels.csv", label_field="klass")),
        schema=("image", "label", "path", "site"),
        Splits=SimpleNamespace(group_by="patient", stratify_by="label", order_by="day", key_assignment=None),
        Filters=[SimpleNamespace(params={"field": "w", "keep": ["1"]})],
    )
    index = build(given)
    assert by_path(index)["a.png"].fields == {"patient": "p1", "site": "x", "w": "1"}
    assert by_path(index)["b.png"].label == "dog"
    assert index.notes == ("source 's': label ids are stems",)


def test_by_row_order_follows_relative_paths(tmp_path: Path, put: Put) -> None:
    for name in ("b/1.png", "a.png", "c.png"):
        put(f"images/{name}")
    put("labels.csv", "label\nfirst\nsecond\nthird\n")
    index = build(recipe(tmp_path, source("s", "image_flat", label_from=label_from("labels.csv", join="by_row_order"))))
    assert {e.path: e.label for e in index.entries} == {"a.png": "first", "b/1.png": "second", "c.png": "third"}


def test_derived_labels(tmp_path: Path, put: Put) -> None:
    put("images/x/cat/1.png")
    given = recipe(tmp_path, source("s", "image_flat"), derivation="parent_directory_name")
    assert first_entry(build(given)).label == "cat"
    assert first_entry(build(recipe(tmp_path, source("s", "image_flat"), derivation="stem"))).label == "1"
    op = SimpleNamespace(name="l", op="label_from_path", output_field="label", inputs=("path",), params={"source": "filename"})
    assert first_entry(build(recipe(tmp_path, source("s", "image_flat"), kind="derived", Featurizations=[op]))).label == "1.png"
    with pytest.raises(RecipeError) as caught:
        build(recipe(tmp_path, source("s", "image_flat"), derivation="stem", Featurizations=[op]))
    assert (caught.value.code, caught.value.at) == ("label-made-twice", "recipe.yaml:Featurizations.0")
    with pytest.raises(RecipeError) as caught:
        build(recipe(tmp_path, source("s", "image_flat"), kind="derived"))
    assert caught.value.code == "label-not-made"


def test_derived_label_of_a_file_at_the_root(tmp_path: Path, put: Put) -> None:
    put("images/cat/1.png")
    put("images/2.png")
    with pytest.raises(DataError) as caught:
        build(recipe(tmp_path, source("s", "image_flat"), derivation="parent_directory_name"))
    assert caught.value.code == "label-missing" and "'s/2.png'" in caught.value.message
    index = build(recipe(tmp_path, source("s", "image_flat"), derivation="parent_directory_name", on_error="quarantine"))
    assert list(index.bad) == [
        LedgerRow("s/2.png", "", "Input", "", "label_missing", "lies at the source's root, so no parent directory names it")
    ]


def test_partitions_and_unlabeled(tmp_path: Path, put: Put) -> None:
    put("images/train/cat/1.png")
    put("test/2.png")
    index = build(
        recipe(
            tmp_path,
            source("a", "image_tree", layout="{split}/{label}/{file}"),
            source("b", "image_flat", "test", partition="test", unlabeled=True),
        )
    )
    assert {(e.source, e.path, e.label, e.partition) for e in index.entries} == {
        (0, "train/cat/1.png", "cat", "train"),
        (1, "2.png", None, "test"),
    }


def test_a_source_without_labels_says_so(tmp_path: Path, put: Put) -> None:
    put("images/1.png")
    with pytest.raises(DataError) as caught:
        build(recipe(tmp_path, source("s", "image_flat")))
    assert (caught.value.code, caught.value.at) == ("no-labels", "recipe.yaml:Input.sources.0.path")


def test_missing_labels(tmp_path: Path, put: Put) -> None:
    for k in range(8):
        put(f"images/{k}.png")
    put("labels.csv", "id,label\n0,cat\n1,\n9,dog\n")
    sources = source("s", "image_flat", label_from=label_from("labels.csv"))
    with pytest.raises(DataError) as caught:
        build(recipe(tmp_path, sources))
    assert caught.value.at == "recipe.yaml:Input.sources.0.label_from.path"
    assert caught.value.message == (
        "source 's': 7 images without a label: 's/1.png', 's/2.png', 's/3.png', 's/4.png', 's/5.png' and 2 more "
        "(the first has an empty label in the label table)"
    )
    index = build(recipe(tmp_path, sources, on_error="quarantine"))
    assert [e.record_id for e in index.entries] == ["s/0.png"]
    assert {(row.record_id, row.reason, row.detail) for row in index.bad} == {
        ("s/1.png", "label_missing", "has an empty label in the label table"),
        *((f"s/{k}.png", "label_missing", "has no row in the label table") for k in range(2, 8)),
    }
    assert index.records_in == 8
    assert index.notes == ("source 's': label ids are stems", "source 's': 1 label row without a file")
    first = index.input_hash
    put("images/7.png", b"other")
    assert build(recipe(tmp_path, sources, on_error="quarantine")).input_hash != first


def test_unicode_twins(tmp_path: Path, put: Put) -> None:
    put("images/caf\u00e9/1.png")
    put("images/cafe\u0301/2.png")
    index = build(recipe(tmp_path, source()))
    assert {(e.path, e.record_id, e.label) for e in index.entries} == {
        ("caf\u00e9/1.png", "s/caf\u00e9/1.png", "caf\u00e9"),
        ("cafe\u0301/2.png", "s/caf\u00e9/2.png", "caf\u00e9"),
    }
    put("images/cafe\u0301/1.png")
    with pytest.raises(DataError) as caught:
        build(recipe(tmp_path, source()))
    assert caught.value.code == "record-id-twice"
    assert r"'caf\xe9/1.png' of source 's' and 'cafe\u0301/1.png' of source 's'" in caught.value.message


def test_sources_that_meet(tmp_path: Path, put: Put) -> None:
    put("a/b/c/1.png")
    one, two = source("x", "image_flat", "a"), source("x/b", "image_flat", "a/b")
    with pytest.raises(DataError) as met:
        build(recipe(tmp_path, one, two, derivation="stem"))
    assert met.value.code == "record-id-twice" and met.value.remedy == "rename one of the sources"


def test_names_that_are_no_text(tmp_path: Path, put: Put) -> None:
    put("images/cat/caf\udce9.png", b"x")
    put("images/cat/line\nbreak.png", b"y")
    with pytest.raises(DataError) as caught:
        build(recipe(tmp_path, source()))
    assert caught.value.message == r"source 's': 1 file name not valid UTF-8: 's/cat/caf\xe9.png'"
    index = build(recipe(tmp_path, source(), on_error="quarantine"))
    assert list(index.bad) == [LedgerRow(r"s/cat/caf\xe9.png", "", "Input", "", "bad_name", "the file name is not valid UTF-8")]
    assert [e.record_id for e in index.entries] == ["s/cat/line\nbreak.png"]


def test_files_that_vanish(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("images/cat/1.png")
    put("images/cat/2.png")
    real = os.open

    def vanishing(path: Any, *rest: Any, **more: Any) -> int:
        if str(path).endswith("2.png"):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", vanishing)
    with pytest.raises(DataError) as caught:
        build(recipe(tmp_path, source()))
    assert (caught.value.code, caught.value.at) == ("unreadable", "s/cat/2.png")
    assert caught.value.message == "1 file could not be read: 's/cat/2.png' (the first: no such file or directory)"
    index = build(recipe(tmp_path, source(), on_error="quarantine"))
    assert list(index.bad) == [LedgerRow("s/cat/2.png", "", "Input", "", "unreadable", "no such file or directory")]
    assert len(index.entries) == 1


def test_every_broken_source_is_named_at_once(tmp_path: Path, put: Put) -> None:
    put("images/cat/1.png")
    with pytest.raises(ErrorGroup) as caught:
        build(recipe(tmp_path, source("a", path="no"), source("b"), source("c", path="neither")))
    assert [e.at for e in caught.value.errors()] == ["recipe.yaml:Input.sources.0.path", "recipe.yaml:Input.sources.2.path"]


def test_duplicates(tmp_path: Path, put: Put) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/3.png"):
        put(f"images/{name}", b"same")
    put("images/dog/4.png")
    put("test/dog/5.png", b"images/dog/4.png")
    index = build(recipe(tmp_path, source("s", partition="train"), source("t", path="test", partition="test")))
    assert index.repeats.records == 5
    assert [code for code, _ in index.warnings] == ["label-conflict", "partition-leak"]
    assert index.warnings[0][1].startswith("1 group of identical files with different labels: ")
    assert "'s/dog/3.png' is 'dog'" in index.warnings[0][1]
    assert "'t/dog/5.png' in 'test'" in index.warnings[1][1]


def test_a_contradiction_is_shown_however_many_agree() -> None:
    members = by_content()
    for k in range(500):
        members.add(Member(b"same", bytes([k // 256, k % 256]), f"s/{k}", "dog" if k == 499 else "cat", "test" if k == 498 else "train"))
    (_, labels), (_, partitions) = find_repeats(members).warnings
    assert labels.endswith("labels: 's/0' is 'cat', 's/1' is 'cat', 's/2' is 'cat', 's/499' is 'dog'")
    assert partitions.endswith("partitions: 's/0' in 'train', 's/1' in 'train', 's/2' in 'train', 's/498' in 'test'")


def test_warnings_stay_short_and_come_by_record_key() -> None:
    members = by_content()
    for group in range(9):
        for member in range(50):
            key = bytes([8 - group, member])
            members.add(Member(b"%d" % group, key, f"s/{group}/{member}", str(member), ""))
    repeats = find_repeats(members)
    ((code, message),) = repeats.warnings
    assert repeats.records == 450
    assert code == "label-conflict" and message.startswith("9 groups") and message.endswith("; and 4 more") and len(message) < 600
    assert [part.split("'")[1] for part in message.split(": ")[1].split("; ")[:5]] == [f"s/{g}/0" for g in (8, 7, 6, 5, 4)]


_names = st.binary(min_size=1, max_size=6).filter(lambda b: 0 not in b)
_facts = st.tuples(st.integers(0, 9), st.just("sha256"), st.sampled_from(["00", "ff"]))
_sources = st.dictionaries(st.sampled_from(["a", "b", "a/b"]), st.dictionaries(_names, _facts, min_size=1, max_size=6), max_size=3)


def hash_of(files: dict[str, dict[bytes, Any]], tables: Any = ()) -> str:
    sources = []
    for name, rows in files.items():
        sources.append(SourceHash(name))
        for path, (size, kind, sha) in sorted(rows.items()):
            sources[-1].add(path, size, kind, sha)
    return input_hash(sources, tables)


@given(_sources, st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["00", "11"])), unique=True))
def test_the_input_hash_is_that_of_sorted_rows(files: dict[str, dict[bytes, Any]], tables: list[Any]) -> None:
    """The law as it was first written: all rows of a source, sorted."""
    parts = []
    for name, rows in sorted(files.items()):
        lines = [b"%b\0%d\0%b\0%b" % (path, size, kind.encode(), sha.encode()) for path, (size, kind, sha) in rows.items()]
        parts.append(digest("source", name, *sorted(lines)))
    parts += [digest("labels", name, sha) for name, sha in sorted(tables)]
    assert hash_of(files, tables) == digest("input", *parts).hex()
    assert hash_of(dict(reversed(files.items())), list(reversed(tables))) == hash_of(files, tables)


@given(_sources, _sources)
def test_other_files_other_hash(one: dict[str, dict[bytes, Any]], two: dict[str, dict[bytes, Any]]) -> None:
    assert (hash_of(one) == hash_of(two)) == (one == two)


def test_files_are_hashed_in_order() -> None:
    source = SourceHash("s")
    source.add(b"b", 1, "sha256", "00")
    with pytest.raises(ValueError, match="order of their paths"):
        source.add(b"a", 1, "sha256", "00")
