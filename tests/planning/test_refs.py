"""Groups and splits made while references go by, against slow and obvious ways that hold everything."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam import sorting
from refinery_beam.errors import DataError
from refinery_beam.identity import canonical_bytes, digest, record_key
from refinery_beam.index import Entry
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.splits.refs import content_group, join_groups, make_refs
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.records import Ref, read_fields
from support.plans import plan_of
from support.recipes import SMALL, write_recipe


def ref(number: int, *, value: int, content: int) -> Ref:
    record_id = f"s/{number}"
    group = digest("group-field", str(value))
    return Ref(record_id, record_key(record_id), 0, str(number), 1, b"%d" % content, None, "", group, "", "", "")


def connected(own: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The smallest key reachable from each record, by walking until nothing changes."""
    least = [min(keys) for keys in own]
    while True:
        lowest: dict[bytes, bytes] = {}
        for keys, low in zip(own, least, strict=True):
            for key in keys:
                lowest[key] = min(lowest.get(key, low), low)
        after = [min(lowest[key] for key in keys) for keys in own]
        if after == least:
            return least
        least = after


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40), st.sampled_from([1, 3, 1000]))
def test_joined_groups_are_connected_components(pairs: list[tuple[int, int]], limit: int) -> None:
    refs = [ref(k, value=value, content=content) for k, (value, content) in enumerate(pairs)]
    before, sorting.IN_MEMORY = sorting.IN_MEMORY, limit
    try:
        found = {r.record_id: r for r in join_groups(refs)}
    finally:
        sorting.IN_MEMORY = before
    want = connected([[r.group, content_group(r.digest)] for r in refs])
    assert {r.record_id: r._replace(group=group) for r, group in zip(refs, want, strict=True)} == found


SPLITS: dict[str, Any] = {"ratios": {"train": 0.5, "test": 0.4}, "stratify_by": "label"}


def prepared_refs(class_folders: Path, folder: Path, rule: dict[str, Any]) -> tuple[list[Ref], list[Entry], str]:
    recipe = write_recipe(class_folders, folder, base=SMALL, splits={**SPLITS, **rule})
    prepared = prepare(recipe, Settings(cache_root=str(folder / "cache")))
    refs, _ = make_refs(prepared.index, prepared.plan, prepared.plugin)
    return list(refs), list(prepared.index.entries), prepared.index.input_hash


@pytest.mark.parametrize("rule", [{}, {"group_by": "path"}, {"group_by": "label", "keep_duplicates_together": False}, {"method": "hash"}])
def test_on_disk_and_in_memory_agree(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any]) -> None:
    refs, entries, input_hash = prepared_refs(class_folders, tmp_path, rule)
    assert any(r.split for r in refs) == ("method" not in rule)
    monkeypatch.setattr(sorting, "IN_MEMORY", 5)
    monkeypatch.setattr("refinery_beam.index.digests.digest_files._BATCH", 3)
    assert prepared_refs(class_folders, tmp_path, rule) == (refs, entries, input_hash)


