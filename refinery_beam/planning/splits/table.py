"""Quotas of a whole table, strata by splits: controlled rounding, as plain functions of counts. No Beam.

The share of a split in a stratum is the stratum's count of groups times the split's ratio, seldom a whole number. Rounding each stratum by
itself keeps every row of the table near its shares and lets the columns drift: a hundred and fifty classes of two groups, each rounded to
2/0/0, leave two splits empty. A controlled rounding keeps both margins. Every cell is its share rounded down or up, rows sum to their
counts, and every column is within one of its own share. There always is one (Causey, Cox and Ernst, 1985).

How it is found. Strata come in the order of their seeded ranks. A stratum gives every split its share rounded down, and the groups left
over go to the splits that are furthest behind, among those whose share it rounds. That leaves the columns a few units off at most, and a
few exchanges mend it: the split that has too much gives a unit to another in a stratum that rounded the first up and the second down, over
several splits if need be. Where no such way leads on, no rounding of the table is nearer: that is the argument of augmenting paths.
Everything is integers over the ratios' common denominator, so nothing depends on the order in which counts were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from refinery_beam.planning.splits.quotas import largest_remainder, position


def controlled_rounding(counts: Mapping[str, int], shares: Sequence[Fraction], *, seed: int = 0) -> dict[str, list[int]]:
    """Groups by stratum -> the quotas of its shares, which sum to at most one; a rest beyond them is nobody's.

    Every quota is within one of the stratum's share, and the sum of each column within one of the share of all groups. Where the table
    allows it the columns are the largest remainders of all groups, ties to the earlier share; so a single stratum is `largest_remainder`.
    Ties between strata go by their seeded ranks. Takes time and memory in proportion to the strata.

    >>> from refinery_beam.planning.splits.quotas import weights
    >>> table = controlled_rounding({f"class {i}": 2 for i in range(150)}, weights([0.7, 0.15, 0.15]))
    >>> [sum(column) for column in zip(*table.values())]
    [210, 45, 45]
    """
    columns = _Columns(shares)
    for stratum in seeded_order(counts, seed=seed):
        columns.deal(stratum, counts[stratum])
    columns.settle(sum(counts.values()))
    return dict(columns.quotas(counts))


def seeded_order(strata: Iterable[str], *, seed: int) -> list[str]:
    """Strata by their seeded ranks: the order in which they are dealt, so that no name is always first."""
    return sorted(strata, key=lambda stratum: position("stratum", seed, "Splits", stratum.encode()))


class _Columns:
    """The columns of a table that is being rounded. A row is two sets of columns, as bits: those whose share it rounds, and those that it
    rounds up. `behind` is the share of each column minus its quotas so far, in units of one over the denominator.
    """

    def __init__(self, shares: Sequence[Fraction]) -> None:
        self.numerators, self.denominator = numerators(shares)
        self.behind = [0] * len(self.numerators)
        self.rows: dict[str, tuple[int, int]] = {}

    def deal(self, stratum: str, count: int) -> None:
        """Round the shares of a stratum: those furthest behind up."""
        rests = [count * n % self.denominator for n in self.numerators]
        rounded = [i for i, rest in enumerate(rests) if rest]
        for i in rounded:
            self.behind[i] += rests[i]
        left = sum(rests) // self.denominator
        up = sorted(rounded, key=lambda i: (-self.behind[i], i))[:left]
        for i in up:
            self.behind[i] -= self.denominator
        if rounded:
            self.rows[stratum] = (_bits(rounded), _bits(up))

    def settle(self, groups: int) -> None:
        """Exchange units between columns, first towards the largest remainders of all groups, then into the bounds."""
        best = largest_remainder(groups, [Fraction(n, self.denominator) for n in self.numerators])
        wanted = [groups * n - b * self.denominator for n, b in zip(self.numerators, best, strict=True)]
        one, columns = self.denominator, range(len(wanted))
        while self._exchange([i for i in columns if self.behind[i] < wanted[i]], _bits(i for i in columns if self.behind[i] > wanted[i])):
            pass
        while self._exchange([i for i in columns if self.behind[i] <= -one], _bits(i for i in columns if self.behind[i] > 0)):
            pass
        while self._exchange([i for i in columns if self.behind[i] < 0], _bits(i for i in columns if self.behind[i] >= one)):
            pass

    def quotas(self, counts: Mapping[str, int]) -> Iterator[tuple[str, list[int]]]:
        for stratum, count in counts.items():
            _, up = self.rows.get(stratum, (0, 0))
            yield stratum, [count * n // self.denominator + (up >> i & 1) for i, n in enumerate(self.numerators)]

    def _exchange(self, givers: Sequence[int], takers: int) -> bool:
        """Move one unit from a giver to a taker, over other columns if need be, by the shortest way; False if there is none."""
        came: dict[int, tuple[int, str]] = {}
        queue, reached = list(givers), _bits(givers)
        for here in queue:
            for stratum, (rounded, up) in self.rows.items():
                if not up >> here & 1:
                    continue
                for there in _each_bit(rounded & ~up & ~reached):
                    came[there] = (here, stratum)
                    if takers >> there & 1:
                        self._move(there, came)
                        return True
                    reached |= 1 << there
                    queue.append(there)
        return False

    def _move(self, there: int, came: Mapping[int, tuple[int, str]]) -> None:
        self.behind[there] -= self.denominator
        while there in came:
            here, stratum = came[there]
            rounded, up = self.rows[stratum]
            self.rows[stratum] = (rounded, up ^ (1 << here | 1 << there))
            there = here
        self.behind[there] += self.denominator


def numerators(shares: Sequence[Fraction]) -> tuple[list[int], int]:
    """Shares as integers over one denominator, with the rest to one as a last share if there is any.

    >>> numerators([Fraction(1, 2), Fraction(1, 3)])
    ([3, 2, 1], 6)
    """
    denominator = math.lcm(*(share.denominator for share in shares))
    found = [int(share * denominator) for share in shares]
    rest = denominator - sum(found)
    return ([*found, rest] if rest > 0 else found), denominator


def _bits(columns: Iterable[int]) -> int:
    return sum(1 << i for i in columns)


def _each_bit(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
