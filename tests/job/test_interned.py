"""Refs cross the stages of the local engine as numbers, and come out as what went in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.identity import record_key
from refinery_beam.job.interned import FEW_SLOTS, PIECE, InternedRefs, interned_refs, interning
from refinery_beam.pipeline.rows.coders import RefCoder
from refinery_beam.records import Ref

# A few of each, so that refs share keys, and differ in one field.
WORDS = st.sampled_from(["", "a", "ä", "a\udc80", "train", '["x"]'])
BYTES = st.sampled_from([b"", b"k" * 32, b"j" * 32, b"k" * 7 + b"l" * 25])
REFS = st.builds(
    Ref,
    record_id=WORDS,
    key=BYTES,
    source=st.integers(0, 2),
    path=WORDS,
    size=st.sampled_from([0, 1, 2**31, 2**62]),
    digest=BYTES,
    label=st.none() | WORDS,
    partition=WORDS,
    group=BYTES,
    split=WORDS,
    fields=WORDS,
    lineage=WORDS,
    tags=WORDS,
    kind=st.sampled_from(["sha256", "md5"]),
)


def made(number: int, **fields: Any) -> Ref:
    path = f"class_{number % 7}/{number:06d}.png"
    ref = Ref(path, record_key(path), 0, path, number, record_key(f"d{number}"), f"class_{number % 7}", "", b"", "", "", "")
    return ref._replace(**fields)


@given(st.lists(REFS, max_size=40))
def test_refs_come_out_as_they_went_in(refs: list[Ref]) -> None:
    table = InternedRefs()
    crossing = [table.encode(ref) for ref in refs]
    assert [table.decode(data) for data in crossing] == refs
    assert all(type(table.decode(data)) is Ref and len(data) == 12 for data in crossing)
    for ref, data in zip(refs, crossing, strict=True):
        assert [one == ref for one in refs] == [other == data for other in crossing]


def test_a_split_and_tags_take_no_room() -> None:
    table = InternedRefs()
    for split in ("", "train", "test"):
        for tags in ("", '["few"]'):
            for number in range(100):
                ref = made(number, split=split, tags=tags)
                assert table.decode(table.encode(ref)) == ref
    assert table.refs == 100


def test_threads_share_a_table_that_grows() -> None:
    table, refs = InternedRefs(), [made(number) for number in range(3 * FEW_SLOTS)]

    def cross(some: list[Ref]) -> list[Ref]:
        return [table.decode(table.encode(ref)) for ref in some]

    with ThreadPoolExecutor(8) as pool:
        orders = [refs, refs[::-1], refs[1000:] + refs[:1000], refs[::-1]] * 2
        assert list(pool.map(cross, orders)) == orders
    assert table.refs == len(refs)


def test_a_ref_may_be_larger_than_a_piece() -> None:
    table, long = InternedRefs(), "x" * (PIECE + 1)
    refs = [made(1), made(2, fields=long), made(3), made(4, fields=long[:-9]), made(5)]
    crossing = [table.encode(ref) for ref in refs]
    assert [table.decode(data) for data in crossing] == refs


def test_tables_are_not_mixed_up() -> None:
    with pytest.raises(ValueError, match="another table"):
        InternedRefs().decode(InternedRefs().encode(made(1)))


def test_refs_are_written_in_full_where_others_read_them() -> None:
    ref = made(1)
    written = RefCoder().get_impl().encode(ref)
    with interning():
        outer = interned_refs()
        with interning():
            assert interned_refs() is outer
        assert interned_refs() is outer is not None
        # Beam keeps the implementation of a coder: a job makes coders of its own.
        coder = RefCoder()
        assert coder.get_impl().encode(ref) == outer.encode(ref)
        assert coder.get_impl().decode(outer.encode(ref)) == ref
    assert interned_refs() is None
    assert RefCoder().get_impl().encode(ref) == written
