import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refinery_beam.cache import Manifest, compute_files, verify
from refinery_beam.cache.manifest import manifest_bytes, sealed
from refinery_beam.errors import StoreError
from refinery_beam.rows import files_digest, logical_digest
from support import handmade


def codes(manifest: Manifest, **options: Any) -> list[tuple[str, str]]:
    report = verify(manifest.location, **options)
    assert report.ok == (not report.findings)
    return [(f.code, f.path) for f in report.findings]


def reseal(manifest: Manifest, path: str, table: pa.Table, **facts: Any) -> None:
    """Put another table under a listed path and make the manifest agree with its bytes: a wrong writer, not a wrong disk."""
    location = Path(manifest.location)
    pq.write_table(table, location / path, row_group_size=3)
    raw = json.loads((location / "manifest.json").read_bytes())
    (location / "manifest.json").unlink()
    for entry in raw["files"]:
        if entry["path"] == path:
            entry.update(facts)
    known = {f["path"]: f for f in raw["files"]}
    raw["files"] = [{**known[f["path"]], **f} for f in compute_files(str(location))]
    raw["counts"] = {s: sum(f["records"] for f in raw["files"] if f.get("split") == s) for s in raw["splits"]}
    raw |= {"files_digest": files_digest(raw["files"]), "logical_digest": logical_digest(raw["files"], raw["splits"])}
    (location / "manifest.json").write_bytes(manifest_bytes(sealed(raw)))


@pytest.mark.parametrize("encoding", ["tensor", "png", "source", "jpeg", "webp", None])
@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5, 1)])
def test_a_sound_instance(tmp_path: Path, encoding: str | None, shape: tuple[int, ...]) -> None:
    manifest = handmade.build(str(tmp_path), encoding=encoding, shape=shape)
    for deep in (False, True):
        report = verify(manifest.location, deep=deep)
        if not (encoding == "webp" and shape[2] == 1 and deep):  # WebP has no grey: it comes back as RGB and is named.
            assert report.findings == ()
        files = (*manifest.files, *manifest.annexes)
        assert report.files_checked == len(files)
        assert report.bytes_checked == sum(f.bytes for f in files)
        assert report.records_checked == 17
        lossy = deep and encoding in ("jpeg", "webp")
        assert [("jpeg" in n or "webp" in n) for n in report.notes] == ([True] if lossy else [])
    assert json.loads(json.dumps(report.to_dict()))["records_checked"] == 17


