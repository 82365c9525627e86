"""Clusters of near signatures are those of comparing every pair, in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.facts.near import clusters, pairs

FEW = st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=3)


@st.composite
def signatures(draw: st.DrawFn) -> list[int]:
    """Some words, and others that differ from them in a few bits."""
    bases = draw(FEW)
    near = st.tuples(st.sampled_from(bases), st.lists(st.integers(0, 63), max_size=7))
    words = []
    for base, bits in draw(st.lists(near, min_size=1, max_size=25)):
        for bit in bits:
            base ^= 1 << bit
        words.append(base)
    return words


def by_pairs(words: list[int], distance: int, odd: int | None = None) -> list[int]:
    parents = list(range(len(words)))

    def root(i: int) -> int:
        return i if parents[i] == i else root(parents[i])

    for i in range(len(words)):
        for j in range(i + 1, len(words)):
            if (words[i] ^ words[j]).bit_count() <= distance and (odd is None or (i % odd == 0) == (j % odd == 0)):
                a, b = sorted((root(i), root(j)))
                parents[b] = a
    return [root(i) for i in range(len(words))]


@settings(deadline=None)
@given(words=signatures(), distance=st.sampled_from([0, 1, 4, 6]))
def test_clusters_are_those_of_all_pairs(words: list[int], distance: int) -> None:
    array = np.array(words, np.uint64)
    assert clusters(array, distance).tolist() == by_pairs(words, distance)
    near = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words)) if (words[i] ^ words[j]).bit_count() <= distance]
    assert [tuple(pair) for pair in pairs(array, distance).tolist()] == near


@settings(deadline=None)
@given(words=signatures(), odd=st.sampled_from([2, 3]))
def test_pairs_that_are_not_alike_are_not_joined(words: list[int], odd: int) -> None:
    found = clusters(np.array(words, np.uint64), 4, lambda a, b: (a % odd == 0) == (b % odd == 0))
    assert found.tolist() == by_pairs(words, 4, odd)


@settings(deadline=None)
@given(words=signatures(), order=st.randoms(use_true_random=False))
def test_order_does_not_matter(words: list[int], order: object) -> None:
    moved = np.arange(len(words))
    order.shuffle(moved)  # type: ignore[attr-defined]
    plain = clusters(np.array(words, np.uint64), 4)
    other = clusters(np.array(words, np.uint64)[moved], 4)

    def groups(roots: np.ndarray, names: np.ndarray) -> set[frozenset[int]]:
        return {frozenset(names[roots == root].tolist()) for root in np.unique(roots)}

    assert groups(plain, np.arange(len(words))) == groups(other, moved)


@pytest.mark.parametrize("records", [100, 100_000])
def test_twins_among_many(records: int) -> None:
    words = np.random.Generator(np.random.Philox(1)).integers(0, 1 << 64, records, dtype=np.uint64)
    words[records // 2 :: 10] = words[: len(words[records // 2 :: 10])] ^ np.uint64(0b1011)
    roots = clusters(words, 4)
    expected = np.arange(records)
    expected[records // 2 :: 10] = np.arange(len(words[records // 2 :: 10]))
    # Chance brings two of 100,000 random words within 4 bits with a probability of 2e-4; of this seed it brings none.
    assert (roots == expected).all()


def test_many_equal_ones_end_early() -> None:
    words = np.zeros(20_000, np.uint64)
    words[::2] ^= np.uint64(1)
    assert clusters(words, 4, lambda a, b: np.ones(len(a), bool)).tolist() == [0] * len(words)
