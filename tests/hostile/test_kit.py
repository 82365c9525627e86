"""The kit finds what it is for: a plugin that depends on order, an element that is too large, one that is pickled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from refinery_beam.launch.run import run_with
from refinery_beam.launch.settings import Settings
from refinery_beam.runners.local import LocalOptions, constructed_runner
from refinery_beam.testing.engine import hostile, measured, replayed
from refinery_beam.testing.engine.hostile_runner import HostileRunner
from refinery_beam.testing.engine.sizes import ROW_BYTES, LargeElement, PickledElement, Sizes, measure
from refinery_beam.testing.hostile import DependsOnTheEngine, check_recipe, main

RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: photos, type: image_folder, path: {path}}}]}}
Output:
  record_schema: {{image: {{dtype: uint8, shape: [8, 8, 3]}}, label: {{dtype: str}}}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.5, test: 0.5}}}}
Transformations:
  - {{name: resize, op: resize, params: {{size: 8, method: bilinear}}, splits: [train, test]}}
{more}
"""

# Its pixels depend on how many images it has seen: what no op may do.
COUNTING = """\
import numpy as np

from refinery_beam.plugins.base import Extension, OpSpec, Params


class Counting:
    spec = OpSpec(name="counting", section="Transformations", version=1, params=Params, summary="Counts.", pixel_altering=True)
    seen = 0

    def infer(self, before, params):
        return before

    def apply(self, pixels, params, fitted, out):
        Counting.seen += 1
        changed = np.array(pixels)
        changed[0, 0] = Counting.seen % 251
        return changed


PLUGIN = Extension(name="counters", version=1, ops=[Counting()])
"""


def recipe_over(photos: Path, folder: Path, more: str = "") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(path=photos, more=more))
    return path


def test_an_op_that_counts_is_found(class_folders: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "counting.py"
    plugin.write_text(COUNTING)
    recipe = recipe_over(class_folders, tmp_path, "  - {name: counting, op: counting, splits: [train, test]}")
    with pytest.raises(DependsOnTheEngine, match=r"^seed 7: record photos/\S+ of train: column 'image' is "):
        check_recipe(recipe, seeds=[7], plugin_paths=[str(plugin)])


def test_the_command_prints_a_histogram(class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = recipe_over(class_folders, tmp_path)
    main([str(recipe), "--seeds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{recipe}: the same under 1 seeds"
    (shard_of,) = [line.split() for line in lines if line.endswith(" Shards/ShardOf")]
    assert int(shard_of[0]) == 72, "36 references in the plain run, 36 in the other"
    assert all(int(line.split()[2].replace(",", "")) <= ROW_BYTES for line in lines[2:])


def run_measured(elements: list[object], kind: type) -> Sizes:
    sizes = Sizes()
    pipeline = beam.Pipeline(runner=measure(constructed_runner(PipelineOptions([])), sizes))
    made = pipeline | beam.Create([1]) | "Make" >> beam.FlatMap(lambda _: elements).with_output_types(kind)
    _ = made | "Key" >> beam.Map(lambda x: (0, x)).with_output_types(tuple[int, kind]) | beam.GroupByKey()  # type: ignore[valid-type]
    pipeline.run()
    return sizes


def test_a_pickle_across_a_stage_is_found() -> None:
    with pytest.raises(PickledElement, match=r"^.* pickles what it sends to another stage"):
        run_measured([object], object).check()


def test_a_picture_across_a_stage_is_found() -> None:
    run_measured([b"x" * 1000], bytes).check()
    with pytest.raises(LargeElement, match=r"sends an element of 100,\d\d\d bytes to another stage"):
        run_measured([b"x" * 100_000], bytes).check()


def test_sizes_are_exact_and_complete() -> None:
    """Also under hostility: a bundle that is replayed does not count, an element of one byte more has one byte more."""

    def sized(length: int) -> tuple[int, int]:
        sizes = Sizes()
        pipeline = beam.Pipeline(runner=measure(HostileRunner(3), sizes))
        words: Iterable[bytes] = [b"x" * length] * 50
        made = pipeline | beam.Create([1]) | "Make" >> beam.FlatMap(lambda _: words).with_output_types(bytes)
        _ = made | "Key" >> beam.Map(lambda w: (w[:1], w)).with_output_types(tuple[bytes, bytes]) | beam.GroupByKey()
        pipeline.run()
        (keyed,) = [c for c in sizes.crossings if c.producer == "Key"]
        return keyed.elements, keyed.largest

    (count, small), (_, large) = sized(40), sized(41)
    assert (count, large - small) == (50, 1)


def pickling(pipeline: Any) -> None:
    """A pipeline whose elements cross a stage as pickles."""
    made = pipeline | beam.Create([1]) | "Make" >> beam.Map(lambda _: object()).with_output_types(object)
    _ = made | "Key" >> beam.Map(lambda x: (0, id(x))).with_output_types(tuple[int, object]) | beam.GroupByKey()


def test_every_pipeline_of_the_suite_is_measured(tmp_path: Path) -> None:
    """Whoever calls `run_local`, and with whichever factory: only the plain one, named, ends the check."""
    from refinery_beam.runners import local

    options = LocalOptions(mode="threads", workers=1, beam_workers=1)
    for factory in (None, hostile(1), replayed(1)):
        with pytest.raises(PickledElement):
            local.run_local(pickling, replace(options, runner_factory=factory), work=str(tmp_path))
    local.run_local(pickling, replace(options, runner_factory=constructed_runner), work=str(tmp_path))


@pytest.mark.parametrize("factory", [None, hostile(1), replayed(1)])
def test_every_run_of_a_recipe_goes_through_the_check(factory: Any, class_folders: Path, tmp_path: Path, all_sizes: Sizes) -> None:
    before = sum(c.elements for c in all_sizes.crossings)
    run_with(recipe_over(class_folders, tmp_path), Settings(cache_root=str(tmp_path / "cache"), workers=1, runner_factory=factory))
    assert sum(c.elements for c in all_sizes.crossings) > before


def test_two_may_measure_one_runner() -> None:
    inner, outer = Sizes(), Sizes()
    options = PipelineOptions([])
    pipeline = beam.Pipeline(runner=measured(outer, measured(inner, replayed(2)))(options), options=options)
    made = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda n: (n % 2, n)).with_output_types(tuple[int, int])
    _ = made | beam.GroupByKey()
    pipeline.run()
    assert inner.table() == outer.table()
    assert sum(c.elements for c in inner.crossings) > 0
