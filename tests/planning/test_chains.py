"""Where pixels are stored, what is left to readers, and where statistics are fitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.planning.build import build_plan
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import ArrayType
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.recipe import load_recipe

HEAD = """\
schema_version: 3
plugin: image_classification
Input: {{sources: [{{name: a, type: image_folder, path: x}}]{decode}}}
Output:
  record_schema: {{{image}label: {{dtype: str}}}}
{output}Labels: {{field: label, source: {{}}}}
Splits: {{ratios: {{train: 0.8, test: 0.2}}}}
Transformations:{none}
"""

RESIZE = "  - {name: resize, op: resize, params: {size: 32, method: bilinear}, splits: [train, test]}\n"
NORMALIZE = "  - {name: normalize, op: normalize, fit_source: train, splits: [train, test]}\n"
CAST = "  - {name: cast, op: cast, params: {dtype: float32, scale: 0.5}, splits: [train, test]}\n"
SUBTRACT = "  - {name: subtract, op: mean_subtract, fit_source: train, splits: [train, test]}\n"


def plan_of(steps: str, *, image: str | None, output: str = "", decode: str = "") -> Plan:
    field = f"image: {image}, " if image else ""
    text = HEAD.format(image=field, output=output, decode=decode, none="" if steps else " []") + steps
    recipe = load_recipe("r.yaml", text=text)
    return build_plan(recipe, find_plugin("image_classification"), roots=["/x"])


def shape_of(plan: Plan) -> tuple[list[str], list[str], ArrayType]:
    chain = plan.chains["train"]
    return [s.name for s in chain.eager], [s.name for s in chain.deferred], chain.stored


def test_a_uint8_schema_defers_normalize() -> None:
    plan = plan_of(RESIZE + NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}")
    assert shape_of(plan) == (["resize"], ["normalize"], ArrayType("uint8", (32, 32, 3)))
    (point,) = plan.fits
    assert (point.riding, point.index, point.steps) == (True, 1, ("normalize",))
    assert plan.output.encoding == "tensor"


def test_a_float_schema_applies_it() -> None:
    plan = plan_of(RESIZE + NORMALIZE, image="{dtype: float32, shape: [32, 32, 3]}")
    assert shape_of(plan) == (["resize", "normalize"], [], ArrayType("float32", (32, 32, 3)))
    (point,) = plan.fits
    assert (point.riding, point.index, point.steps) == (False, 1, ("normalize",))


def test_float64_is_what_the_schema_says() -> None:
    plan = plan_of(RESIZE + NORMALIZE, image="{dtype: float64, shape: [32, 32, 3]}")
    assert shape_of(plan)[2] == ArrayType("float64", (32, 32, 3))


def test_elementwise_tails_share_one_histogram() -> None:
    plan = plan_of(RESIZE + CAST + NORMALIZE + SUBTRACT, image="{dtype: uint8, shape: [32, 32, 3]}")
    assert shape_of(plan)[1] == ["cast", "normalize", "subtract"]
    (point,) = plan.fits
    assert (point.riding, point.index, point.steps) == (True, 1, ("normalize", "subtract"))


def test_a_float_resize_needs_moments_of_its_own() -> None:
    plan = plan_of(CAST + RESIZE + NORMALIZE, image="{dtype: float32, shape: [32, 32, 3]}")
    (point,) = plan.fits
    assert (point.riding, point.index) == (False, 2)


def test_without_a_shape_png_is_stored() -> None:
    plan = plan_of("", image="{dtype: uint8}")
    assert plan.output.encoding == "png"
    assert plan.chains["train"].stored == ArrayType("uint8", (None, None, 3))


def test_metadata_only_recipes_never_decode() -> None:
    assert not plan_of("", image=None).decodes
    assert not plan_of("", image="{dtype: uint8}", output="  encoding: source\n").decodes
    assert plan_of(RESIZE + NORMALIZE, image=None).decodes


def test_grey_images_may_be_declared_with_a_channel() -> None:
    plan = plan_of(RESIZE, image="{dtype: uint8, shape: [32, 32, 1]}", decode=", decode: {mode: L}")
    assert plan.chains["train"].stored == ArrayType("uint8", (32, 32, 1))


@pytest.mark.parametrize(
    ("steps", "image", "output", "code"),
    [
        (RESIZE, "{dtype: uint8, shape: [64, 64, 3]}", "", "schema-reachable"),
        (RESIZE, "{dtype: float32, shape: [32, 32, 3]}", "", "schema-reachable"),
        (RESIZE, "{dtype: uint8, shape: [32, 32, 3]}", "  encoding: source\n", "output-options"),
        ("", "{dtype: uint8}", "  encoding: tensor\n", "output-options"),
        (RESIZE + NORMALIZE, "{dtype: float32, shape: [32, 32, 3]}", "  encoding: png\n", "output-options"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_place(steps: str, image: str, output: str, code: str) -> None:
    with pytest.raises(RefineryError) as caught:
        plan_of(steps, image=image, output=output)
    assert caught.value.code == code
    assert caught.value.at.startswith("r.yaml:")
    assert caught.value.rule
    assert caught.value.remedy


def test_node_keys_know_what_they_cover() -> None:
    one = plan_of(RESIZE + NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}").node_keys("00")
    other = plan_of(RESIZE.replace("bilinear", "bicubic") + NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}").node_keys("00")
    assert (one["select"], one["split"]) == (other["select"], other["split"])
    assert one["fit"] != other["fit"]
    assert one["dataset"] != other["dataset"]


def test_missing_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefineryError, match="nothing makes the field 'colour'"):
        plan_of("", image="{dtype: uint8}, colour: {dtype: str}")
