"""Only small rows with deterministic coders cross the stages of every kind of plan; and the check would notice if they did not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest

from refinery_beam.job.job import Job
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.pipeline.rows.digest_files import DigestFiles
from refinery_beam.pipeline.translate import translate
from refinery_beam.runners.parsed_once import pipeline_options_of
from refinery_beam.testing.engine.lint import crossings, offences
from support.recipes import SMALL, write_recipe

SPLITS = ("train", "test")
QUOTAS: dict[str, Any] = {
    "filters": [
        "{name: some, op: random_sample, params: {fraction: 0.9}}",
        "{name: cut, op: random_sample, params: {n: 5}, stages: [post_split], splits: [train]}",
        "{name: not_squares, op: filter_by_label, params: {labels: [square], action: exclude}, stages: [post_split], splits: [test]}",
    ],
}
SELECTING: dict[str, Any] = {
    "filters": [
        "{name: probe, op: sample_per_class, params: {n_per_class: 2, label: probe}}",
        "{name: rest, op: sample_per_class_fractional, params: {n_per_class_base: 9, label: main, exclude_already_labeled: [probe]}}",
        "{name: once, op: drop_duplicates}",
        "{name: alike, op: drop_duplicates, params: {kind: near}}",
        "{name: size, op: image_size, params: {min_width: 4}}",
        "{name: field, op: filter_by_field, params: {field: label, not_in: [x]}}",
        "{name: gone, op: drop_by_label, params: {labels: [main]}, stages: [post_split], splits: [probe]}",
        "{name: few, op: sample_per_class, params: {n_per_class: 2}, stages: [post_split], splits: [train]}",
    ],
    "splits": "{ratios: {train: 0.5, test: 0.5}, applies_to: main, keep_duplicates_together: near, group_by: label}",
}


def pipeline_of(
    class_folders: Path, folder: Path, *, dtype: str = "uint8", grouped: bool = False, splits_of_steps: Sequence[str] = SPLITS, **parts: Any
) -> beam.Pipeline:
    resize = {"name": "resize", "op": "resize", "params": {"size": 8, "method": "bilinear"}, "splits": list(splits_of_steps)}
    normalize = {"name": "normalize", "op": "normalize", "fit_source": "train", "splits": list(splits_of_steps)}
    fields = {"image": {"dtype": dtype, "shape": [8, 8, 3]}}
    recipe = write_recipe(class_folders, folder, base=SMALL, transformations=[resize, normalize], fields=fields, **parts)
    prepared = prepare(recipe, Settings(cache_root=str(folder / "cache")))
    job = Job(plan=prepared.plan, instance="/i", work="/w", threads=1, records=9, shard_records=3, grouped=grouped)
    pipeline = beam.Pipeline(runner="FnApiRunner", options=pipeline_options_of([]))
    translate(pipeline, job)
    return pipeline


@pytest.mark.parametrize(
    ("dtype", "method", "grouped"),
    [("uint8", "exact", True), ("uint8", "hash", False), ("float32", "exact", False), ("float32", "hash", True)],
)
def test_plans_are_clean(class_folders: Path, tmp_path: Path, dtype: str, method: str, grouped: bool) -> None:
    splits = {"ratios": {"train": 0.5, "test": 0.4}, "stratify_by": "label", "method": method}
    pipeline = pipeline_of(class_folders, tmp_path, dtype=dtype, grouped=grouped, splits=splits, **QUOTAS)
    assert offences(pipeline) == []
    assert any("RefCoder" in c.coder for c in crossings(pipeline))


def test_filters_and_tag_splits_are_clean(class_folders: Path, tmp_path: Path) -> None:
    pipeline = pipeline_of(class_folders, tmp_path, splits_of_steps=(*SPLITS, "probe"), **SELECTING)
    assert offences(pipeline) == []
    assert any("RefCoder" in c.coder for c in crossings(pipeline))


def test_the_digest_pass_is_clean() -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner", options=pipeline_options_of([]))
    _ = pipeline | DigestFiles("gs://bucket/photos", "/w", records=9)
    assert offences(pipeline) == []
    assert any("row(path, digest, reason, detail)" in c.coder for c in crossings(pipeline))


def test_pixels_across_a_stage_are_noticed() -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner", options=pipeline_options_of([]))
    refs = pipeline | beam.Create(["a", "b"])
    images = refs | "Decode" >> beam.Map(lambda ref: np.zeros((4, 4)))
    total = images | "Sum" >> beam.CombineGlobally(sum)
    _ = images | "Normalize" >> beam.Map(lambda image, t: image - t, beam.pvalue.AsSingleton(total))
    assert any(c.producer == "Decode" for c in offences(pipeline))


def test_no_field_of_a_row_is_pickled() -> None:
    """Engines in Java read these rows: every field has a type they know. A field of unknown type is caught."""
    from typing import NamedTuple

    from apache_beam import coders
    from apache_beam.runners.pipeline_context import PipelineContext

    from refinery_beam.pipeline.rows.coders import ROW_TYPES
    from refinery_beam.testing.engine.lint import PICKLING, describe_coder

    class Loose(NamedTuple):
        name: str
        thing: object

    def description(coder: coders.Coder) -> str:
        context = PipelineContext()
        name = context.coders.get_id(coder)
        return describe_coder(context.to_runner_api(), name)

    assert [row for row in ROW_TYPES if any(word in description(coders.registry.get_coder(row)) for word in PICKLING)] == []
    assert "thing: FastPrimitivesCoder" in description(coders.RowCoder.from_type_hint(Loose, None))
