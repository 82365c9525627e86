"""The nineteen corruptions: types in and out, stronger with severity, and no draw that another pair could disturb."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from refinery_beam.identity import Stream, record_key
from refinery_beam.plugins.base import ArrayType, BadRecord, OpTypeError
from refinery_beam.plugins.common.duplicate_minority_class import DuplicateMinorityClass
from refinery_beam.plugins.image_classification.ops.corruptions import CORRUPTIONS, corrupt
from refinery_beam.plugins.image_classification.ops.generate import NAMES, ImagecorruptionsApply
from refinery_beam.plugins.image_classification.ops.sampling import disc, gaussian, motion, sample, zoom
from refinery_beam.plugins.image_classification.ops.weather import plasma
from refinery_beam.plugins.image_classification.pixels import as_array
from refinery_beam.testing.images import draw

OP = ImagecorruptionsApply()


def one(kind: str, severity: int, image: Any) -> Any:
    return as_array(corrupt(image, kind, severity, Stream(seed=1, op="c", key=record_key("a"), replica=f"{kind}:{severity}")))


def test_all_nineteen() -> None:
    assert len(NAMES) == 19 and set(NAMES) == set(CORRUPTIONS)


@pytest.mark.parametrize("kind", NAMES)
def test_types_and_strength(kind: str) -> None:
    image = draw("circle", 1, size=(72, 64))
    before = as_array(image).astype(int)
    change = []
    for severity in range(1, 6):
        done = one(kind, severity, image)
        assert done.dtype == np.uint8 and done.shape == (64, 72, 3)
        change.append(abs(done.astype(int) - before).mean())
        if kind != "saturate":
            grey = one(kind, severity, image.convert("L"))
            assert grey.dtype == np.uint8 and grey.shape == (64, 72)
            assert (one(kind, severity, as_array(image.convert("L"))[:, :, None])[:, :, 0] == grey).all()
    assert min(change) > 0.3
    if kind in ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "contrast", "gaussian_blur", "jpeg_compression", "snow"):
        assert change == sorted(change)


@pytest.mark.parametrize("kind", NAMES)
def test_argument_is_left_alone_and_threads_agree(kind: str) -> None:
    array = as_array(draw("square", 2, size=(40, 36))).copy()
    array.setflags(write=False)
    serial = one(kind, 3, array)
    with ThreadPoolExecutor(4) as pool:
        assert all((done == serial).all() for done in pool.map(lambda _: one(kind, 3, array), range(8)))


def test_a_pair_does_not_depend_on_its_neighbours() -> None:
    few = OP.generated(OP.spec.params(corruption_types=("fog",), severities=(2,)))
    many = OP.generated(OP.spec.params(corruption_types=("snow", "fog", "frost"), severities=(1, 2, 5), preserve_original=True))
    assert [v.name for v in few] == ["fog:2"]
    assert len(many) == 10 and many[0] == ("none:0", {"type": "none", "severity": 0}, {"corruption": "none", "severity": 0})
    assert few[0] in many


def test_what_is_refused() -> None:
    small = Image.new("RGB", (31, 64))
    with pytest.raises(BadRecord, match="wrong_size"):
        one("fog", 1, small)
    with pytest.raises(BadRecord, match="unsupported_mode"):
        one("fog", 1, Image.new("RGBA", (64, 64)))
    with pytest.raises(OpTypeError):
        OP.infer(ArrayType("uint8", (None, None, 4)), OP.spec.params(corruption_types=("fog",), severities=(1,)))
    bad: list[dict[str, Any]] = [
        {"corruption_types": ["fogg"], "severities": [1]},
        {"corruption_types": [], "severities": [1]},
        {"corruption_types": ["fog", "fog"], "severities": [1]},
        {"corruption_types": ["fog"], "severities": [0]},
        {"corruption_types": ["fog"], "severities": [6]},
        {"corruption_types": ["fog"], "severities": [1, 1]},
        {"corruption_types": ["fog"], "severities": [1], "tag_fields": ["sevrity"]},
        {"corruption_types": ["fog"], "severities": [1], "tag_fields": {"x": "severity", "y": "severity"}},
        {"corruption_types": ["fog"]},
    ]
    for params in bad:
        with pytest.raises(ValidationError):
            OP.spec.params.model_validate(params)
    with pytest.raises(ValidationError, match="did you mean 'fog'"):
        OP.spec.params.model_validate(bad[0])
    with pytest.raises(ValidationError, match=r"own name first, then the tag: \{kind: corruption\}"):
        OP.spec.params.model_validate({"corruption_types": ["fog"], "severities": [1], "tag_fields": {"corruption": "kind"}})


def test_tag_fields() -> None:
    params = OP.spec.params.model_validate(
        {"corruption_types": ["fog"], "severities": [1], "tag_fields": {"kind": "corruption", "s": "seed"}}
    )
    assert OP.fields(params) == {"corruption": "kind", "seed": "s"}
    assert OP.spec.params.model_validate(params.model_dump(mode="json")) == params
    assert list(OP.fields(OP.spec.params(corruption_types=("fog",), severities=(1,)))) == ["corruption", "severity", "source_path"]


def test_duplicates_fill_up_to_the_largest() -> None:
    op = DuplicateMinorityClass()
    assert [op.extra(n, 10, op.spec.params()) for n in (3, 10)] == [7, 0]


def test_filters_keep_what_is_flat() -> None:
    flat = np.full((40, 44, 3), 0.25)
    for done in (gaussian(flat, 6.0), gaussian(flat, 30.0, border="symmetric"), motion(flat, 10, 3.0, 20.0), zoom(flat, 1.3)):
        assert np.abs(done - 0.25).max() < 1e-12
    assert np.abs(disc(flat * 400, 10, 0.5) - 100).max() < 1e-9
    rows, columns = np.mgrid[0:40, 0:44].astype(float)
    assert (sample(flat, rows + 50.5, columns - 70.25, border="reflect") == 0.25).all()


def test_filters_against_the_definition() -> None:
    image = np.arange(30 * 34 * 1, dtype=float).reshape(30, 34, 1) % 17
    wide = gaussian(image, 15.0, border="symmetric")
    weights = np.exp(-(np.arange(-60, 61) ** 2) / 450.0)
    weights /= weights.sum()
    padded = np.pad(image[:, :, 0], 60, mode="symmetric")
    want = np.array([weights @ padded[:, i : i + 121].T for i in range(34)]).T
    want = np.array([weights @ want[i : i + 121] for i in range(30)])
    assert np.abs(wide[:, :, 0] - want).max() < 1e-9
    y, x = np.mgrid[-4:5, -4:5]
    kernel = (x * x + y * y <= 16) / (x * x + y * y <= 16).sum()
    inner = disc(image, 4, 1e-3)[10, 10, 0]
    assert abs(inner - (kernel * image[6:15, 6:15, 0]).sum()) < 1e-9


def test_plasma_spans_its_range() -> None:
    heights = plasma(64, 2.0, Stream(seed=1, op="p", key=b"k"))
    assert heights.shape == (64, 64) and heights.min() == 0.0 and heights.max() == 1.0


def strengths(kind: str, images: int = 12) -> list[float]:
    """The mean difference to drawn images of 160 pixels, by severity."""
    found = []
    for severity in range(1, 6):
        changes = []
        for k in range(images):
            image = draw("circle", k, size=(160, 160))
            stream = Stream(seed=1, op="c", key=record_key(str(k)), replica=f"{kind}:{severity}")
            changes.append(np.abs(as_array(corrupt(image, kind, severity, stream)).astype(int) - as_array(image)).mean())
        found.append(float(np.mean(changes)))
    return found


def test_each_severity_of_elastic_transform_is_a_little_stronger() -> None:
    found = strengths("elastic_transform")
    assert found == sorted(found)
    assert all(1.04 < after / before < 1.3 for before, after in itertools.pairwise(found))


def test_frost_is_as_bright_as_photographs_of_frost() -> None:
    black, white = Image.new("RGB", (224, 224)), Image.new("RGB", (224, 224), "white")
    for severity, (keep, cover) in enumerate(((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)), 1):
        frosted = [
            as_array(corrupt(black, "frost", severity, Stream(seed=1, op="c", key=record_key(str(k)), replica=severity))) for k in range(40)
        ]
        red, green, blue = np.mean(frosted, axis=(0, 1, 2)) / cover
        # The mean colour of the photographs is 146, 167, 179.
        assert (red, green, blue) == (pytest.approx(146, abs=12), pytest.approx(167, abs=12), pytest.approx(179, abs=12))
        assert (as_array(corrupt(white, "frost", severity, Stream(seed=1, op="c", key=b"k"))) >= int(255 * keep) - 1).all()
