"""Sorting on disk gives what sorting in memory gives, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.errors import StoreError
from refinery_beam.records import LedgerRow
from refinery_beam.sorting import Again, Sorter


def first(row: tuple[Any, ...]) -> Any:
    return row[0]


@given(rows=st.lists(st.tuples(st.binary(max_size=2), st.integers(), st.none() | st.text())), limit=st.integers(1, 9))
def test_runs_merge_to_the_sorted_list(rows: list[tuple[Any, ...]], limit: int) -> None:
    sorter: Sorter[tuple[Any, ...]] = Sorter(key=first, make=tuple, limit=limit)
    for row in rows:
        sorter.add(row)
    assert list(sorter) == sorted(rows, key=first)
    assert list(sorter) == list(sorter)
    assert (len(sorter), sorter.spilled) == (len(rows), len(rows) >= limit)


def test_more_runs_than_a_block(tmp_path: Path) -> None:
    sorter: Sorter[tuple[int]] = Sorter(key=first, make=tuple, folder=str(tmp_path / "scratch"), limit=500)
    for k in range(3210):
        sorter.add(((k * 1709) % 3210,))
    assert [row[0] for row in sorter] == list(range(3210))


def test_two_readings_at_once() -> None:
    sorter: Sorter[tuple[int]] = Sorter(key=first, make=tuple, limit=3)
    for k in reversed(range(10)):
        sorter.add((k,))
    assert list(zip(sorter, sorter, strict=True)) == [((k,), (k,)) for k in range(10)]


def test_rows_get_their_type_back() -> None:
    sorter = Sorter(key=first, make=LedgerRow._make, limit=1)
    row = LedgerRow("s/caf\udce9", "", "Input", "", "bad_name", "")
    sorter.add(row)
    (found,) = sorter
    assert found == row and found.reason == "bad_name"


def test_nothing_is_left(tmp_path: Path) -> None:
    sorter: Sorter[tuple[int]] = Sorter(key=first, make=tuple, folder=str(tmp_path), limit=2)
    for k in range(9):
        sorter.add((k,))
    assert sorter.spilled and os.listdir(tmp_path) == []


def test_a_place_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sorter: Sorter[tuple[int]] = Sorter(key=first, make=tuple, folder=str(tmp_path / "file"), limit=1)
    with pytest.raises(StoreError) as caught:
        sorter.add((1,))
    assert (caught.value.code, caught.value.at) == ("store-io", str(tmp_path / "file"))


def test_again() -> None:
    stream = Again(lambda: iter("ab"))  # type: ignore[arg-type]
    assert [*stream, *stream] == ["a", "b", "a", "b"]
