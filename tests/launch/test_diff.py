"""`diff` names exactly what was changed, in every form it has."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import refinery_beam as rb
from refinery_beam import sorting
from refinery_beam.cli.app import call
from refinery_beam.inspection import columns, compare, scan
from refinery_beam.inspection.compare import KINDS, Changes, RecordChanges
from refinery_beam.inspection.scan import InputFact, RowFact
from refinery_beam.testing import images

RECIPE = """\
schema_version: 3
plugin: image_classification
seed: 0
Input:
  sources:
    - name: photos
      type: image_flat
      path: PATH
      label_from: {path: PATH/labels.csv, join: by_id, id_field: file, label_field: label}
Labels: {field: label, source: {kind: direct}}
Output: {record_schema: {image: {dtype: uint8, shape: [12, 12, 3]}, label: {dtype: str}}}
Splits: {ratios: {train: 0.5, test: 0.5}, method: hash, keep_duplicates_together: false}
Transformations:
  - {name: resize, op: resize, params: {size: 12, method: bilinear}, splits: [train, test]}
  - {name: normalize, op: normalize, fit_source: train, splits: [train, test]}
"""
HOSTILE = "<script>alert(1)\x1b[31m"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, and another made of it: ten images changed, one relabelled, three added; and the recipe with another way to resize."""
    root = tmp_path_factory.mktemp("diff")
    (root / "old").mkdir()
    labels = {}
    for k in range(40):
        name = f"p{k:02}.png"
        images.draw("circle", k, size=(20, 20)).save(root / "old" / name)
        labels[name] = "cat" if k % 2 else "dog"
    write_labels(root / "old", labels)
    shutil.copytree(root / "old", root / "new")
    for k in range(10):
        path = root / "new" / f"p{k:02}.png"
        ImageOps.invert(Image.open(path).convert("RGB")).save(path)
    labels["p20.png"] = HOSTILE
    for k in range(3):
        images.draw("square", 100 + k, size=(20, 20)).save(root / "new" / f"added{k}.png")
        labels[f"added{k}.png"] = "cat"
    write_labels(root / "new", labels)
    recipe = RECIPE.replace("PATH", str(root / "old"))
    (root / "old.yaml").write_text(recipe)
    (root / "content.yaml").write_text(RECIPE.replace("PATH", str(root / "new")))
    (root / "new.yaml").write_text(RECIPE.replace("PATH", str(root / "new")).replace("bilinear", "bicubic"))
    (root / "small.yaml").write_text(recipe.replace("12, 12", "8, 8").replace("size: 12", "size: 8"))
    for name in ("old", "new", "content", "small"):
        rb.run(root / f"{name}.yaml", cache_root=root / "cache", workers=1)
    return root


def write_labels(folder: Path, labels: dict[str, str]) -> None:
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{file},{label}\n" for file, label in sorted(labels.items())))


@pytest.fixture(autouse=True)
def _there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


CHANGED = [f"photos/p{k:02}.png" for k in range(10)]
ADDED = [f"photos/added{k}.png" for k in range(3)]


def named(result: rb.DiffResult) -> dict[str, list[str]]:
    return {kind: [change.b or change.a for change in found.first] for kind, found in result.records.items() if found.total}


def test_it_names_exactly_what_was_changed() -> None:
    result = rb.diff("old.yaml", "new.yaml")
    assert named(result) == {"added": ADDED, "changed": CHANGED, "relabelled": ["photos/p20.png"]}
    assert [tuple(change) for change in result.recipe] == [("Transformations.resize.params.method", "bilinear", "bicubic")]
    (relabelled,) = result.records["relabelled"].first
    assert (relabelled.label_a, relabelled.label_b, relabelled.split_a) == ("dog", HOSTILE, relabelled.split_b)
    assert result.through_steps == 30 and result.content_compared, "equal files have other pixels, for the steps are others"
    assert not result and not result.identity
    moved = {m.what: m for m in result.moved}
    assert {"labels", "channel red", "mean"} <= set(moved) and moved["labels"].by.startswith("shares differ by at most 0.0")
    assert moved["mean"].a != moved["mean"].b and result.drift == rb.drift("old.yaml", "new.yaml").drift
    assert any(change.at.startswith("normalize.mean") for change in result.statistics)
    counts = {(c.split, c.label): (c.a, c.b) for c in result.counts}
    assert sum(a or 0 for (_, label), (a, _) in counts.items() if label is None) == 40
    assert sum(b or 0 for (_, label), (_, b) in counts.items() if label is None) == 43


def test_the_other_way_round() -> None:
    result = rb.diff("new.yaml", "old.yaml")
    assert named(result) == {"removed": ADDED, "changed": CHANGED, "relabelled": ["photos/p20.png"]}


def test_steps_that_are_the_same_change_no_pixel_of_equal_files() -> None:
    result = rb.diff("old.yaml", "content.yaml")
    assert named(result) == {"added": ADDED, "changed": CHANGED, "relabelled": ["photos/p20.png"]}
    assert result.recipe == () and result.through_steps == 0


