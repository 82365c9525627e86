"""Groups and splits made while references go by, against slow and obvious ways that hold everything."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam import sorting
from refinery_beam.identity import digest, record_key
from refinery_beam.index import Entry
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.splits.refs import content_group, join_groups, make_refs
from refinery_beam.records import Ref


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


RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: uint8, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{}}}}
Splits: {{ratios: {{train: 0.5, test: 0.4}}, stratify_by: label{more}}}
Transformations: [{{name: resize, op: resize, params: {{size: 8, method: nearest}}, splits: [train, test]}}]
"""


def prepared_refs(class_folders: Path, folder: Path, more: str = "") -> tuple[list[Ref], list[Entry], str]:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=class_folders, more=more))
    prepared = prepare(recipe, Settings(cache_root=str(folder / "cache")))
    refs, _ = make_refs(prepared.index, prepared.plan, prepared.plugin)
    return list(refs), list(prepared.index.entries), prepared.index.input_hash


@pytest.mark.parametrize("more", ["", ", group_by: path", ", group_by: label, keep_duplicates_together: false", ", method: hash"])
def test_on_disk_and_in_memory_agree(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    refs, entries, input_hash = prepared_refs(class_folders, tmp_path, more)
    assert any(r.split for r in refs) == ("hash" not in more)
    monkeypatch.setattr(sorting, "IN_MEMORY", 5)
    monkeypatch.setattr("refinery_beam.index.digests.digest_files._BATCH", 3)
    assert prepared_refs(class_folders, tmp_path, more) == (refs, entries, input_hash)


def test_no_list_of_entries_is_kept(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 36 records only those live that a sorter has not written yet, and while they are gone through one a run."""
    monkeypatch.setattr(sorting, "IN_MEMORY", 5)
    monkeypatch.setattr(sorting, "_BLOCK", 1)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=class_folders, more=", group_by: label"))
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
