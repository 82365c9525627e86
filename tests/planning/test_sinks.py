"""Sinks of a plan: which splits they write, and what they cannot write."""

from __future__ import annotations

import pytest

from refinery_beam.planning.sinks import TOKEN
from support.plans import plan_of, refused
from support.recipes import more

PNG = "{name: pictures, stage: post_pipeline, field: image, format: png_per_record, path_template: '{split}/{path|stem}.png'}"
NPY = more(PNG, format="npy_per_record", path_template="{record_id}.npy")


def test_a_sink_writes_every_split_or_those_it_names_in_the_plans_order() -> None:
    plan = plan_of(sinks=[PNG, more(NPY, name="arrays", splits=["test", "train"]), more(NPY, name="held", splits=["test"])])
    assert [(s.name, s.splits) for s in plan.sinks] == [
        ("pictures", ("train", "test")),
        ("arrays", ("train", "test")),
        ("held", ("test",)),
    ]
    assert plan.sinks[0].identity() == ["pictures", "image", "png_per_record", "{split}/{path|stem}.png", ["train", "test"]]


def test_content_may_be_written_that_no_row_stores() -> None:
    plan = plan_of(sinks=[PNG], fields={"image": None})
    assert plan.output.content_field is None and plan.decodes and plan.shows_content


def test_numbers_of_any_shape_are_arrays() -> None:
    size = "{name: size, op: image_size_stats, inputs: [image], output_field: size, splits: [train, test]}"
    plan = plan_of(sinks=[more(NPY, field="size")], featurizations=[size], fields={"size": {"dtype": "int64", "shape": [3]}})
    assert plan.sinks[0].field == "size"


FLOATS = {"image": {"dtype": "float32"}}
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"


def test_pictures_of_floats_are_refused() -> None:
    assert refused(
        sinks=[PNG],
        fields=FLOATS,
        transformations=["{name: r, op: resize, params: {size: 16, method: bilinear}, splits: [train, test]}", NORMALIZE],
    ) == [("sink-field", "image")]


@pytest.mark.parametrize(
    ("sink", "refusal"),
    [
        (more(PNG, field="label"), ("sink-field", "label")),
        (more(NPY, field="label"), ("sink-field", "label")),
        (more(NPY, field="nothing"), ("sink-field", "nothing")),
        (more(PNG, splits=["train", "tset"]), ("unknown-split", "tset")),
    ],
)
def test_what_a_sink_cannot_write(sink: dict[str, object], refusal: tuple[str, str]) -> None:
    assert refused(sinks=[sink]) == [refusal]


def test_tokens_of_a_template() -> None:
    assert TOKEN.findall("{split}/{label|upper}/x-{record_id}.png") == [("split", ""), ("label", "upper"), ("record_id", "")]
