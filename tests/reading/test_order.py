"""The order of an epoch: every row once, and the same batches whoever serves them."""

import hashlib
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_beam.reading.order import LANES, STREAMS, EpochOrder


def order(sizes: list[int], batch_size: int, **options: object) -> EpochOrder:
    return EpochOrder(sizes=tuple(sizes), batch_size=batch_size, **{"seed": 1, "epoch": 0, "key": b"k", "window": 2, **options})  # type: ignore[arg-type]


sizes_of_groups = st.lists(st.integers(1, 9), max_size=150)


@settings(max_examples=150, deadline=None)
@given(sizes_of_groups, st.integers(1, 40), st.integers(0, 3), st.booleans())
def test_every_row_comes_once(sizes: list[int], batch_size: int, epoch: int, drop_last: bool) -> None:
    it = order(sizes, batch_size, epoch=epoch, drop_last=drop_last)
    batches = [it.batch(step) for step in range(it.steps)]
    every = Counter(pair for batch in batches for pair in batch)
    rows = {(group, row) for group, size in enumerate(sizes) for row in range(size)}
    assert max(every.values(), default=1) == 1
    assert every.keys() <= rows
    rest = sum(sizes) % batch_size
    assert len(rows - every.keys()) == (rest if drop_last else 0)
    assert [len(batch) for batch in batches] == [batch_size] * (sum(sizes) // batch_size) + ([rest] if rest and not drop_last else [])


@settings(max_examples=60, deadline=None)
@given(sizes_of_groups, st.integers(1, 40), st.data())
def test_streams_can_be_walked_from_anywhere(sizes: list[int], batch_size: int, data: st.DataObject) -> None:
    it = order(sizes, batch_size)
    lane, stream = data.draw(st.integers(0, it.lanes - 1)), data.draw(st.integers(0, it.streams - 1))
    whole = [(int(g), int(r)) for part in it.walk(lane, stream) for g, r in zip(part.groups, part.rows, strict=True)]
    assert len(whole) == it.length(lane, stream)
    start = data.draw(st.integers(0, len(whole)))
    rest = [(int(g), int(r)) for part in it.walk(lane, stream, start=start) for g, r in zip(part.groups, part.rows, strict=True)]
    assert rest == whole[start:]
    count = data.draw(st.integers(1, 20))
    cut = [len(part.rows) for part in it.walk(lane, stream, count=count)]
    assert cut == [count] * (len(whole) // count) + ([len(whole) % count] if len(whole) % count else [])


def test_what_the_order_depends_on() -> None:
    sizes = [3] * 200
    batches = [order(sizes, 16).batch(2)]
    batches += [order(sizes, 16, **{name: value}).batch(2) for name, value in (("seed", 2), ("epoch", 1), ("key", b"other"))]
    batches.append(order(sizes, 32).batch(1)[:16])
    assert len({str(batch) for batch in batches}) == len(batches)
    assert order(sizes, 16).batch(2) == batches[0]
    # The order is a promise: a change of it is a new release.
    assert order(sizes, 16).batch(0)[:2] == PINNED
    assert order(sizes, 16, shuffle=False).batch(1) == [(k // 3, k % 3) for k in range(16, 32)]


PINNED = [(130, 1), (53, 0)]


@pytest.mark.parametrize(
    ("groups", "batch_size", "lanes", "streams"), [(1, 8, 1, 1), (4, 8, 1, 2), (64, 64, LANES, STREAMS), (64, 6, 4, 2), (64, 7, 4, 1)]
)
def test_lanes_and_streams_follow_the_data(groups: int, batch_size: int, lanes: int, streams: int) -> None:
    it = order([3] * groups, batch_size)
    assert (it.lanes, it.streams) == (lanes, streams)


def test_workers_of_whole_lanes_read_their_own_groups() -> None:
    it = order([4] * 256, 32)
    assert (it.lanes, it.streams) == (4, 8)
    read = [{group for step in range(lane, it.steps, 4) for group, _ in it.batch(step)} for lane in range(4)]
    for one in range(4):
        for other in range(one):
            # Neighbours share a group where a stream ends inside of one.
            assert len(read[one] & read[other]) <= it.streams


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(1, 40), st.integers(0, 3))
def test_a_shard_is_gone_through_in_one_go(shards: list[int], batch_size: int, epoch: int) -> None:
    it = order([3] * sum(shards), batch_size, epoch=epoch, shards=tuple(shards))
    shard_of = [shard for shard, groups in enumerate(shards) for _ in range(groups)]
    visited: list[int] = []
    for lane in range(it.lanes):
        for stream in range(it.streams):
            groups = it.groups_of(lane, stream)
            rows = {int(group) for part in it.walk(lane, stream) for group in part.groups}
            assert set(groups) == rows
            visited += groups
    runs = [shard_of[group] for k, group in enumerate(visited) if k == 0 or shard_of[group] != shard_of[visited[k - 1]]]
    assert sorted(runs) == list(range(len(shards))), "each shard is one run"


def test_the_order_is_the_same_on_every_python() -> None:
    it = order([7, 7, 7, 4] * 40, 16, epoch=2, shards=(40,) * 4)
    text = json.dumps([it.batch(step) for step in range(it.steps)])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "7acbe0623cf91770"


def test_batches_are_nearly_as_mixed_as_those_of_a_full_permutation() -> None:
    rows, batch_size, epochs = 4000, 32, 6
    met: dict[int, set[int]] = {row: set() for row in range(0, rows, 40)}
    for epoch in range(epochs):
        it = order([8] * (rows // 8), batch_size, epoch=epoch, shards=(25,) * 20, window=3)
        for step in range(it.steps):
            batch = {8 * group + row for group, row in it.batch(step)}
            for row in batch & met.keys():
                met[row] |= batch - {row}
    # Of 31 neighbours an epoch, a full permutation repeats few.
    full = rows * (1 - (1 - (batch_size - 1) / rows) ** epochs)
    assert sum(map(len, met.values())) / len(met) > 0.95 * full
