"""filter_by_label, random_sample, label_from_path, image_size_stats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from refinery_beam.plugins.base import FieldType, OpTypeError
from refinery_beam.plugins.common.filters import FilterByLabel, FilterByLabelParams, RandomSample, RandomSampleParams
from refinery_beam.plugins.common.label_from_path import LabelFromPath, LabelFromPathParams
from refinery_beam.plugins.image_classification.ops.fields import ImageSizeStats, ImageSizeStatsParams


def kept(labels: list[Any], action: str = "include") -> list[str | None]:
    params = FilterByLabelParams(labels=labels, action=action)
    return [label for label in ("cat", "dog", "0", "01", None) if FilterByLabel().keep(label, {}, params)]


def test_filter_by_label() -> None:
    assert kept(["cat"]) == ["cat"]
    assert kept(["cat"], "exclude") == ["dog", "0", "01", None]
    assert FilterByLabelParams(labels=["cat"]).action == "include"


def test_integers_mean_their_decimal_text() -> None:
    assert kept([0]) == ["0"]
    assert kept([1]) == []
    assert FilterByLabelParams(labels=[0]) == FilterByLabelParams(labels=["0"])


@pytest.mark.parametrize("labels", [[], [True], [None], [1.5], "cat"])
def test_labels_that_are_refused(labels: Any) -> None:
    with pytest.raises(ValidationError):
        FilterByLabelParams(labels=labels)


def test_yaml_booleans_are_explained() -> None:
    with pytest.raises(ValidationError, match="YAML read False, quote it"):
        FilterByLabelParams(labels=[False])


@pytest.mark.parametrize(
    ("records", "params", "quota"),
    [
        (10, {"fraction": 0.7}, 7),
        # As doubles, 100 * 0.29 is 28.999999999999996.
        (100, {"fraction": 0.29}, 29),
        (10, {"fraction": 1}, 10),
        (9, {"fraction": 0.1}, 0),
        (10**18, {"fraction": 0.1}, 10**17),
        (5, {"n": 3}, 3),
        (5, {"n": 9}, 5),
        (5, {"n": 0}, 0),
        (0, {"fraction": 0.5, "seed": 7}, 0),
    ],
)
def test_quotas_are_exact(records: int, params: dict[str, Any], quota: int) -> None:
    assert RandomSample().quota(records, RandomSampleParams(**params)) == quota


@pytest.mark.parametrize(
    "params", [{}, {"fraction": 0.5, "n": 3}, {"fraction": 0}, {"fraction": 1.1}, {"n": -1}, {"n": "3"}, {"n": True}, {"fraction": "0.5"}]
)
def test_bad_sample_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RandomSampleParams(**params)


def test_kinds() -> None:
    assert (FilterByLabel().kind, RandomSample().kind) == ("predicate", "sample")


@pytest.mark.parametrize(
    ("source", "path", "part"),
    [
        ("parent_directory_name", "photos/cat/1.tar.png", "cat"),
        ("filename", "photos/cat/1.tar.png", "1.tar.png"),
        ("stem", "photos/cat/1.tar.png", "1.tar"),
        ("stem", "plain", "plain"),
        ("parent_directory_name", "x/cafe\u0301/1.png", "caf\u00e9"),
    ],
)
def test_label_from_path(source: Any, path: str, part: str) -> None:
    assert LabelFromPath().featurize([path], LabelFromPathParams(source=source)) == part


def test_label_from_path_without_a_folder() -> None:
    with pytest.raises(ValueError, match=r"'1\.png' has no parent_directory_name"):
        LabelFromPath().featurize(["1.png"], LabelFromPathParams())


def test_featurizers_infer() -> None:
    assert LabelFromPath().infer([FieldType("str")], LabelFromPathParams()) == FieldType("str")
    assert ImageSizeStats().infer([FieldType("uint8", (None, None, 3))], ImageSizeStatsParams()) == FieldType("int64", (3,))
    assert ImageSizeStats().infer([FieldType("uint8", (8, 8))], ImageSizeStatsParams()) == FieldType("int64", (2,))
    with pytest.raises(OpTypeError):
        LabelFromPath().infer([FieldType("int64")], LabelFromPathParams())
    with pytest.raises(OpTypeError):
        ImageSizeStats().infer([], ImageSizeStatsParams())


def test_image_size_stats() -> None:
    found = ImageSizeStats().featurize([np.zeros((4, 5, 3))], ImageSizeStatsParams())
    assert found == [4, 5, 3] and all(type(n) is int for n in found)
    assert not LabelFromPath().needs_pixels and ImageSizeStats().needs_pixels
