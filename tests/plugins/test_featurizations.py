"""categorical_encode, flatten and perceptual_hash, without a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refinery_beam.plugins.base import FieldType, OpTypeError
from refinery_beam.plugins.common.vocabulary import CategoricalEncode, CategoricalEncodeParams, ValueCounts
from refinery_beam.plugins.image_classification.ops.dhash import dhash
from refinery_beam.plugins.image_classification.ops.fields import Flatten, FlattenParams
from refinery_beam.plugins.image_classification.ops.phash import distance, phash
from refinery_beam.testing.conformance import check_op
from refinery_beam.testing.images import draw


def test_counts_merge_in_any_grouping() -> None:
    op = CategoricalEncode()
    check_op(op, {"ordering": "first_seen"}, [["b"], ["a"], ["b"], ["c"]])
    counts = ValueCounts()
    for k, value in enumerate(["x", 1, True, "1", None, "x"]):
        counts.observe([value], bytes([9 - k]) * 32)
    assert counts.count == 5
    assert [(v, n) for v, n, _ in counts.items()] == [(True, 1), (1, 1), ("1", 1), ("x", 2)]
    assert ValueCounts.loads(counts.dumps()).dumps() == counts.dumps()


def test_too_much_for_a_list() -> None:
    with pytest.raises(OpTypeError, match=r"at most 65536 values, this image has 150528: store the image with encoding: tensor"):
        Flatten().infer([FieldType("uint8", (224, 224, 3))], FlattenParams())


def test_hashes_find_what_looks_alike() -> None:
    one, other = draw("circle", 1, size=(96, 72)), draw("triangle", 5, size=(96, 72))
    smaller, brighter = one.resize((48, 36)), one.point(lambda v: min(255, v + 6))
    for hashed in (phash, dhash):
        assert distance(hashed(one), hashed(smaller)) <= 8
        assert distance(hashed(one), hashed(brighter)) <= 8
        assert distance(hashed(one), hashed(other)) >= 16
        assert hashed(one) == hashed(np.asarray(one))


def test_whole_numbers_are_ordered_by_size_whatever_they_came_from() -> None:
    """Class folders and tables give text."""
    op = CategoricalEncode()

    def learned(*values: Any) -> list[Any]:
        counts = op.partial(CategoricalEncodeParams())
        for k, value in enumerate(values):
            counts.observe([value], bytes([k]) * 32)
        return list(op.fit(counts, CategoricalEncodeParams())["vocabulary"])

    assert learned("10", "2", "1", "12") == ["1", "2", "10", "12"]
    assert learned(10, 2, 1) == [1, 2, 10]
    assert learned("10", "-2", "0") == ["-2", "0", "10"]
    # A zero in front is no plain number, and a word among them makes words of all.
    assert learned("10", "02", "1") == ["02", "1", "10"]
    assert learned("10", "2", "owl") == ["10", "2", "owl"]
