"""Augmentations: what is drawn is JSON, what is made follows from it alone, and the numbers are the ones the recipe allows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from refinery_beam.identity import Stream, record_key
from refinery_beam.plugins.base import ArrayType, AugmentOp, BadRecord, OpTypeError
from refinery_beam.plugins.image_classification import PLUGIN
from refinery_beam.plugins.image_classification.pixels import as_array
from refinery_beam.testing.images import draw

CASES: dict[str, dict[str, Any]] = {
    "horizontal_flip": {},
    "vertical_flip": {},
    "random_crop": {"size": [20, 24], "padding": 3, "padding_mode": "zero"},
    "color_jitter": {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.5},
    "random_erasing": {},
    "rotate": {"degrees": 45},
    "gaussian_blur": {"p": 0.5},
}
IMAGE = as_array(draw("triangle", 3, size=(48, 36)))


def op_of(name: str, params: dict[str, Any]) -> tuple[Any, Any]:
    op = PLUGIN.ops[name]
    assert isinstance(op, AugmentOp)
    return op, op.spec.params.model_validate(params)


def stream(replica: int = 0) -> Stream:
    return Stream(seed=1, op="a", key=record_key("r"), replica=replica)


@pytest.mark.parametrize("name", CASES)
def test_replay_from_json(name: str) -> None:
    op, params = op_of(name, CASES[name])
    found = set()
    for replica in range(20):
        for array in (IMAGE, IMAGE[:, :, 0], IMAGE[:, :, :1]):
            kept = array.copy()
            before = ArrayType("uint8", array.shape)
            sampled = op.draw(stream(replica), params, before)
            done = as_array(op.apply(array, sampled, params))
            again = as_array(op.apply(array, json.loads(json.dumps(sampled)), params))
            assert done.dtype == np.uint8 and done.shape == op.infer(before, params).shape
            assert (done == again).all() and (array == kept).all()
            found.add(json.dumps(sampled))
        picture = op.apply(Image.fromarray(IMAGE), op.draw(stream(replica), params, ArrayType("uint8", IMAGE.shape)), params)
        assert (
            as_array(picture) == as_array(op.apply(IMAGE, op.draw(stream(replica), params, ArrayType("uint8", IMAGE.shape)), params))
        ).all()
    assert len(found) > 1


def test_chance() -> None:
    for name, word in (("horizontal_flip", "flip"), ("vertical_flip", "flip")):
        op, params = op_of(name, {"p": 0.3})
        share = sum(op.draw(stream(i), params, ArrayType("uint8", (4, 4)))[word] for i in range(2000)) / 2000
        assert abs(share - 0.3) < 0.04
    op, params = op_of("random_erasing", {"p": 0})
    assert all(op.draw(stream(i), params, ArrayType("uint8", (9, 9)))["box"] is None for i in range(50))


def test_flips_mirror() -> None:
    op, params = op_of("horizontal_flip", {"p": 1})
    assert (op.apply(IMAGE, {"flip": True}, params) == IMAGE[:, ::-1]).all()
    op, params = op_of("vertical_flip", {"p": 1})
    assert (op.apply(IMAGE, {"flip": True}, params) == IMAGE[::-1]).all()


@pytest.mark.parametrize("mode", ["reflect", "replicate", "zero", "constant"])
def test_crop(mode: str) -> None:
    op, params = op_of("random_crop", {"size": 36, "padding": 4, "padding_mode": mode})
    word: Any = {"reflect": "reflect", "replicate": "edge"}.get(mode, "constant")
    padded = np.pad(IMAGE, ((4, 4), (4, 4), (0, 0)), mode=word)
    drawn = [op.draw(stream(i), params, ArrayType("uint8", IMAGE.shape)) for i in range(300)]
    assert {d["top"] for d in drawn} == set(range(9)) and {d["left"] for d in drawn} == set(range(21))
    assert (op.apply(IMAGE, {"top": 2, "left": 20}, params) == padded[2:38, 20:56]).all()


def test_crop_too_large() -> None:
    op, params = op_of("random_crop", {"size": 40, "padding": 1})
    with pytest.raises(BadRecord, match="wrong_size"):
        op.draw(stream(), params, ArrayType("uint8", (36, 48, 3)))
    with pytest.raises(OpTypeError):
        op.infer(ArrayType("uint8", (36, 48, 3)), params)
    assert op.infer(ArrayType("uint8", (None, None, 3)), params) == ArrayType("uint8", (40, 40, 3))


def test_jitter_is_pillows() -> None:
    op, params = op_of("color_jitter", {})
    assert op.draw(stream(), params, ArrayType("uint8", IMAGE.shape)) == {}
    image = Image.fromarray(IMAGE)
    want = ImageEnhance.Color(ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(1.2)).enhance(0.7)).enhance(1.5)
    assert (op.apply(IMAGE, {"brightness": 1.2, "contrast": 0.7, "saturation": 1.5}, params) == as_array(want)).all()
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    turned = as_array(op.apply(red, {"hue": 85}, params))
    assert turned[0, 0, 1] == 255 and turned[0, 0, 0] < 8 and turned[0, 0, 2] < 8


def test_erasing() -> None:
    op, params = op_of("random_erasing", {"p": 1, "scale": [0.1, 0.3], "ratio": [0.5, 2]})
    for i in range(100):
        top, left, tall, wide = op.draw(stream(i), params, ArrayType("uint8", (100, 80)))["box"]
        assert 0 <= top <= 100 - tall and 0 <= left <= 80 - wide
        assert 0.09 < tall * wide / 8000 < 0.31 and 0.48 < tall / wide < 2.05
    done = op.apply(IMAGE, {"box": [1, 2, 3, 4]}, params)
    mean = np.floor(IMAGE.reshape(-1, 3).mean(axis=0) + 0.5)
    assert (done[1:4, 2:6] == mean).all() and (done[4:] == IMAGE[4:]).all()


def test_rotate_and_blur() -> None:
    op, params = op_of("rotate", {"degrees": 90, "fill": 7})
    square = IMAGE[:36, :36]
    assert (op.apply(square, {"degrees": 90.0}, params) == np.rot90(square)).all()
    assert op.apply(IMAGE, {"degrees": 45.0}, params)[0, 0].tolist() == [7, 7, 7]
    op, params = op_of("gaussian_blur", {})
    flat = np.full((9, 9, 3), 77, np.uint8)
    assert (op.apply(flat, {"sigma": 1.5}, params) == 77).all()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("horizontal_flip", {"p": 7}),
        ("horizontal_flip", {"p": "0.5"}),
        ("random_crop", {}),
        ("random_crop", {"size": 0}),
        ("random_crop", {"size": 4, "padding_mode": "wrap"}),
        ("color_jitter", {"hue": 0.6}),
        ("color_jitter", {"brightness": -0.1}),
        ("random_erasing", {"scale": [0.5, 0.2]}),
        ("random_erasing", {"scale": [0, 0.2]}),
        ("random_erasing", {"ratio": [0, 2]}),
        ("rotate", {}),
        ("rotate", {"degrees": 181}),
        ("gaussian_blur", {"sigma": [0, 1]}),
        ("gaussian_blur", {"sigmas": [1, 1]}),
    ],
)
def test_parameters_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PLUGIN.ops[name].spec.params.model_validate(params)
