"""Clusters of near signatures: what bands and forests find is what comparing all pairs finds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

import refinery_beam.pipeline.rows.coders  # noqa: F401
from refinery_beam.identity import record_key
from refinery_beam.pipeline.filters.duplicates import Clusters, keep_first
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.planning.splits.forest import find, union
from refinery_beam.planning.splits.near import bands, spanning_pairs
from refinery_beam.records import LedgerRow, Ref

WORDS = st.integers(0, (1 << 64) - 1)


def to_bytes(word: int) -> bytes:
    return word.to_bytes(8, "big")


def apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def components(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    forest: dict[bytes, bytes] = {}
    for one, other in pairs:
        union(forest, one, other)
    return {node: find(forest, node) for node in list(forest)}


def by_brute_force(signatures: list[bytes], distance: int) -> dict[bytes, bytes]:
    words = sorted(set(signatures))
    return components((a, b) for i, a in enumerate(words) for b in words[:i] if apart(a, b) <= distance)


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


def make_ref(number: int, digest: bytes = b"d", group: bytes = b"") -> Ref:
    record_id = f"s/{number:04d}.png"
    return Ref(record_id, record_key(record_id), 0, f"{number:04d}.png", 1, digest, "cat", "", group, "", "", "")


@pytest.mark.parametrize("with_groups", [False, True])
def test_clusters_on_an_engine(with_groups: bool) -> None:
    generator = random.Random(5)
    words = [generator.getrandbits(64) for _ in range(300)]
    words += [w ^ (1 << generator.randrange(64)) ^ (1 << generator.randrange(64)) for w in words[:60]] + words[:20]
    found = [(to_bytes(w), make_ref(i, group=bytes([i % 7]) * 32)) for i, w in enumerate(words)]
    want = by_brute_force([s for s, _ in found], 3)
    if with_groups:
        want = components([*want.items(), *((s, r.group) for s, r in found)])
    generator.shuffle(found)
    with beam.Pipeline(runner="FnApiRunner") as p:
        roots = p | beam.Create(found).with_output_types(tuple[bytes, Ref]) | Clusters(3, with_groups=with_groups)
        assert_that(roots, equal_to(sorted(want.items())))


@given(order=st.permutations(range(6)))
def test_the_smallest_key_stays(order: list[int]) -> None:
    step = FilterStep(name="once", op="drop_duplicates", version=1, params={}, seed=0, kind="duplicates", splits=())
    out = list(keep_first((b"x", [make_ref(i) for i in order]), step))
    first = min((make_ref(i) for i in range(6)), key=lambda r: r.key)
    assert [r for r in out if isinstance(r, Ref)] == [first]
    gone = [r.value for r in out if not isinstance(r, Ref)]
    assert {r.record_id for r in gone} == {make_ref(i).record_id for i in range(6)} - {first.record_id}
    assert all(isinstance(r, LedgerRow) and (r.reason, r.detail) == ("duplicate", f"kept: {first.record_id}") for r in gone)
