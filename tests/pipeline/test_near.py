"""Clusters of near signatures on an engine, and which of a cluster stays."""

from __future__ import annotations

import random

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

import refinery_beam.pipeline.rows.coders  # noqa: F401
from refinery_beam.identity import record_key
from refinery_beam.pipeline.filters.duplicates import Clusters, keep_first
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.records import LedgerRow, Ref
from support.signatures import by_brute_force, components, to_bytes


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