def test_an_instance_and_itself(root: Path) -> None:
    path = rb.open_instance("old.yaml", cache_root=root / "cache").path
    opened = rb.open_instance(path)
    for a, b in (("old.yaml", "old.yaml"), (path, "old.yaml"), (path, f"{path}/recipe.yaml"), (opened, "old.yaml"), (opened, opened)):
        result = rb.diff(a, b)
        assert result.same and result and result.moved == () and str(result) == "nothing differs", result


def test_content_of_another_type_is_not_compared() -> None:
    result = rb.diff("old.yaml", "small.yaml")
    assert {change.at for change in result.recipe} >= {"Output.record_schema.image.shape", "Transformations.resize.params.size"}
    assert not result.content_compared and named(result) == {}
    assert any("content is stored as uint8[12, 12, 3] tensor and as uint8[8, 8, 3] tensor" in note for note in result.notes)


def test_a_recipe_that_was_not_run_is_compared_as_a_recipe(tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text((root / "old.yaml").read_text().replace("seed: 0", "seed: 1"))
    result = rb.diff("old.yaml", other)
    assert [tuple(change) for change in result.recipe] == [("seed", 0, 1)] and result.records == {}
    assert "has no instance" in result.notes[0]
    other.write_text((root / "old.yaml").read_text().replace(str(root / "old"), str(tmp_path / "gone")))
    result = rb.diff("old.yaml", other)
    assert result.recipe == () and "the raw data of" in result.notes[0]


def test_renamed_files_keep_their_records(tmp_path: Path, root: Path) -> None:
    shutil.copytree(root / "old", tmp_path / "moved")
    (tmp_path / "moved/p03.png").rename(tmp_path / "moved/q.png")
    labels = (tmp_path / "moved/labels.csv").read_text().replace("p03.png,cat", "q.png,dog")
    (tmp_path / "moved/labels.csv").write_text(labels)
    recipe = tmp_path / "moved.yaml"
    recipe.write_text(RECIPE.replace("PATH", str(tmp_path / "moved")))
    rb.run(recipe, cache_root=tmp_path / "cache", workers=1)
    a = rb.open_instance("old.yaml", cache_root=root / "cache").path
    result = rb.diff(a, recipe, cache_root=tmp_path / "cache")
    kinds = {kind: found.total for kind, found in result.records.items() if found.total}
    kinds.pop("moved", None)  # the hash of another name may be in another split
    assert kinds == {"renamed": 1, "relabelled": 1}
    (renamed,) = result.records["renamed"].first
    assert (renamed.a, renamed.b, renamed.label_a, renamed.label_b) == ("photos/p03.png", "photos/q.png", "cat", "dog")


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["diff", "old.yaml", "new.yaml", "--limit", "4"]) == 0
    out, err = capsys.readouterr()
    first = out.splitlines()[0]
    assert first.startswith("different: 1 field of the recipe, 3 files added, 10 files changed, 1 record relabelled, ")
    assert re.search(r"^Transformations\.resize\.params\.method +bilinear +bicubic$", out, re.M)
    assert re.search(r"^mean +[\d.]+ +[\d.]+ +[\d.]+$", out, re.M), "drift"
    assert "6 more: --limit 0 names all" in out and all(name in out for name in (*CHANGED[:4], *ADDED)) and CHANGED[4] not in out
    assert "\x1b" not in out and "<script>alert(1)\\x1b[31m" in out
    assert err.endswith("next: refinery-beam diff old.yaml new.yaml --html diff.html\n")
    assert call(["diff", "old.yaml", "old.yaml"]) == 0 and capsys.readouterr().out == "nothing differs\n"
    assert call(["diff", "old.yaml", "new.yaml", "--limit", "-1"]) == 2


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["diff", "old.yaml", "new.yaml", "--json", "--limit", "0"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["contract"], body["status"], body["through_steps"]) == (1, "different", 30)
    assert [record["b"] for record in body["records"]["changed"]["first"]] == CHANGED
    assert body["drift"]["splits"]["all"]["records"] == [40, 43]
    assert body["records"]["relabelled"]["first"][0]["label_b"] == HOSTILE
    assert body["recipe"] == [{"at": "Transformations.resize.params.method", "a": "bilinear", "b": "bicubic"}]


def test_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "diff.html"
    assert call(["diff", "old.yaml", "new.yaml", "--html", str(page), "--limit", "0"]) == 0
    text = page.read_text()
    assert f"wrote {page}" in capsys.readouterr().out
    assert all(name in text for name in (*CHANGED, *ADDED))
    assert "<script" not in text and "&lt;script&gt;alert(1)\\x1b[31m" in text and "\x1b" not in text
    assert "<h2>drift</h2>" in text and "<td>channel red</td>" in text
    assert text.count('src="data:image/png;base64,') == 2 * 11 + 3, "pictures of what changed side by side, and of what was added"
    assert not re.search(r"(src|href)=\"(?!data:)", text) and "default-src 'none'" in text


def test_a_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.launch import diff_page

    monkeypatch.setattr(diff_page, "PAIRS", 3)
    assert diff_page.diff_page(rb.diff("old.yaml", "new.yaml", limit=0)).count("data:image/png") == 6


