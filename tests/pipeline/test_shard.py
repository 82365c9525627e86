"""The shard file: bytes counted and hashed as written, full disks in words, nothing left behind."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from refinery_beam.errors import StoreError
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.splits.refs import make_refs
from refinery_beam.record.shard import HashingFile, shard_name, write_shard
from refinery_beam.record.worker import Worker
from support.recipes import SMALL, write_recipe

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: uint8, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{}}}}
Splits: {{ratios: {{train: 1.0}}}}
Transformations: [{{name: resize, op: resize, params: {{size: 8, method: nearest}}, splits: [train]}}]
"""


@pytest.fixture
def made(class_folders: Path, tmp_path: Path) -> tuple[Worker, list[Any], Path]:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=class_folders))
    return make(recipe, tmp_path)


def make(recipe: Path, tmp_path: Path) -> tuple[Worker, list[Any], Path]:
    prepared = prepare(recipe, Settings(cache_root=str(tmp_path / "cache")))
    refs, _ = make_refs(prepared.index, prepared.plan, prepared.plugin)
    (tmp_path / "scratch").mkdir()
    return Worker(prepared.plan), [r._replace(split="train") for r in refs], tmp_path


def write(made: tuple[Worker, list[Any], Path], refs: list[Any]) -> Any:
    worker, _, folder = made
    return write_shard(worker, refs, {}, split="train", shard=0, shards=1, folder=str(folder / "dataset"), scratch=str(folder / "scratch"))


def test_the_row_is_true(made: tuple[Worker, list[Any], Path]) -> None:
    shard = write(made, made[1])
    (path,) = (made[2] / "dataset" / "train").iterdir()
    data = path.read_bytes()
    assert (shard.row.bytes, shard.row.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert shard.row.file == f"dataset/train/{path.name}" == f"dataset/train/{shard_name(0, 1, shard.row.sha256)}"
    assert shard.row.labels == '{"circle":12,"square":12,"triangle":12}'
    assert list((made[2] / "scratch").iterdir()) == []


def test_order_of_arrival_does_not_matter(made: tuple[Worker, list[Any], Path]) -> None:
    assert write(made, made[1]).row == write(made, list(reversed(made[1]))).row


@pytest.mark.parametrize(
    ("output", "codecs", "rows"),
    [
        ({"compression": "lz4", "row_group_bytes": 4096}, {"LZ4"}, 6),
        ({"compression": "none"}, {"UNCOMPRESSED"}, 36),
        ({"encoding": "png"}, {"LZ4", "ZSTD"}, 36),
    ],
)
def test_codecs_and_row_groups_are_those_of_the_plan(
    class_folders: Path, tmp_path: Path, output: dict[str, Any], codecs: set[str], rows: int
) -> None:
    size = "{name: size, op: image_size_stats, inputs: [image], output_field: size, splits: [train]}"
    recipe = write_recipe(
        class_folders,
        tmp_path,
        base=SMALL,
        output=output,
        splits={"ratios": {"train": 1.0}},
        transformations=["{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train]}"],
        featurizations=[size],
        fields={"size": {"dtype": "int64", "shape": [3]}},
    )
    made = make(recipe, tmp_path)
    row = write(made, made[1]).row
    file = pq.ParquetFile(tmp_path / row.file)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [rows] * (36 // rows)
    group = file.metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert set(found.values()) == codecs
    assert {codec for path, codec in found.items() if path.startswith("image")} == {min(codecs)}
    assert "size.list.element" in found


def test_a_full_disk_is_said_and_leaves_nothing(made: tuple[Worker, list[Any], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: HashingFile, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(HashingFile, "write", full)
    with pytest.raises(StoreError) as caught:
        write(made, made[1])
    assert (caught.value.code, caught.value.exit_code) == ("no-space", 3)
    assert list((made[2] / "scratch").iterdir()) == []
    assert list((made[2] / "dataset" / "train").iterdir()) == []
