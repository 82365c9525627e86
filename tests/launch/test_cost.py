"""What `plan` says of the cost of a run: exact where it is arithmetic, in proportion where it is measured."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.launch import estimate as costs
from refinery_beam.launch.cost import Cost, duration
from refinery_beam.testing import images
from support.recipes import NORMALIZE, RESIZE, SMALL, quarantine, write_recipe

ROW = 32 * 32 * 3
TRAIN = "{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train]}"
PNG_SINK = "{name: png, stage: post_pipeline, field: image, format: png_per_record, path_template: '{split}/{record_id}.png'}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos") / "images"
    images.class_folders(root, per_class=20, size=(48, 40))
    return root


def cost_of(recipe: Path, tmp_path: Path, **options: object) -> Cost:
    found = rb.plan(recipe, cache_root=tmp_path / "cache", **options).cost
    assert found is not None
    return found


def test_the_disk_of_uncompressed_tensors_is_exact(photos: Path, tmp_path: Path) -> None:
    recipe = write_recipe(photos, tmp_path, output={"compression": "none"})
    cost = cost_of(recipe, tmp_path)
    assert (cost.rows, cost.passes, cost.disk["content"], cost.disk["sinks"]) == (60, 1, 60 * ROW, 0)
    built = rb.run(recipe, cache_root=tmp_path / "cache")
    shards = sum(file.stat().st_size for file in Path(built.path, "dataset").rglob("*.parquet"))
    assert shards > 60 * ROW and cost.disk["content"] + cost.disk["fields"] < 1.1 * shards
    assert cost.seconds is not None and cost.seconds > costs.START_SECONDS
    assert cost.memory > costs.DRIVER_BYTES and cost.free is not None and not cost.is_short


def test_a_hit_costs_nothing(photos: Path, tmp_path: Path) -> None:
    recipe = write_recipe(photos, tmp_path, base=SMALL)
    rb.run(recipe, cache_root=tmp_path / "cache")
    assert rb.plan(recipe, cache_root=tmp_path / "cache").cost is None


def test_generated_and_augmented_rows_count(photos: Path, tmp_path: Path) -> None:
    four = "{name: flip, op: horizontal_flip, materialization: aggressive, expansion: 4}"
    fog = (
        "{name: fog, op: imagecorruptions_apply, seed: 5, output_schema: matches_input, params: {corruption_types: [fog], severities: [1]}}"
    )
    options = {"fields": {"image": {"shape": [32, 32, 3]}}, "output": {"compression": "none"}}
    assert cost_of(write_recipe(photos, tmp_path, augmentations=[four], **options), tmp_path).rows == 42 * 4 + 18
    recipe = write_recipe(photos, tmp_path, augmentations=[four], generation=[fog], **options)
    cost = cost_of(recipe, tmp_path)
    assert (cost.rows, cost.disk["content"]) == (42 * 8 + 18, (42 * 8 + 18) * ROW)


def test_a_fit_before_writing_is_a_pass_and_so_is_a_filter_that_decodes(photos: Path, tmp_path: Path) -> None:
    floats = {"fields": {"image": {"dtype": "float32"}}, "output": {"compression": "none"}, "transformations": [RESIZE, NORMALIZE]}
    cost = cost_of(write_recipe(photos, tmp_path, **floats), tmp_path)
    assert (cost.passes, cost.disk["content"], cost.filtered) == (2, 60 * ROW * 4, False)
    blurred = "{name: blurred, op: fact_range, params: {fact: sharpness, min: 0.1}}"
    cost = cost_of(write_recipe(photos, tmp_path, filters=[blurred], **floats), tmp_path)
    assert (cost.passes, cost.filtered) == (3, True)
    assert "  from 60 probed files: 60 rows, 3 passes, records that filters take out included" in cost.lines()


def test_a_vocabulary_is_that_of_the_probed_files(photos: Path, tmp_path: Path) -> None:
    ids = "{name: ids, op: categorical_encode, inputs: [label], output_field: id, fit_source: train, splits: [train, val, test]}"
    cost = cost_of(write_recipe(photos, tmp_path, featurizations=[ids], fields={"id": "{dtype: int64}"}), tmp_path)
    assert cost.rows == 60 and cost.disk["fields"] > 0


def test_the_files_of_sinks_count(photos: Path, tmp_path: Path) -> None:
    recipe = write_recipe(photos, tmp_path, sinks=[PNG_SINK])
    cost = cost_of(recipe, tmp_path)
    built = rb.run(recipe, cache_root=tmp_path / "cache")
    assert cost.disk["sinks"] == sum(file.stat().st_size for file in Path(built.path, "sinks").rglob("*.png"))


def test_bad_files_are_no_error_of_plan(photos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "images"
    for label in ("a", "b"):
        (broken / label).mkdir(parents=True)
        for k in range(4):
            (broken / label / f"{k}.png").write_bytes(b"no image %d" % k)
    recipe = write_recipe(broken, tmp_path, base=SMALL, input=quarantine(1.0))
    found = rb.plan(recipe, cache_root=tmp_path / "cache")
    assert found.cost is None and found.to_dict()["cost"] is None and "Cost" not in str(found)
    Image.new("RGB", (20, 20)).save(broken / "a" / "good.png")
    assert cost_of(recipe, tmp_path).files == 1


def test_large_photographs_want_draft_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "START_SECONDS", 0)
    large = tmp_path / "images"
    images.class_folders(large, per_class=1, size=(1600, 1200), formats=("jpg",))
    parts = {"splits": {"ratios": {"train": 1.0}}, "transformations": [TRAIN]}
    (one,) = cost_of(write_recipe(large, tmp_path, base=SMALL, **parts), tmp_path).cheaper
    assert (one.field, one.value) == ("Input.decode.draft", True)
    with_draft = write_recipe(large, tmp_path, name="draft.yaml", base=SMALL, **parts, input={"decode": {"draft": True}})
    assert cost_of(with_draft, tmp_path).cheaper == ()


def test_a_short_disk_is_said_by_plan_and_before_a_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(costs, "free_bytes", lambda path: 1000)
    monkeypatch.setattr(costs, "PAGE_BYTES", 0)
    recipe = write_recipe(photos, tmp_path, output={"facts": "off", "compression": "none"})
    found = rb.plan(recipe, cache_root=tmp_path / "cache")
    assert found.cost is not None and found.cost.is_short
    text = dict(found.warnings)["disk-short"]
    assert text.startswith("the dataset takes about ") and f"the disk of {tmp_path / 'cache'} has 1.0 kB left: free some" in text
    assert "Output.encoding: jpeg (about " in text and text.endswith("on disk; another recipe, with another key)")
    rb.run(recipe, cache_root=tmp_path / "cache")
    assert "warning: the dataset takes about " in capsys.readouterr().err


def test_workers_and_engines(photos: Path, tmp_path: Path) -> None:
    recipe = write_recipe(photos, tmp_path, base=SMALL)
    cost = cost_of(recipe, tmp_path, mode="processes", workers=3)
    assert (cost.workers, cost.mode) == (3, "processes") and cost.memory > costs.DRIVER_BYTES + 3 * costs.WORKER_BYTES
    cost = cost_of(recipe, tmp_path, runner="prism")
    assert (cost.seconds, cost.workers, cost.mode) == (None, None, "prism")
    assert " of one processor, " in cost.lines()[0] and " of memory of a worker, " in cost.lines()[0]


def test_what_is_printed_is_in_the_json(photos: Path, tmp_path: Path) -> None:
    found = rb.plan(write_recipe(photos, tmp_path, base=SMALL), cache_root=tmp_path / "cache")
    assert found.cost is not None
    said = found.to_dict()["cost"]
    assert said["seconds"] == round(found.cost.seconds or math.nan, 1) and said["disk_bytes"] == sum(said["disk"].values())
    assert "\n".join(["", *found.cost.lines(), "", "miss: "]) in str(found)
    assert found.cost.lines()[0].startswith(f"Cost: about {duration(found.cost.seconds or 0)} with ")


def test_a_probe_imports_no_beam_and_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    recipe, scratch = write_recipe(photos, tmp_path, base=SMALL), tmp_path / "scratch"
    scratch.mkdir()
    code = f"import sys, refinery_beam as rb; assert rb.plan({str(recipe)!r}, cache_root={str(tmp_path / 'cache')!r}).cost; "
    code += "assert 'apache_beam' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TMPDIR": str(scratch)})
    assert list(scratch.iterdir()) == []