def test_a_notebook() -> None:
    text = rb.diff("old.yaml", "new.yaml")._repr_html_()
    assert "photos/added0.png" in text and "<script" not in text


def test_the_same_beyond_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted in runs on disk, what differs is the same."""
    plain = rb.diff("old.yaml", "new.yaml").to_dict()
    monkeypatch.setattr(sorting, "IN_MEMORY", 7)
    assert rb.diff("old.yaml", "new.yaml").to_dict() == plain


NAMES = st.sampled_from([f"s/{name}" for name in "abcdef"])
SIDES = st.dictionaries(
    NAMES, st.tuples(st.sampled_from([b"1", b"2", b"3"]), st.sampled_from(["x", "y"]), st.sampled_from(["train", "test", None])), max_size=6
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIDES, SIDES)
def test_the_merge_against_sets(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Each kind of difference, computed again from dictionaries."""
    found = RecordChanges({kind: Changes(1_000) for kind in KINDS})
    merge = compare._Merge(found, content=False, same_steps=True)
    for base, sides in compare._grouped(*map(_inputs, (a, b)), *map(_rows, (a, b))):
        merge.one(base, *sides)
    merge.pair_renamed()
    both = a.keys() & b.keys()
    assert {c.a for c in found.kinds["changed"].first} == {n for n in both if a[n][0] != b[n][0]}
    assert {c.a for c in found.kinds["moved"].first if c.a == c.b} == {n for n in both if a[n][2] and b[n][2] and a[n][2] != b[n][2]}
    assert {c.a for c in found.kinds["lost"].first if c.a in both} == {n for n in both if a[n][2] and not b[n][2]}
    assert {c.a for c in found.kinds["relabelled"].first if c.a == c.b} == {n for n in both if a[n][1] != b[n][1]}
    gone, come = sorted(a.keys() - b.keys()), sorted(b.keys() - a.keys())
    for digest in (b"1", b"2", b"3"):
        left, right = (sum(side[n][0] == digest for n in names) for side, names in ((a, gone), (b, come)))
        pairs = [c for c in found.kinds["renamed"].first if a[c.a][0] == digest]
        assert len(pairs) == min(left, right) and all(b[c.b][0] == digest for c in pairs)
    assert found.kinds["renamed"].total + found.kinds["removed"].total == len(gone)
    assert found.kinds["renamed"].total + found.kinds["added"].total == len(come)


def _inputs(side: dict[str, Any]) -> list[InputFact]:
    return [InputFact(name, digest, label) for name, (digest, label, _) in sorted(side.items())]


def _rows(side: dict[str, Any]) -> list[RowFact]:
    return [RowFact(name, name, split, 0, label, b"", b"") for name, (_, label, split) in sorted(side.items()) if split]


def test_a_row_that_lost_a_cell_is_noticed(root: Path) -> None:
    manifest = rb.open_instance("old.yaml", cache_root=root / "cache").manifest
    rows = list(scan.scan_rows(manifest, content=True))
    assert len(rows) == 40 and len({row.content for row in rows}) == 40 and [row.base for row in rows] == sorted(row.base for row in rows)
    assert all(not row.content for row in scan.scan_rows(manifest, content=False))


class Synthetic:
    """As much of a manifest as a comparison reads: records of one split in Parquet files, a hundredth of them changed on one side."""

    splits, image_field, raw, logical_digest = ("train",), None, {"label_field": "label"}, ""

    def __init__(self, folder: Path, count: int, *, changed: bool) -> None:
        folder.mkdir(parents=True)
        self.location = str(folder)
        names = [f"photos/class/IMG_{k:08}.jpg" for k in range(count)]
        digests = [hashlib.sha256(f"{name}{changed and k % 100 == 0}".encode()).digest() for k, name in enumerate(names)]
        inputs = {"record_id": names, "digest": digests, "label": ["class"] * count}
        pq.write_table(pa.table(inputs), folder / "input.parquet", row_group_size=1_024)
        # Shards have rows in another order than ids.
        pq.write_table(pa.table({"record_id": sorted(names, key=hash_of), "label": inputs["label"]}), folder / "rows.parquet")
        self._shards = (SimpleNamespace(path="rows.parquet", records=count),)

    def shards(self, split: str) -> tuple[SimpleNamespace, ...]:
        return self._shards

    def file(self, path: str) -> bool:
        return path == "input.parquet"


def hash_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "IN_MEMORY", 2_000)
    monkeypatch.setattr(sorting, "_BLOCK", 4)  # a block of every run is in memory, which with runs of so few rows is no small part
    monkeypatch.setattr(columns, "BATCH_ROWS", 1_024)
    peaks = []
    for count in (10_000, 40_000):
        a, b = (Synthetic(tmp_path / f"{side}{count}", count, changed=side == "b") for side in "ab")
        tracemalloc.start()
        found = compare.compare_records(a, b, limit=20, content=False, same_steps=True)  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert {kind: changes.total for kind, changes in found.kinds.items() if changes.total} == {"changed": count // 100}
    # More sorted runs are merged, each with a block and a file's buffer. A row that is kept has several hundred bytes.
    assert (peaks[1] - peaks[0]) / 30_000 < 40, peaks