def test_a_flipped_byte_anywhere_is_found(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    for entry in manifest.files:
        path = Path(manifest.location, entry.path)
        good = path.read_bytes()
        spot = len(good) // 2
        path.write_bytes(good[:spot] + bytes([good[spot] ^ 1]) + good[spot + 1 :])
        assert codes(manifest) == [("wrong-digest", entry.path)]
        path.write_bytes(good)
    assert codes(manifest) == []


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    location = Path(manifest.location)
    train, val = manifest.shards("train"), manifest.shards("val")
    (location / train[0].path).unlink()
    (location / train[1].path).write_bytes(b"short")
    (location / val[0].path).write_bytes(b"x" * val[0].bytes)
    (location / "report" / "stray.txt").write_text("x")
    assert set(codes(manifest)) == {
        ("missing", train[0].path),
        ("wrong-size", train[1].path),
        ("wrong-digest", val[0].path),
        ("unlisted", "report/stray.txt"),
    }


def test_manifests(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    path = Path(manifest.location, "manifest.json")
    good = path.read_bytes()
    path.write_bytes(good[:-20])
    assert codes(manifest) == [("manifest-damaged", "manifest.json")]
    path.write_bytes(manifest_bytes(sealed(manifest.raw | {"files_digest": "0", "logical_digest": "0"})))
    assert codes(manifest) == [("manifest-damaged", "manifest.json")] * 2
    path.write_bytes(manifest_bytes(sealed(manifest.raw | {"seed": 43})))
    assert codes(manifest) == [("misplaced", "manifest.json")]
    path.unlink()
    assert codes(manifest) == [("manifest-missing", "manifest.json")]
    with pytest.raises(StoreError) as caught:
        verify(str(tmp_path / "none"))
    assert caught.value.code == "instance-missing"


def test_a_copy_elsewhere_is_fine(tmp_path: Path) -> None:
    import shutil

    manifest = handmade.build(str(tmp_path))
    shutil.copytree(manifest.location, tmp_path / "copy")
    assert verify(str(tmp_path / "copy"), deep=True).ok


def test_footers_are_counted(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    path = manifest.shards("train")[0].path
    table = pq.read_table(Path(manifest.location, path))
    reseal(manifest, path, table.slice(0, 5))
    assert codes(manifest) == [("counts", path)]


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path))
    path = manifest.shards("train")[0].path
    table = pq.read_table(Path(manifest.location, path))
    reseal(manifest, path, table)
    real = io.BytesIO(b"no parquet at all")

    def write(_: Any, where: Path, **__: Any) -> None:
        where.write_bytes(real.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq, "write_table", write)
        reseal(manifest, path, table)
    assert codes(manifest) == [("unreadable", path)]


def deep_codes(manifest: Manifest, table: pa.Table, **facts: Any) -> set[str]:
    path = manifest.shards("train")[0].path
    reseal(manifest, path, table, **facts)
    assert {c for c, _ in codes(manifest)} <= {"counts"}
    found = codes(manifest, deep=True)
    assert {p for _, p in found} <= {path}
    return {c for c, _ in found}


@pytest.fixture
def shard(tmp_path: Path) -> tuple[Manifest, pa.Table]:
    manifest = handmade.build(str(tmp_path))
    return manifest, pq.read_table(Path(manifest.location, manifest.shards("train")[0].path))


def test_the_same_rows_written_anew_are_sound(shard: tuple[Manifest, pa.Table]) -> None:
    assert deep_codes(*shard) == set()


def test_a_changed_value_is_found(shard: tuple[Manifest, pa.Table]) -> None:
    manifest, table = shard
    column = table.schema.get_field_index("label")
    labels = ["bird", *table.column("label").to_pylist()[1:]]
    assert deep_codes(manifest, table.set_column(column, "label", pa.array(labels))) == {"rows-digest"}


def test_a_changed_pixel_is_found(shard: tuple[Manifest, pa.Table]) -> None:
    manifest, table = shard
    at = table.schema.get_field_index("image")
    cells = table.column("image").to_pylist()
    cells[3] = cells[3][:-1] + bytes([cells[3][-1] ^ 1])
    field = table.schema.field("image")
    assert deep_codes(manifest, table.set_column(at, field, pa.array(cells, field.type))) == {"rows-digest"}


def test_order_and_duplicates_are_found(shard: tuple[Manifest, pa.Table]) -> None:
    manifest, table = shard
    turned = table.take(list(reversed(range(table.num_rows))))
    assert deep_codes(manifest, turned) == {"order"}
    double = table.take([0, 0, *range(2, table.num_rows)])
    assert deep_codes(manifest, double) == {"duplicate-id"}


def test_columns_and_types_are_checked(shard: tuple[Manifest, pa.Table]) -> None:
    manifest, table = shard
    assert deep_codes(manifest, table.drop_columns(["score"])) == {"schema"}
    assert deep_codes(manifest, table.append_column("more", table.column("label"))) == {"schema"}
    at = table.schema.get_field_index("score")
    assert deep_codes(manifest, table.set_column(at, "score", table.column("score").cast(pa.float64()))) == {"schema"}
    at = table.schema.get_field_index("tags")
    assert deep_codes(manifest, table.set_column(at, "tags", pa.array([1] * table.num_rows))) == {"schema"}
    at = table.schema.get_field_index("image")
    assert deep_codes(manifest, table.set_column(at, pa.field("image", pa.binary(60)), table.column("image"))) == {"schema"}


def test_a_png_that_does_not_decode_is_found(tmp_path: Path) -> None:
    manifest = handmade.build(str(tmp_path), encoding="png")
    table = pq.read_table(Path(manifest.location, manifest.shards("train")[0].path))
    cells = table.column("image").to_pylist()
    cells[1]["bytes"] = cells[1]["bytes"][:40]
    field = table.schema.field("image")
    at = table.schema.get_field_index("image")
    assert deep_codes(manifest, table.set_column(at, field, pa.array(cells, field.type))) == {"value"}
