"""Near signatures without an engine: what bands and forests find is what comparing all pairs finds."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.planning.splits.forest import find, union
from refinery_beam.planning.splits.near import bands, spanning_pairs
from support.signatures import apart, by_brute_force, components, to_bytes

WORDS = st.integers(0, (1 << 64) - 1)


def by_bands(signatures: list[bytes], distance: int) -> dict[bytes, bytes]:
    buckets: dict[tuple[int, int], list[bytes]] = {}
    for signature in signatures:
        for band in bands(signature, distance):
            buckets.setdefault(band, []).append(signature)
    found: list[tuple[bytes, bytes]] = []
    for members in buckets.values():
        pairs = spanning_pairs(members, distance)
        assert len(pairs) < len(set(members)) or not pairs
        found += pairs
    assert all(apart(a, b) <= distance for a, b in found)
    return components(found)


@st.composite
def clustered(draw: st.DrawFn) -> list[bytes]:
    """Signatures around a few centres, so that there are neighbours, chains of them, and some that miss by a bit."""
    found = []
    for centre in draw(st.lists(WORDS, min_size=1, max_size=4)):
        word = centre
        for flips in draw(st.lists(st.lists(st.integers(0, 63), max_size=6), max_size=8)):
            word = (word if draw(st.booleans()) else centre) ^ sum(1 << b for b in set(flips))
            found.append(to_bytes(word))
    return found


@given(signatures=clustered(), distance=st.integers(0, 10))
def test_bands_miss_no_pair(signatures: list[bytes], distance: int) -> None:
    assert by_bands(signatures, distance) == by_brute_force(signatures, distance)


@given(word=WORDS, distance=st.integers(0, 10), flips=st.sets(st.integers(0, 63), max_size=10))
def test_the_pigeonhole(word: int, distance: int, flips: set[int]) -> None:
    other = word ^ sum(1 << b for b in flips)
    if len(flips) <= distance:
        assert set(bands(to_bytes(word), distance)) & set(bands(to_bytes(other), distance))
    assert len(bands(to_bytes(word), distance)) == distance + 1


@given(signatures=clustered(), seed=st.integers(0, 5), cut=st.integers(0, 20))
def test_unions_in_any_order_and_grouping(signatures: list[bytes], seed: int, cut: int) -> None:
    pairs = list(pairwise(signatures))
    shuffled = pairs[:]
    random.Random(seed).shuffle(shuffled)
    parts = [components(shuffled[:cut]), components(shuffled[cut:])]
    assert components(pair for part in parts for pair in part.items()) == components(pairs)


@pytest.mark.parametrize("distance", range(11))
def test_bands_cover_every_bit_once(distance: int) -> None:
    """One set bit changes one band, and 64 bits change them all."""
    zero = dict(bands(bytes(8), distance))
    changed = [[band for band, value in bands(to_bytes(1 << bit), distance) if value != zero[band]] for bit in range(64)]
    assert all(len(one) == 1 for one in changed)
    sizes = [sum(one == [band] for one in changed) for band in range(distance + 1)]
    assert sum(sizes) == 64 and max(sizes) - min(sizes) <= 1


def test_a_dense_bucket_gives_a_tree() -> None:
    """A hundred signatures, each near each other: 99 pairs connect them."""
    near = [to_bytes(1 << bit) for bit in range(50)]
    assert len(spanning_pairs(near + near, 2)) == 49
    assert spanning_pairs(near[:1], 2) == [] and spanning_pairs([bytes(8), b"\xff" * 8], 10) == []


@given(pairs=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40))
def test_union_find_is_connected_components(pairs: list[tuple[int, int]]) -> None:
    """Against sets that are merged one by one; the root of a component is its smallest node."""
    forest: dict[bytes, bytes] = {}
    parts: list[set[int]] = []
    for one, other in pairs:
        union(forest, bytes([one]), bytes([other]))
        touched = [part for part in parts if part & {one, other}]
        parts = [part for part in parts if part not in touched] + [{one, other}.union(*touched)]
    assert {node: find(forest, node) for node in list(forest)} == {bytes([n]): bytes([min(part)]) for part in parts for n in part}
    assert find(forest, b"new") == b"new"
