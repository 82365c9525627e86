"""Controlled rounding of a table of strata by splits, and the quotas of groups of several sizes: laws by hypothesis, exact values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refinery_beam.planning.splits.cells import cell_key, cell_quotas, read_cell
from refinery_beam.planning.splits.quotas import largest_remainder, weights
from refinery_beam.planning.splits.table import _Columns, controlled_rounding, numerators, seeded_order

ASKED_AND_RIGHT = [
    (20, 25, (0.7, 0.15, 0.15), [350, 75, 75]),
    (20, 15, (0.7, 0.15, 0.15), [210, 45, 45]),
    (50, 10, (0.7, 0.15, 0.15), [350, 75, 75]),
    (50, 12, (0.9, 0.05, 0.05), [540, 30, 30]),
    (75, 4, (0.7, 0.15, 0.15), [210, 45, 45]),
    (100, 3, (0.7, 0.15, 0.15), [210, 45, 45]),
    (150, 2, (0.7, 0.15, 0.15), [210, 45, 45]),
]


def totals(table: Mapping[str, Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*table.values(), strict=True)]


def whole(shares: Sequence[Fraction]) -> list[Fraction]:
    """The shares with the rest that is nobody's."""
    rest = 1 - sum(shares, Fraction(0))
    return [*shares, rest] if rest else list(shares)


@pytest.mark.parametrize(("classes", "each", "ratios", "right"), ASKED_AND_RIGHT)
@pytest.mark.parametrize("seed", [0, 1, 77])
def test_equal_classes_do_not_all_round_alike(classes: int, each: int, ratios: tuple[float, ...], right: list[int], seed: int) -> None:
    table = controlled_rounding({f"class {i}": each for i in range(classes)}, weights(ratios), seed=seed)
    assert totals(table) == right
    assert all(abs(quota - each * share) < 1 for row in table.values() for quota, share in zip(row, weights(ratios), strict=True))


@st.composite
def shares_of(draw: st.DrawFn) -> list[Fraction]:
    """Shares that sum to one, or to less."""
    parts = draw(st.lists(st.integers(0, 30), min_size=1, max_size=7).filter(any))
    rest = draw(st.sampled_from([0, 0, 5]))
    return [Fraction(part, sum(parts) + rest) for part in parts]


COUNTS = st.lists(st.one_of(st.integers(0, 4), st.integers(0, 200)), max_size=40).map(
    lambda counts: {f"s{i}": n for i, n in enumerate(counts)}
)


def margins_are_kept(counts: dict[str, int], shares: list[Fraction], seed: int) -> None:
    table = controlled_rounding(counts, shares, seed=seed)
    assert table.keys() == counts.keys()
    for stratum, row in table.items():
        assert sum(row) == counts[stratum]
        assert all(abs(quota - counts[stratum] * share) < 1 for quota, share in zip(row, whole(shares), strict=True))
    groups = sum(counts.values())
    assert all(abs(total - groups * share) < 1 for total, share in zip(totals(table), whole(shares), strict=False))


@given(counts=COUNTS, shares=shares_of(), seed=st.integers(0, 9))
@example(counts={"a": 6, "b": 4}, shares=[Fraction(1, 4), Fraction(1, 4), Fraction(1, 6), Fraction(1, 3)], seed=0)
@example(counts={}, shares=[Fraction(1, 2)], seed=0)
def test_both_margins_are_kept(counts: dict[str, int], shares: list[Fraction], seed: int) -> None:
    margins_are_kept(counts, shares, seed)


@pytest.mark.slow
@settings(max_examples=2_000)
@given(counts=COUNTS, shares=shares_of(), seed=st.integers(0, 9))
def test_both_margins_of_two_thousand_tables(counts: dict[str, int], shares: list[Fraction], seed: int) -> None:
    margins_are_kept(counts, shares, seed)


@given(counts=COUNTS, shares=shares_of(), seed=st.integers(0, 9))
def test_the_order_of_counts_is_nothing(counts: dict[str, int], shares: list[Fraction], seed: int) -> None:
    other = dict(reversed(counts.items()))
    assert controlled_rounding(counts, shares, seed=seed) == controlled_rounding(other, shares, seed=seed)


@given(count=st.integers(0, 1000), shares=shares_of())
def test_one_stratum_gets_largest_remainders(count: int, shares: list[Fraction]) -> None:
    assert controlled_rounding({"": count}, shares)[""][: len(shares)] == largest_remainder(count, shares)


def test_ties_between_strata_go_by_the_seed() -> None:
    strata = {f"class {i}": 1 for i in range(10)}
    halves = weights([0.5, 0.5])
    firsts = {seed: [s for s, row in controlled_rounding(strata, halves, seed=seed).items() if row[0]] for seed in range(4)}
    assert all(len(first) == 5 for first in firsts.values())
    assert len(set(map(tuple, firsts.values()))) == 4
    assert sorted(seeded_order(strata, seed=1)) == sorted(strata) and seeded_order(strata, seed=1) != seeded_order(strata, seed=2)


