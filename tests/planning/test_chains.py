"""Where pixels are stored, what is left to readers, and where statistics are fitted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.errors import RefineryError
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import ArrayType
from support.plans import plan_of, refused
from support.recipes import more, read

RESIZE = "{name: resize, op: resize, params: {size: 32, method: bilinear}, splits: [train, test]}"
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
CAST = "{name: cast, op: cast, params: {dtype: float32, scale: 0.5}, splits: [train, test]}"
SUBTRACT = "{name: subtract, op: mean_subtract, fit_source: train, splits: [train, test]}"


def chain_plan(*steps: str | dict[str, Any], image: str | None, **parts: Any) -> Plan:
    """The plan of these transformations for images that are declared so."""
    return plan_of(**chain(*steps, image=image), **parts)


def chain(*steps: str | dict[str, Any], image: str | None) -> dict[str, Any]:
    return {"transformations": list(steps), "fields": {"image": None if image is None else {"shape": None, **read(image)}}}


def shape_of(plan: Plan) -> tuple[list[str], list[str], ArrayType]:
    chain = plan.chains["train"]
    return [s.name for s in chain.eager], [s.name for s in chain.deferred], chain.stored


def test_a_uint8_schema_defers_normalize() -> None:
    plan = chain_plan(RESIZE, NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}")
    assert shape_of(plan) == (["resize"], ["normalize"], ArrayType("uint8", (32, 32, 3)))
    (point,) = plan.fits
    assert (point.riding, point.index, point.steps) == (True, 1, ("normalize",))
    assert plan.output.encoding == "tensor"


def test_a_float_schema_applies_it() -> None:
    plan = chain_plan(RESIZE, NORMALIZE, image="{dtype: float32, shape: [32, 32, 3]}")
    assert shape_of(plan) == (["resize", "normalize"], [], ArrayType("float32", (32, 32, 3)))
    (point,) = plan.fits
    assert (point.riding, point.index, point.steps) == (False, 1, ("normalize",))


def test_float64_is_what_the_schema_says() -> None:
    plan = chain_plan(RESIZE, NORMALIZE, image="{dtype: float64, shape: [32, 32, 3]}")
    assert shape_of(plan)[2] == ArrayType("float64", (32, 32, 3))


def test_elementwise_tails_share_one_histogram() -> None:
    plan = chain_plan(RESIZE, CAST, NORMALIZE, SUBTRACT, image="{dtype: uint8, shape: [32, 32, 3]}")
    assert shape_of(plan)[1] == ["cast", "normalize", "subtract"]
    (point,) = plan.fits
    assert (point.riding, point.index, point.steps) == (True, 1, ("normalize", "subtract"))


def test_a_float_resize_needs_moments_of_its_own() -> None:
    plan = chain_plan(CAST, RESIZE, NORMALIZE, image="{dtype: float32, shape: [32, 32, 3]}")
    (point,) = plan.fits
    assert (point.riding, point.index) == (False, 2)


def test_without_a_shape_png_is_stored() -> None:
    plan = chain_plan(image="{dtype: uint8}")
    assert plan.output.encoding == "png"
    assert plan.chains["train"].stored == ArrayType("uint8", (None, None, 3))


def test_metadata_only_recipes_never_decode() -> None:
    assert not chain_plan(image=None).decodes
    assert not chain_plan(image="{dtype: uint8}", output={"encoding": "source"}).decodes
    assert chain_plan(RESIZE, NORMALIZE, image=None).decodes


def test_grey_images_may_be_declared_with_a_channel() -> None:
    plan = chain_plan(RESIZE, image="{dtype: uint8, shape: [32, 32, 1]}", input={"decode": {"mode": "L"}})
    assert plan.chains["train"].stored == ArrayType("uint8", (32, 32, 1))


@pytest.mark.parametrize(
    ("steps", "image", "encoding", "refusal"),
    [
        ([RESIZE], "{dtype: uint8, shape: [64, 64, 3]}", None, ("schema-reachable", "uint8[64, 64, 3]")),
        ([RESIZE], "{dtype: float32, shape: [32, 32, 3]}", None, ("schema-reachable", "float32[32, 32, 3]")),
        ([RESIZE], "{dtype: uint8, shape: [32, 32, 3]}", "source", ("output-options", "source")),
        ([], "{dtype: uint8}", "tensor", ("output-options", "tensor")),
        ([RESIZE, NORMALIZE], "{dtype: float32, shape: [32, 32, 3]}", "png", ("output-options", "png")),
    ],
)
def test_what_cannot_be_stored_is_refused(steps: list[str], image: str, encoding: str | None, refusal: tuple[str, str]) -> None:
    assert refused(**chain(*steps, image=image), output={"encoding": encoding}) == [refusal]


def test_node_keys_know_what_they_cover() -> None:
    one = chain_plan(RESIZE, NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}").node_keys("00")
    other = chain_plan(more(RESIZE, params={"method": "bicubic"}), NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}").node_keys("00")
    assert (one["select"], one["split"]) == (other["select"], other["split"])
    assert one["fit"] != other["fit"]
    assert one["dataset"] != other["dataset"]


def text(*steps: str | dict[str, Any], image: str, **parts: Any) -> list[str]:
    with pytest.raises(RefineryError) as caught:
        chain_plan(*steps, image=image, **parts)
    return [f"{error.message} => {error.remedy}" for error in caught.value.errors()]


def test_one_story_is_told_once_for_all_its_splits() -> None:
    story = "decoded uint8[?, ?, 3]; after resize uint8[32, 32, 3]"
    assert text(RESIZE, image="{dtype: uint8, shape: [64, 64, 3]}") == [
        f"Output.record_schema.image declares uint8[64, 64, 3], which the images of splits train, test never are: {story} => "
        "declare {dtype: uint8, shape: [32, 32, 3]}, or change the transformations"
    ]
    own = text(more(RESIZE, splits=["train"]), image="{dtype: uint8, shape: [64, 64, 3]}")
    assert len(own) == 1 and "the images of split 'train' never are" in own[0], "the other split may have images of any size"


def test_a_declared_grey_image_asks_for_the_mode() -> None:
    (only,) = text(RESIZE, image="{dtype: uint8, shape: [32, 32, 1]}")
    assert only.endswith("declare {dtype: uint8, shape: [32, 32, 3]}, or set Input.decode.mode: L")


def test_splits_may_have_chains_of_their_own() -> None:
    """What both satisfy is stored; each keeps its own way there."""
    other = more(RESIZE, name="other", splits=["test"])
    plan = chain_plan(more(RESIZE, splits=["train"]), other, NORMALIZE, image="{dtype: uint8, shape: [32, 32, 3]}")
    assert [[s.name for s in plan.chains[split].steps] for split in ("train", "test")] == [["resize", "normalize"], ["other", "normalize"]]
    assert {c.stored for c in plan.chains.values()} == {ArrayType("uint8", (32, 32, 3))}
    assert [s.name for s in plan.fitted_steps()] == ["normalize"]


def test_without_a_declared_image_the_whole_tail_is_left() -> None:
    """Statistics are wanted of what nobody stores, so they need a pass."""
    plan = chain_plan(RESIZE, NORMALIZE, CAST, image=None)
    assert shape_of(plan)[:2] == (["resize"], ["normalize", "cast"])
    assert plan.output.encoding == "none" and plan.decodes


def test_the_latest_point_that_holds_is_stored() -> None:
    """Both before and after a cast to its own dtype the declaration holds: the fewer are left to readers."""
    same = more(CAST, name="same", params={"dtype": "uint8", "scale": 1})
    assert shape_of(chain_plan(RESIZE, same, image="{dtype: uint8, shape: [32, 32, 3]}"))[:2] == (["resize", "same"], [])


def test_a_statistic_that_the_recipe_states_needs_no_pass() -> None:
    stated = "{name: normalize, op: normalize, params: {mean: [1, 2, 3], std: [4, 5, 6]}, splits: [train, test]}"
    plan = chain_plan(RESIZE, stated, image="{dtype: float32, shape: [32, 32, 3]}")
    (step,) = plan.fitted_steps()
    assert plan.fits == () and step.fitted and not step.needs_fit and step.pinned is not None
    assert (step.pinned["mean"], step.pinned["std"]) == ([1, 2, 3], [4, 5, 6])


def test_a_step_that_cannot_take_what_comes_is_named() -> None:
    assert refused(**chain(more(RESIZE, op="center_crop", params={"size": 9, "method": None}), more(RESIZE, name="big", op="center_crop",
        params={"size": 10, "method": None}), image="{dtype: uint8}")) == [("op-type", "uint8[9, 9, 3]")]  # fmt: skip


SQUARE = {"op": "resize", "params": {"size": 8, "method": "bilinear"}}
STEPS = st.lists(
    st.one_of(
        st.integers(4, 9).map(lambda n: {"op": "resize", "params": {"size": n, "method": "bilinear"}}),
        st.sampled_from([0.5, 2.0]).map(lambda scale: {"op": "cast", "params": {"dtype": "float32", "scale": scale}}),
        st.just({"op": "normalize", "fit_source": "train"}),
        st.just({"op": "mean_subtract", "fit_source": "train"}),
    ),
    max_size=5,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_types_fit_together_along_every_chain(steps: list[dict[str, Any]]) -> None:
    """With any declaration that some point of the chain satisfies. The first step gives all images one size, so tensors are stored."""
    named = [{"name": f"s{i}", "splits": ["train", "test"], **step} for i, step in enumerate([SQUARE, *steps])]
    whole = chain_plan(*named, image=None).chains["train"]
    types = [whole.decoded, *(s.out for s in whole.steps)]
    assert [s.name for s in whole.steps] == [s["name"] for s in named] and [s.before for s in whole.steps] == types[:-1]
    for index in range(len(whole.eager), len(types)):
        declared = {"dtype": types[index].dtype, "shape": list(types[index].shape)}
        plan = chain_plan(*named, image=str(declared).replace("None", "null"))
        found = plan.chains["train"]
        assert found.steps == whole.steps and types[len(found.eager)] == found.stored == types[index]
        assert len(found.eager) >= index, "nothing is left to readers that the declaration allows to store"
        assert sorted(name for point in plan.fits for name in point.steps) == sorted(s.name for s in whole.steps if s.fitted)
        assert [point.riding for point in plan.fits] == sorted(point.riding for point in plan.fits), "who rides comes last"
        assert all(point.index <= len(found.eager) or not point.riding for point in plan.fits)
