import json
import os
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.cache import Staging, compute_files, find, instance_dir, lookup, lookup_at, promote, verify
from refinery_beam.cache import promote as promote_function
from refinery_beam.errors import EngineError, StoreError
from support import handmade

KEY = handmade.KEY


def tree(location: str) -> dict[str, bytes]:
    return {str(p.relative_to(location)): p.read_bytes() for p in sorted(Path(location).rglob("*")) if p.is_file()}


@pytest.mark.parametrize("durable", [True, False])
def test_built_then_hit(tmp_path: Path, durable: bool) -> None:
    with Staging.open(str(tmp_path), KEY) as staging:
        status, manifest = promote(staging, handmade.fill(staging), durable=durable, recheck=True)
        assert status == "built"
    before = tree(manifest.location)
    with Staging.open(str(tmp_path), KEY) as staging:
        assert promote(staging, handmade.fill(staging)) == ("hit", manifest)
    assert tree(manifest.location) == before
    assert verify(manifest.location, deep=True).ok


def test_equal_builds_give_equal_bytes(tmp_path: Path) -> None:
    assert tree(handmade.build(str(tmp_path / "a")).location) == tree(handmade.build(str(tmp_path / "b")).location)


def test_the_manifest_is_canonical_and_complete(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    text = Path(manifest.location, "manifest.json").read_text()
    assert text == json.dumps(manifest.raw, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert (manifest.recipe_hash, manifest.input_hash, manifest.seed) == (KEY.recipe_hash, KEY.input_hash, KEY.seed)
    assert str(tmp_path) not in text


@pytest.mark.parametrize("where", ["dataset/train", "report", "."])
def test_what_nobody_reported_stops_it(tmp_path: Path, where: str) -> None:
    with Staging.open(str(tmp_path), KEY) as staging:
        body = handmade.fill(staging)
        Path(staging.instance, where, "stray").write_text("x")
        with pytest.raises(EngineError, match="stray was written but never reported") as caught:
            promote(staging, body)
        assert (caught.value.code, caught.value.exit_code) == ("incomplete-output", 4)
    assert find(str(tmp_path), KEY) == (None, None)


def test_missing_short_and_changed_files_stop_it(tmp_path: Path) -> None:
    for change, words in (
        (lambda p: p.unlink(), "was reported but never written"),
        (lambda p: p.write_bytes(p.read_bytes() + b"x"), "were reported"),
        (lambda p: p.write_bytes(b"\0" + p.read_bytes()[1:]), "does not hold the bytes"),
    ):
        with Staging.open(str(tmp_path), KEY) as staging:
            body = handmade.fill(staging)
            change(Path(staging.instance, body["files"][0]["path"]))  # type: ignore[no-untyped-call]
            with pytest.raises(EngineError, match=words):
                promote(staging, body)
        assert find(str(tmp_path), KEY) == (None, None)


def test_large_files_are_hashed_again_only_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys.modules["refinery_beam.cache.promote"], "SMALL_BYTES", 0)
    with Staging.open(str(tmp_path), KEY) as staging:
        body = handmade.fill(staging)
        path = Path(staging.instance, body["files"][0]["path"])
        path.write_bytes(b"\0" + path.read_bytes()[1:])
        with pytest.raises(EngineError, match="does not hold the bytes"):
            promote(staging, body, recheck=True)
        assert promote(staging, body)[0] == "built"
    assert [f.code for f in verify(instance_dir(str(tmp_path), KEY)).findings] == ["wrong-digest"]


@pytest.mark.parametrize(
    "change",
    [{"recipe_hash": "0" * 64}, {"seed": 1}, {"files_digest": "0" * 64}, {"logical_digest": "0" * 64}, {"counts": {"train": 14, "val": 4}},
     {"contract": 2}, {"splits": ["train"]}],
)  # fmt: skip
def test_a_manifest_that_disagrees_stops_it(tmp_path: Path, change: dict[str, Any]) -> None:
    with Staging.open(str(tmp_path), KEY) as staging:
        with pytest.raises(EngineError) as caught:
            promote(staging, handmade.fill(staging) | change)
        assert caught.value.code == "manifest-inconsistent"


def test_links_are_refused(tmp_path: Path) -> None:
    with Staging.open(str(tmp_path), KEY) as staging:
        body = handmade.fill(staging)
        Path(staging.instance, "report", "link").symlink_to("/etc/passwd")
        with pytest.raises(StoreError) as caught:
            promote(staging, body)
        assert caught.value.code == "odd-file"


def test_other_rows_under_one_key_are_an_error(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    before = tree(manifest.location)
    with Staging.open(str(tmp_path), KEY) as staging:
        body = handmade.fill(staging, tweak="other")
        with pytest.raises(EngineError) as caught:
            promote(staging, body)
    assert (caught.value.code, caught.value.exit_code) == ("nondeterminism", 4)
    mine = next(f["path"] for f in body["files"] if f.get("split") == "train" and f["shard"] == 0)
    assert mine in caught.value.message
    assert manifest.shards("train")[0].path in caught.value.message
    assert "other rows" in caught.value.message
    assert tree(manifest.location) == before


def test_other_bytes_of_the_same_rows_are_an_error_too(tmp_path: Path) -> None:
    handmade.build(str(tmp_path))
    with Staging.open(str(tmp_path), KEY) as staging:
        body = handmade.fill(staging)
        entry = next(f for f in body["files"] if "split" in f)
        old = Path(staging.instance, entry["path"])
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(old), old.with_name("other.parquet"), compression="zstd")
        old.unlink()
        new = compute_files(staging.instance, shards=[f for f in body["files"] if "split" in f and f is not entry])
        written = next(f for f in new if f["path"].endswith("other.parquet"))
        written.update({k: entry[k] for k in ("split", "shard", "shards", "records", "rows_digest")})
        with pytest.raises(EngineError, match="the same rows in other bytes"):
            promote(staging, body | {"files": new})


def test_another_report_is_named(tmp_path: Path) -> None:
    handmade.build(str(tmp_path))
    with Staging.open(str(tmp_path), KEY) as staging:
        body = handmade.fill(staging)
        Path(staging.instance, "report", "report.md").write_text("# Other\n")
        body["files"] = compute_files(staging.instance, shards=[f for f in body["files"] if "split" in f])
        with pytest.raises(EngineError, match=r"report/report\.md has other bytes"):
            promote(staging, body)


@pytest.mark.parametrize("kind", ["no manifest", "bad manifest", "missing shard", "a file", "empty"])
def test_a_damaged_instance_is_replaced_and_never_trusted(tmp_path: Path, kind: str) -> None:
    manifest = handmade.build(str(tmp_path))
    good = tree(manifest.location)
    location = Path(manifest.location)
    if kind == "no manifest":
        (location / "manifest.json").unlink()
    elif kind == "bad manifest":
        (location / "manifest.json").write_text("{")
    elif kind == "missing shard":
        (location / manifest.shards("val")[0].path).unlink()
    else:
        os.rename(location, tmp_path / "elsewhere")
        location.mkdir() if kind == "empty" else location.write_text("in the way")
    assert lookup(str(tmp_path), KEY) is None
    with Staging.open(str(tmp_path), KEY) as staging:
        assert promote(staging, handmade.fill(staging))[0] == "built"
    assert tree(manifest.location) == good
    # What was broken is out of sight, and gone with the next run.
    trash = tmp_path / "staging" / "trash"
    assert len(os.listdir(trash)) == (0 if kind == "empty" else 1)
    with Staging.open(str(tmp_path), KEY):
        assert os.listdir(trash) == []


def test_a_valid_instance_that_came_between_is_never_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two healers: the faster one has promoted between our look and our lock."""
    import sys

    module = sys.modules["refinery_beam.cache.promote"]
    location = Path(handmade.build(str(tmp_path)).location)
    (location / "manifest.json").write_text("{")
    taken = module.take  # type: ignore[attr-defined]

    def slow_lock(path: str, **options: Any) -> Any:
        monkeypatch.setattr(module, "take", taken)
        with Staging.open(str(tmp_path), KEY) as faster:
            assert promote_function(faster, handmade.fill(faster))[0] == "built"
        return taken(path, **options)

    monkeypatch.setattr(module, "take", slow_lock)
    with Staging.open(str(tmp_path), KEY) as staging:
        assert promote(staging, handmade.fill(staging))[0] == "hit"
    assert lookup_at(str(location)).manifest is not None


def test_success_is_what_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    def vanish(name: str) -> None:
        if name == "published":
            os.rename(instance_dir(str(tmp_path), KEY), tmp_path / "gone")

    monkeypatch.setattr(sys.modules["refinery_beam.cache.promote"], "_step", vanish)
    with Staging.open(str(tmp_path), KEY) as staging:
        with pytest.raises(StoreError) as caught:
            promote(staging, handmade.fill(staging))
        assert caught.value.code == "promotion-lost"
