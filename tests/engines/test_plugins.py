"""What a plugin by path brings (op, loader, assertion, picture) on every engine: one digest, nothing installed for its workers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import refinery_beam as rb
from refinery_beam.launch import RunResult
from refinery_beam.launch.run import run_with
from support.clusters import flags
from support.engine_runs import same, settings

PLUGIN = """
from refinery_beam.plugins.base import AssertionSpec, Extension, LoaderFile, OpSpec, Params
from refinery_beam.plugins.image_classification.pixels import as_array

from ._amount import AMOUNT


class Add:
    spec = OpSpec(name="add", section="Transformations", version=1, params=Params, summary="Adds.", pixel_altering=True)

    def infer(self, before, params):
        return before

    def apply(self, pixels, params, fitted, out):
        return as_array(pixels) + AMOUNT


class Ppm:
    source_type = "ppm_folder"
    version = 1

    def files(self, root):
        from pathlib import Path

        return [LoaderFile(p.relative_to(root).as_posix(), label=p.parent.name) for p in Path(root).glob("*/*.rawppm")]

    def decode(self, data, *, mode):
        import numpy as np

        width, height = map(int, data.split(b"\\n", 3)[1].split())
        return np.frombuffer(data.split(b"\\n", 3)[3], np.uint8).reshape(height, width, 3)


class Even:
    spec = AssertionSpec(kind="is_even", version=1, params=Params, summary="is even", field=True, content="values")

    def offence(self, value, params):
        return "is odd" if (value % 2).any() else ""


class Corner:
    spec = OpSpec(name="corner", section="Visualizations", version=1, params=Params, summary="The first corner.")
    needs_pixels = True

    def draw(self, view, params):
        from PIL import Image

        return Image.new("RGB", (2, 2), tuple(int(v) for v in view.sample(1, per_class=False)[0].pixels[0, 0]))


PLUGIN = Extension(name="everything", version=1, ops=[Add(), Corner()], loaders=[Ppm()], assertions=[Even()])
"""
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: p, type: ppm_folder, path: {path}}}]}}
Output: {{record_schema: {{image: {{dtype: uint8, shape: [6, 8, 3]}}, label: {{dtype: str}}}}, shard_records: 5}}
Labels: {{field: label, source: {{kind: direct}}}}
Splits: {{ratios: {{train: 0.5, test: 0.5}}, stratify_by: label}}
Transformations: [{{name: add, op: add, splits: [train, test]}}]
InputContracts: [{{field: image, assertion: {{kind: is_even}}}}]
OutputExpectations: [{{field: image, assertion: {{kind: is_even}}, severity: warning}}]
Visualizations: [{{name: corner, op: corner, stage: post_pipeline, mode: reporting}}]
"""

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin") / "everything"
    folder.mkdir()
    (folder / "everything.py").write_text(PLUGIN)
    (folder / "_amount.py").write_text("AMOUNT = 3\n")
    return folder


@pytest.fixture(scope="module")
def ppm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ppm")
    for k in range(24):
        file = root / "images" / "abc"[k % 3] / f"{k}.rawppm"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"P6\n8 6\n255\n" + np.full((6, 8, 3), 2 * k, np.uint8).tobytes())
    (root / "recipe.yaml").write_text(RECIPE.format(path=root / "images"))
    return root / "recipe.yaml"


@pytest.fixture(scope="module")
def expected(ppm: Path, plugin: Path) -> RunResult:
    result = rb.run(ppm, cache_root=ppm.parent / "reference", workers=1, mode="threads", plugin_paths=[str(plugin)])
    rows = [row for split in result.counts for row in rb.open_instance(result.path).split(split)]
    assert {(row["record_id"], int(row["image"].min())) for row in rows} == {(f"p/{'abc'[k % 3]}/{k}.rawppm", 2 * k + 3) for k in range(24)}
    assert [e["passed"] for e in result.manifest.raw["expectations"]] == [True, False]
    return result


@pytest.mark.parametrize("name", ["processes", "prism", "flink", "spark"])
def test_plugins(
    name: str, ppm: Path, plugin: Path, tmp_path: Path, expected: RunResult, reported: list[tuple[str, str, float, int]]
) -> None:
    cache = str(tmp_path / "cache")
    result = run_with(ppm, settings(name, cache_root=cache, beam_options=flags(name), plugin_paths=(str(plugin),)))
    same(result, expected, reported, f"{name}, with plugins")
    assert Path(result.pictures["corner"]).read_bytes() == Path(expected.pictures["corner"]).read_bytes()
