"""Refs cross the stages of the local engine as numbers, and come out as what went in."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.identity import record_key
from refinery_beam.job.interned import FEW_SLOTS, PIECE, InternedRefs, interning
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
    assert all(type(table.decode(data)) is Ref and len(data) == 8 for data in crossing)
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


def carried(coder: RefCoder) -> RefCoder:
    """The coder as a job carries it to its workers."""
    return pickle.loads(pickle.dumps(coder))  # noqa: S301


def test_refs_are_written_in_full_where_others_read_them() -> None:
    ref = made(1)
    full = RefCoder()
    written = full.get_impl().encode(ref)
    with interning():
        coder = carried(RefCoder())
        crossing = coder.get_impl().encode(ref)
        assert (len(crossing), coder.get_impl().decode(crossing)) == (8, ref)
        assert carried(full).get_impl().encode(ref) == written, "a job that was built outside"
        assert coder != full
    assert RefCoder() == full and RefCoder().get_impl().encode(ref) == written


def test_each_job_has_a_table_of_its_own() -> None:
    with interning(), ThreadPoolExecutor(1) as other:
        outer = carried(RefCoder())
        with interning():
            inner = carried(RefCoder())
            assert inner != outer
            crossing = inner.get_impl().encode(made(2))
            assert [outer.get_impl().encode(made(number)) for number in (1, 2)] != [crossing, crossing]
            assert inner.get_impl().decode(crossing) == made(2)
        assert carried(RefCoder()) == outer
        # Another thread may run a job for other processes.
        assert other.submit(lambda: carried(RefCoder())).result() == other.submit(RefCoder).result() != outer
        with pytest.raises(KeyError):
            carried(inner).get_impl()
