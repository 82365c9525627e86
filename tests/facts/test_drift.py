"""drift.json: exact counts in any grouping, and the distances that their definitions give."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.facts.drift import MOST_PAIRS, Summary, compare, document, low_end, low_ends, numbers_of

COUNTS = st.dictionaries(st.integers(0, 40), st.integers(1, 9), min_size=1, max_size=8)


@given(value=st.integers(-(1 << 52), 1 << 52))
def test_a_bin_holds_what_shares_five_bits(value: int) -> None:
    end = low_end(value)
    assert abs(end) <= abs(value) < abs(end) + max(1, abs(end) // 16) or value == end
    assert low_end(end) == end
    assert low_ends(np.array([value])).tolist() == [end]


@given(
    values=st.lists(st.none() | st.integers(-1_000_000, 1_000_000), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    back=st.booleans(),
)
def test_summaries_of_parts_make_the_whole(values: list[int | None], cuts: list[int], back: bool) -> None:
    edges = [0, *sorted(cuts), 40]
    parts = []
    for a, b in itertools.pairwise(edges):
        part = Summary()
        part.add(pa.table({"fact": pa.array(values[a:b], pa.int32())}), ["fact"])
        parts.append(part)
    joined, whole = Summary(), Summary()
    for part in reversed(parts) if back else parts:
        joined.join(part)
    whole.add(pa.table({"fact": pa.array(values, pa.int32())}), ["fact"])
    there = [value for value in values if value is not None]
    assert joined.as_document({}) == whole.as_document({})
    if there:
        assert joined.as_document({"fact": 100})["fact"] == {
            "scale": 100,
            "records": len(there),
            "missing": len(values) - len(there),
            "sum": sum(there),
            "bins": [list(pair) for pair in sorted(Counter(map(low_end, there)).items())],
        }


def made(labels: dict[str, dict[str, int]], numbers: dict[str, dict[int, int]], *, scale: int = 1) -> dict[str, Any]:
    """A document of splits with such labels and such counts of one number."""
    features = {
        split: {
            "facts": {
                "size": {
                    "scale": scale,
                    "records": sum(counts.values()),
                    "missing": 0,
                    "sum": sum(value * count for value, count in counts.items()),
                    "bins": [list(pair) for pair in sorted(counts.items())],
                }
            },
            "values": {},
            "channels": {"grey": [counts.get(value, 0) for value in range(256)]},
        }
        for split, counts in numbers.items()
    }
    counts = {split: sum(found.values()) for split, found in labels.items()}
    return document(plugin="p", recipe_hash="h", counts=counts, classes=labels, unlabeled=(), features=features)


def moved(p: dict[int, int], q: dict[int, int]) -> Fraction:
    """The first Wasserstein distance by sorted quantiles: both samples repeated to one size, and paired in order."""
    many = math.lcm(sum(p.values()), sum(q.values()))
    one, other = (
        sorted(value for value, count in counts.items() for _ in range(count * many // sum(counts.values()))) for counts in (p, q)
    )
    return Fraction(sum(abs(a - b) for a, b in zip(one, other, strict=True)), many)


def divergence(p: dict[str, int], q: dict[str, int]) -> float:
    """The square root of the mean of two Kullback-Leibler divergences."""
    total = 0.0
    for one, other in ((p, q), (q, p)):
        for name, count in one.items():
            share = count / sum(one.values())
            mean = (share + other.get(name, 0) / sum(other.values())) / 2
            total += share * math.log2(share / mean) / 2
    return math.sqrt(max(0.0, total))


@given(p=COUNTS, q=COUNTS)
def test_distances_between_splits_are_those_of_their_formulas(p: dict[int, int], q: dict[int, int]) -> None:
    labels = {"train": {str(k): v for k, v in p.items()}, "test": {str(k): v for k, v in q.items()}}
    body = made(labels, {"train": p, "test": q})
    found = body["distances"]["train,test"]
    assert abs(Fraction(found["facts"]["size"]["wasserstein"]) - moved(p, q)) <= Fraction(1, 20_000)
    assert found["channels"]["grey"] == found["facts"]["size"]
    shares = [Fraction(p.get(k, 0), sum(p.values())) - Fraction(q.get(k, 0), sum(q.values())) for k in {*p, *q}]
    assert abs(Fraction(found["labels"]["l_infinity"]) - max(map(abs, shares))) <= Fraction(1, 20_000)
    assert float(found["labels"]["jensen_shannon"]) == pytest.approx(divergence(labels["train"], labels["test"]), abs=1e-4)
    # Of two documents: one of them against the other is the same as one split against the other.
    one, other = made({"train": labels["train"]}, {"train": p}), made({"train": labels["test"]}, {"train": q})
    compared = compare(one, other)["splits"]
    assert compared["all"] == compared["train"]
    assert compared["all"]["facts"]["size"]["wasserstein"] == found["facts"]["size"]["wasserstein"]
    assert compared["all"]["labels"]["jensen_shannon"] == found["labels"]["jensen_shannon"]
    back = compare(other, one)["splits"]["all"]
    assert back["facts"]["size"]["wasserstein"] == found["facts"]["size"]["wasserstein"]
    assert compare(one, one)["splits"]["all"]["labels"]["l_infinity"] == "0.0000"


def test_exact_values() -> None:
    body = made({"train": {"a": 3, "b": 1}, "test": {"a": 1, "b": 1}}, {"train": {10: 3, 20: 1}, "test": {10: 1, 20: 1}}, scale=10)
    found = body["distances"]["train,test"]
    # A quarter of the records moves by ten, in units of a tenth; the channel has no scale.
    assert found["facts"]["size"]["wasserstein"] == "0.2500"
    assert found["channels"]["grey"]["wasserstein"] == "2.5000"
    # H(5/8, 3/8) - (H(3/4, 1/4) + H(1/2, 1/2)) / 2 = 0.954434 - (0.811278 + 1) / 2 = 0.048795, and its root.
    assert found["labels"] == {"l_infinity": "0.2500", "jensen_shannon": "0.2209"}


def test_splits_and_labels_of_one_side_are_named() -> None:
    a = made({"train": {"a": 2}, "val": {"a": 1}}, {"train": {1: 2}, "val": {1: 1}})
    b = made({"train": {"b": 2}, "extra": {"b": 1}}, {"train": {1: 2}, "extra": {1: 1}})
    found = compare(a, b)
    assert (found["only_in_a"], found["only_in_b"], list(found["splits"])) == (["val"], ["extra"], ["all", "train"])
    labels = found["splits"]["train"]["labels"]
    assert (labels["only_in_a"], labels["only_in_b"], labels["l_infinity"], labels["jensen_shannon"]) == (["a"], ["b"], "1.0000", "1.0000")


def test_a_document_without_facts_says_so() -> None:
    bare = document(plugin="p", recipe_hash="h", counts={"train": 2}, classes={"train": {"a": 2}}, unlabeled=(), features={})
    whole = made({"train": {"a": 2}}, {"train": {1: 2}})
    assert bare["feature_summary"] == {}
    found = compare(bare, whole)
    assert found["missing"] == ["a has no summary of its facts, so only labels are compared"]
    assert found["splits"]["train"]["facts"] == {}
    assert found["splits"]["train"]["labels"]["l_infinity"] == "0.0000"


def test_an_unlabeled_split_has_no_label_distance() -> None:
    counts = {"train": 2, "test": 1}
    body = document(plugin="p", recipe_hash="h", counts=counts, classes={"train": {"a": 2}}, unlabeled=["test"], features={})
    assert body["splits"]["test"] == {"record_count": 1, "class_distribution": None, "note": "skipped: unlabeled"}
    assert body["distances"]["train,test"]["labels"] == {"l_infinity": None, "jensen_shannon": None}


def test_distances_of_many_splits_are_bounded() -> None:
    labels = {f"split{n:02}": {"a": 1} for n in range(30)}
    assert len(made(labels, {split: {1: 1} for split in labels})["distances"]) == MOST_PAIRS


def test_numbers_are_whole_facts_and_what_follows_from_them() -> None:
    types = {"width": pa.int32(), "height": pa.int32(), "phash": pa.int64(), "orientation": pa.int8(), "format": pa.string()}
    names = numbers_of(pa.schema(list(types.items())), signature="phash")
    assert {"width", "height"} < set(names)
    assert not {"phash", "orientation", "format"} & set(names)
