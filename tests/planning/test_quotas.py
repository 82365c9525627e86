"""Quotas and the cut by rank, against slow and obvious references."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.planning.splits.quotas import (
    bucket,
    cumulative,
    edges_of,
    is_sampled,
    largest_remainder,
    locate,
    part_by_hash,
    part_of,
    position,
    weights,
)

RATIOS = st.sampled_from([(0.7, 0.2, 0.1), (0.6, 0.3, 0.1), (0.7, 0.15, 0.15), (0.5, 0.5), (1.0,), (0.33, 0.33, 0.34), (0.1,) * 10])


def test_seventy_twenty_ten_loses_nobody() -> None:
    # Cumulated floats give 0.9999... here; truncating them lost one record a class.
    assert largest_remainder(20, weights([0.7, 0.2, 0.1])) == [14, 4, 2]
    assert largest_remainder(60, weights([0.7, 0.2, 0.1])) == [42, 12, 6]
    assert largest_remainder(10, weights([0.6, 0.3, 0.1])) == [6, 3, 1]


def test_thirds_are_even() -> None:
    third = 1 / 3
    assert largest_remainder(57, weights([third, third, third])) == [19, 19, 19]


def test_below_one_the_rest_is_nobodys() -> None:
    assert largest_remainder(100, weights([0.5, 0.25])) == [50, 25]
    assert largest_remainder(3, weights([0.3, 0.3])) == [1, 1]


def test_ties_go_to_the_earlier_share() -> None:
    assert largest_remainder(1, weights([0.5, 0.5])) == [1, 0]
    assert largest_remainder(3, weights([0.7, 0.15, 0.15])) == [2, 1, 0]


@given(count=st.integers(0, 10_000), ratios=RATIOS)
def test_quotas_sum_and_stay_within_one(count: int, ratios: tuple[float, ...]) -> None:
    shares = weights(ratios)
    parts = largest_remainder(count, shares)
    assert sum(parts) == count
    assert all(abs(part - count * share) < 1 for part, share in zip(parts, shares, strict=True))


@given(positions=st.sets(st.binary(min_size=4, max_size=4), min_size=1, max_size=60), data=st.data())
def test_locate_finds_what_sorting_finds(positions: set[bytes], data: st.DataObject) -> None:
    order = sorted(positions)
    cuts = data.draw(st.lists(st.integers(0, len(order)), min_size=1, max_size=4).map(sorted))
    counts = Counter(bucket(p) for p in order)
    found = locate(counts, cuts)
    for cut, located in zip(cuts, found, strict=True):
        if cut == 0:
            assert located is None
        else:
            assert located is not None
            inside = sorted(p for p in order if bucket(p) == located[0])
            assert inside[located[1]] == order[cut - 1]


def test_edges_cut_an_order_into_even_buckets() -> None:
    order = [number.to_bytes(2, "big") + b"k" * 38 for number in range(4000)]
    edges = edges_of(reversed(order))
    assert len(edges) == 255 and edges == sorted(edges)
    sizes = Counter(bisect_left(edges, position) for position in order)
    assert len(sizes) == 256 and max(sizes.values()) <= 17
    assert edges_of([]) == []
    long = edges_of(number.to_bytes(2, "big") + b"x" * 1000 for number in range(4000))
    assert len(long) == 49 and sum(map(len, long)) <= 48 << 10


def test_one_position_in_256_is_sampled() -> None:
    positions = [b"2024" + position("split", 0, "Splits", number.to_bytes(32, "big")) for number in range(20_000)]
    assert 50 < sum(map(is_sampled, positions)) < 110


def test_part_of_skips_empty_parts() -> None:
    assert [part_of(p, [b"b", b"", b"d"]) for p in (b"a", b"b", b"c", b"d", b"e")] == [0, 0, 2, 2, 3]


def test_positions_are_pinned() -> None:
    found = position("split", 11, "Splits", b"k" * 32)
    assert found.hex()[:16] == "63ed0ba684a89481"
    assert found[8:] == b"k" * 32


def test_cumulative() -> None:
    assert cumulative([]) == []
    assert cumulative([3, 0, 2]) == [3, 3, 5]


@given(keys=st.lists(st.binary(min_size=32, max_size=32), unique=True, min_size=1, max_size=50))
def test_hash_parts_do_not_depend_on_company(keys: list[bytes]) -> None:
    shares = weights([0.8, 0.2])
    ungrouped = [part_by_hash(position("split", 0, "Splits", k), shares) for k in keys]
    assert ungrouped == [part_by_hash(position("split", 0, "Splits", k), shares) for k in keys]
    assert set(ungrouped) <= {0, 1}


def test_hash_edges_are_exact() -> None:
    half = weights([0.5, 0.5])
    assert part_by_hash((2**63 - 1).to_bytes(8, "big"), half) == 0
    assert part_by_hash((2**63).to_bytes(8, "big"), half) == 1
    assert part_by_hash(b"\xff" * 8, weights([0.5, 0.25])) == 2


@pytest.mark.parametrize(("ratios", "want"), [([0.1, 0.2], [Fraction(1, 10), Fraction(1, 5)]), ([1], [Fraction(1)])])
def test_weights_are_decimal(ratios: list[float], want: list[Fraction]) -> None:
    assert weights(ratios) == want