@given(counts=COUNTS, shares=shares_of(), chance=st.randoms(use_true_random=False))
def test_exchanges_mend_any_rounding(counts: dict[str, int], shares: list[Fraction], chance: Random) -> None:
    """From rows that were rounded by chance, however far that took the columns."""
    columns = _Columns(shares)
    for stratum, count in counts.items():
        columns.deal(stratum, count)
    for stratum, (rounded, up) in columns.rows.items():
        free = [i for i in range(len(columns.numerators)) if rounded >> i & 1]
        other = sum(1 << i for i in chance.sample(free, up.bit_count()))
        for i in free:
            columns.behind[i] += columns.denominator * ((up >> i & 1) - (other >> i & 1))
        columns.rows[stratum] = (rounded, other)
    columns.settle(sum(counts.values()))
    table = dict(columns.quotas(counts))
    assert {stratum: sum(row) for stratum, row in table.items()} == counts
    groups = sum(counts.values())
    for total, share, behind in zip(totals(table), whole(shares), columns.behind, strict=False):
        assert groups * share - total == Fraction(behind, columns.denominator) and abs(groups * share - total) < 1


def test_the_search_ends_where_no_stratum_leads_on() -> None:
    """One stratum rounds the first two columns, the other the last two: no unit can go from here to there."""
    columns = _Columns([Fraction(1, 4)] * 4)
    columns.rows = {"low": (0b0011, 0b0011), "high": (0b1100, 0b0000)}
    columns.behind = [-2, -2, 2, 2]
    columns.settle(2)
    assert columns.rows == {"low": (0b0011, 0b0011), "high": (0b1100, 0b0000)}, "nothing to exchange"


def test_shares_as_integers() -> None:
    assert numerators(weights([0.7, 0.15, 0.15])) == ([14, 3, 3], 20)
    assert numerators([Fraction(0), Fraction(1, 4)]) == ([0, 1, 3], 4)


# -- groups of several sizes ---------------------------------------------------------------------------------------------------------

SIZES = st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), st.integers(1, 30), min_size=1, max_size=12)


@given(sizes=SIZES, shares=shares_of(), seed=st.integers(0, 3))
def test_cells_sum_to_the_rounding_of_their_stratum(sizes: dict[tuple[str, int], int], shares: list[Fraction], seed: int) -> None:
    cells = {cell_key(stratum, size): count for (stratum, size), count in sizes.items()}
    quotas = cell_quotas(cells, shares, seed=seed)
    assert quotas == cell_quotas(dict(reversed(cells.items())), shares, seed=seed)
    assert {cell: sum(row) for cell, row in quotas.items()} == cells
    assert all(quota >= 0 for row in quotas.values() for quota in row)
    counts: dict[str, int] = {}
    rows: dict[str, list[int]] = {}
    for cell, row in quotas.items():
        stratum, _ = read_cell(cell)
        counts[stratum] = counts.get(stratum, 0) + cells[cell]
        rows[stratum] = [a + b for a, b in zip(rows.get(stratum, [0] * len(row)), row, strict=True)]
    assert rows == controlled_rounding(counts, shares, seed=seed)


def test_records_come_near_what_was_asked() -> None:
    """Two thousand groups in a hundred classes, of 1 to 37 records: both margins hold in groups, and records are within one group."""
    cells: dict[str, int] = {}
    for number in range(2000):
        size = 1 + (number * number * 7 + number // 3) % 37 if number % 3 == 0 else 1
        key = cell_key(f"class {number % 100}", size)
        cells[key] = cells.get(key, 0) + 1
    quotas = cell_quotas(cells, weights([0.7, 0.15, 0.15]))
    assert totals(quotas) == [1400, 300, 300]
    records = [sum(read_cell(cell)[1] * row[i] for cell, row in quotas.items()) for i in range(3)]
    asked = [sum(records) * share for share in weights([0.7, 0.15, 0.15])]
    assert all(abs(got - want) < 37 for got, want in zip(records, asked, strict=True)), (records, asked)


def test_one_giant_is_told_apart() -> None:
    """The largest group goes where most is lacking, and the small ones fill up what each split is owed."""
    assert cell_quotas({cell_key("", 500): 1, cell_key("", 1): 99}, weights([0.7, 0.2, 0.1])) == {"500 ": [1, 0, 0], "1 ": [69, 20, 10]}


def test_cells_are_read_back() -> None:
    for stratum in ("", '"a b"', "null", '"1 2"'):
        assert read_cell(cell_key(stratum, 12)) == (stratum, 12)
