"""References travel in files: what is written is read, and the job graph does not know how many there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from refinery_beam.identity import record_key
from refinery_beam.job import index_parts
from refinery_beam.job.index_parts import write_index
from refinery_beam.job.job import Job
from refinery_beam.launch.prepare import Prepared, prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.pipeline.rows.read_index import DealGroups, ReadGroups
from refinery_beam.pipeline.translate import translate
from refinery_beam.records import Ref

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: uint8, shape: [8, 8, 3]}}, label: {{dtype: str}}}}}}
Labels: {{field: label, source: {{}}}}
Splits: {{ratios: {{train: 0.5, test: 0.5}}, stratify_by: label}}
Transformations: [{{name: resize, op: resize, params: {{size: 8, method: nearest}}, splits: [train, test]}}]
"""


def refs(count: int) -> list[Ref]:
    return [
        Ref(f"s/{k}", record_key(f"s/{k}"), 0, str(k), k, b"d" * 16, None if k % 2 else "cat", "", b"g", "train", "", "", "", "md5")
        for k in range(count)
    ]


def read_back(folder: Path, count: int) -> list[list[Any]]:
    """What a pipeline reads, as JSON written by it."""
    out = folder / "out"
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = (
            pipeline
            | DealGroups(str(folder))
            | ReadGroups(str(folder))
            | beam.Map(lambda ref: json.dumps([v.hex() if isinstance(v, bytes) else v for v in ref]))
            | beam.io.WriteToText(str(out), shard_name_template="")
        )
    return sorted(json.loads(line) for line in out.read_text().splitlines())


def test_many_parts_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_parts, "GROUP_REFS", 4)
    monkeypatch.setattr(index_parts, "PART_GROUPS", 3)
    given = refs(50)
    write_index(str(tmp_path), iter(given), count=50)
    assert json.loads((tmp_path / "parts.json").read_text()) == [[f"part-{k:05d}.parquet", 3] for k in range(4)] + [
        ["part-00004.parquet", 1]
    ]
    assert read_back(tmp_path, 50) == sorted([v.hex() if isinstance(v, bytes) else v for v in ref] for ref in given)


def test_an_index_of_nothing_has_no_part(tmp_path: Path) -> None:
    write_index(str(tmp_path), [], count=0)
    assert json.loads((tmp_path / "parts.json").read_text()) == []


def graph(prepared: Prepared, records: int) -> Any:
    job = Job(plan=prepared.plan, instance="/i", work="/w", threads=1, records=records, shard_records=1000, grouped=True)
    pipeline = beam.Pipeline(runner="FnApiRunner")
    translate(pipeline, job)
    return pipeline.to_runner_api()


def test_the_job_graph_does_not_know_how_many_there_are(class_folders: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(path=class_folders))
    prepared = prepare(recipe, Settings(cache_root=str(tmp_path / "cache")))
    few, many = graph(prepared, 10), graph(prepared, 10_000)
    assert list(few.components.transforms) == list(many.components.transforms)
    index = next(name for name, t in few.components.transforms.items() if t.unique_name == "Index")
    assert parts_of(few, index) == parts_of(many, index)
    # The number of records is in a worker's settings, which are compressed: some bytes of difference, whatever the numbers.
    assert abs(few.ByteSize() - many.ByteSize()) < 512


def parts_of(graph: Any, name: str) -> list[bytes]:
    """A transform of a graph with everything in it."""
    node = graph.components.transforms[name]
    return [node.SerializeToString(deterministic=True), *(part for child in node.subtransforms for part in parts_of(graph, child))]
