"""A job whose every place is in Cloud Storage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from refinery_beam.job.job import Job
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output:
  record_schema: {{image: {{dtype: uint8, shape: [8, 8, 3]}}, label: {{dtype: str}}}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.75, test: 0.25}}, stratify_by: label}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 8, method: bilinear}}, splits: [train, test]}}
  - {{name: normalize, op: normalize, fit_source: train, splits: [train, test]}}
  - {{name: bytes, op: cast, params: {{dtype: uint8, scale: 60.0}}, splits: [train, test]}}
"""

IMAGE = "europe-docker.pkg.dev/a-project/images/refinery-beam:0.1.0"
SOURCE = "gs://a-bucket/photos"
STAGED = "gs://a-bucket/cache/staging/aaaa-bbbb-0-1234"


def cloud_job(photos: Path, folder: Path, *, plugin_paths: tuple[str, ...] = (), more: str = "") -> Job:
    """The job of a recipe over `photos`, as if sources and cache were in Cloud Storage."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(RECIPE.format(path=photos) + more)
    prepared = prepare(folder / "recipe.yaml", Settings(cache_root=str(folder / "cache"), plugin_paths=plugin_paths))
    plan = replace(prepared.plan, sources=tuple(replace(source, root=SOURCE) for source in prepared.plan.sources))
    return Job(
        plan=plan,
        instance=f"{STAGED}/instance",
        work=f"{STAGED}/rows",
        threads=1,
        records=len(prepared.index.entries),
        shard_records=100,
        grouped=False,
        heartbeat=False,
    )
