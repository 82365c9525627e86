"""Quotas of cells: the groups of one size in one stratum. Plain functions of counts, without Beam.

A group is never divided, so groups are what `table.controlled_rounding` counts. Where they have several sizes, as many groups as
wanted may still be too many records. Which of a stratum's groups a split gets is free, and this is used: groups of one size are a
*cell*, each cell has quotas of its own, and inside a cell the seeded ranks decide.

The rule, for one stratum after the other in the order of seeded ranks, and from its largest groups to its smallest. A cell is dealt in
proportion to the groups that the stratum still owes each split, rounded down. Each group left over goes to the split that lacks the most
records by then, among those whose part was rounded. The smallest groups fill what is owed. What one stratum gives too much, the next ones
take back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from refinery_beam.planning.splits.table import controlled_rounding, numerators, seeded_order


def cell_key(stratum: str, size: int) -> str:
    """The groups of one size in a stratum, as text."""
    return f"{size} {stratum}"


def read_cell(key: str) -> tuple[str, int]:
    """The stratum and the size of a cell.

    >>> read_cell(cell_key('"a cat"', 3))
    ('"a cat"', 3)
    """
    size, _, stratum = key.partition(" ")
    return stratum, int(size)


def cell_quotas(cells: Mapping[str, int], shares: Sequence[Fraction], *, seed: int = 0) -> dict[str, list[int]]:
    """Groups by cell -> the quotas of each cell. Over the cells of a stratum they sum to its controlled rounding.

    >>> from refinery_beam.planning.splits.quotas import weights
    >>> cell_quotas({cell_key("", 9): 2, cell_key("", 1): 8}, weights([0.5, 0.5]))
    {'9 ': [1, 1], '1 ': [4, 4]}
    """
    sizes: dict[str, dict[int, int]] = {}
    for key, count in cells.items():
        stratum, size = read_cell(key)
        sizes.setdefault(stratum, {})[size] = count
    table = controlled_rounding({stratum: sum(counts.values()) for stratum, counts in sizes.items()}, shares, seed=seed)
    if all(len(counts) == 1 for counts in sizes.values()):
        return {cell_key(stratum, size): table[stratum] for stratum, (size,) in sizes.items()}
    parts, denominator = numerators(shares)
    lacking = [0] * len(parts)
    found: dict[str, list[int]] = {}
    for stratum in seeded_order(sizes, seed=seed):
        owed = table[stratum]
        for size, count in sorted(sizes[stratum].items(), reverse=True):
            lacking = [have + size * count * part for have, part in zip(lacking, parts, strict=True)]
            dealt = _deal(count, owed, lacking, size * denominator)
            owed = [rest - quota for rest, quota in zip(owed, dealt, strict=True)]
            found[cell_key(stratum, size)] = dealt
    return found


def _deal(count: int, owed: Sequence[int], lacking: list[int], weight: int) -> list[int]:
    """`count` groups of one weight dealt to splits that are owed at least as many; what they bring is taken off `lacking`."""
    total = sum(owed)
    dealt = [count * rest // total for rest in owed]
    for i, quota in enumerate(dealt):
        lacking[i] -= quota * weight
    rounded = [i for i, rest in enumerate(owed) if count * rest % total]
    for i in sorted(rounded, key=lambda i: (-lacking[i], i))[: count - sum(dealt)]:
        dealt[i] += 1
        lacking[i] -= weight
    return dealt