def test_no_list_of_entries_is_kept(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 36 records only those live that a sorter has not written yet, and while they are gone through one a run."""
    monkeypatch.setattr(sorting, "IN_MEMORY", 5)
    monkeypatch.setattr(sorting, "_BLOCK", 1)
    recipe = write_recipe(class_folders, tmp_path, base=SMALL, splits={**SPLITS, "group_by": "label"})
    gc.collect()
    before = alive()  # other tests may have left some
    prepared = prepare(recipe, Settings(cache_root=str(tmp_path / "cache")))
    refs, grouped = make_refs(prepared.index, prepared.plan, prepared.plugin)
    assert grouped and len(prepared.index.entries) == 36
    counts = [alive()]
    for number, _ in enumerate(refs):
        if number in (0, 17):
            counts.append(alive())
    del _
    counts.append(alive())
    counts = [count - before for count in counts]
    assert max(counts) < 20 and counts[0] < 5 and counts[-1] < 5


def alive() -> int:
    return sum(isinstance(one, Entry | Ref) for one in gc.get_objects())


def refs_of(*entries: Entry, **parts: Any) -> tuple[list[Ref], bool]:
    """The references of an index of these entries."""
    contents = [entry.digest for entry in entries]
    repeats = SimpleNamespace(records=len(contents) - len(set(contents)))
    index: Any = SimpleNamespace(entries=entries, scratch="", repeats=repeats, kind="sha256")
    refs, grouped = make_refs(index, plan_of(**{"transformations": None, **parts}), PLUGIN)
    return list(refs), grouped


def entry(path: str, *, content: bytes = b"", label: str | None = "cat", **fields: Any) -> Entry:
    record_id = f"photos/{path}"
    return Entry(0, path, record_id, 3, content or path.encode(), label, "", fields, record_key(record_id))


def test_a_reference_says_what_the_index_knows() -> None:
    (one,), grouped = refs_of(entry("cat/1.png", site=3), splits={"ratios": {"train": 1.0}})
    assert (one.record_id, one.key, one.path, one.size, one.label) == (
        "photos/cat/1.png",
        record_key("photos/cat/1.png"),
        "cat/1.png",
        3,
        "cat",
    )
    assert (one.digest, one.kind, read_fields(one), one.partition, one.lineage) == (b"cat/1.png", "sha256", {"site": 3}, "", "")
    assert (one.split, grouped) == ("train", False), "nothing stands between the index and the split"


RULES: list[tuple[dict[str, Any], list[bytes], bool]] = [
    ({}, [content_group(b"x"), content_group(b"x"), content_group(b"y")], True),
    ({"keep_duplicates_together": False}, [record_key(f"photos/{n}.png") for n in (1, 2, 3)], False),
    (
        {"group_by": "site", "keep_duplicates_together": False},
        [digest("group-field", canonical_bytes(site)) for site in ("a", "b", "b")],
        True,
    ),
]


@pytest.mark.parametrize(("rule", "groups", "shared"), RULES, ids=["one content", "each alone", "one value"])
def test_what_makes_a_group(rule: dict[str, Any], groups: list[bytes], shared: bool) -> None:
    entries = [entry("1.png", content=b"x", site="a"), entry("2.png", content=b"x", site="b"), entry("3.png", content=b"y", site="b")]
    refs, grouped = refs_of(*entries, splits={"ratios": {"train": 0.5, "test": 0.5}, "method": "hash", **rule})
    assert [ref.group for ref in refs] == groups
    assert grouped == shared


def test_values_and_contents_connect() -> None:
    """1 and 2 have one content, 2 and 3 one value: no split may part them."""
    entries = [entry("1.png", content=b"x", site="a"), entry("2.png", content=b"x", site="b"), entry("3.png", content=b"y", site="b")]
    entries.append(entry("4.png", content=b"z", site="c"))
    refs, grouped = refs_of(*entries, splits={"ratios": {"train": 0.5, "test": 0.5}, "group_by": "site"})
    by_path = {ref.path: ref for ref in refs}
    together = {by_path[f"{n}.png"].group for n in (1, 2, 3)}
    assert grouped and len(together) == 1 and by_path["4.png"].group not in together
    assert len({by_path[f"{n}.png"].split for n in (1, 2, 3)}) == 1


def test_a_record_without_the_value_has_no_group() -> None:
    with pytest.raises(DataError, match=r"photos/2\.png has no value for 'site'") as caught:
        refs_of(entry("1.png", site="a"), entry("2.png"), splits={"ratios": {"train": 1.0}, "group_by": "site"})
    assert (caught.value.code, caught.value.at) == ("group-missing", "photos/2.png")


def test_partitions_wait_for_the_engine() -> None:
    refs, grouped = refs_of(entry("1.png"), entry("2.png"), splits={}, fields={"image": None})
    assert [ref.split for ref in refs] == ["", ""] and not grouped
