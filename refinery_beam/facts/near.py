"""Near duplicates among many 64-bit signatures: which differ in few bits, and which are connected by such pairs.

Two words that differ in at most d bits agree in at least two of d + 2 blocks of their bits: d bits spoil at most d blocks. So for each pair
of blocks the signatures are sorted by the bits of both, and only neighbours with equal ones are compared (multi-index hashing: M. Norouzi,
A. Punjani and D. Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012, with two blocks instead of one). For d = 4
that is 15 sorts, with 21 bits in common: among a million signatures that spread well a comparison finds half a neighbour.

Memory: some 100 bytes a signature, in NumPy arrays, and `BLOCK` comparisons at a time. Time grows with the number of signatures and with
the pairs that agree in two blocks; where thousands agree, comparing ends as soon as all are connected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]

BITS = 64

BLOCK = 1 << 20
"""Comparisons that are made at once."""

CHECK = 32
"""After so many comparisons of each member, runs whose members are connected already are dropped."""


Alike: TypeAlias = Callable[["Array", "Array"], "Array"]
"""Which of the pairs of positions (two arrays) may be joined: an array of bools."""


def clusters(signatures: Array, distance: int, alike: Alike | None = None) -> Array:
    """For each of some signatures (uint64) the number of its cluster: the least position of its members.

    A cluster is a connected component of the pairs that differ in at most `distance` bits and are `alike`, where that is given.

    >>> import numpy as np
    >>> clusters(np.array([0, 1, 3, 7 << 40, 0], np.uint64), 1).tolist()
    [0, 0, 0, 3, 0]
    """
    import numpy as np

    parents = np.arange(len(signatures))
    if alike is None:
        # Equal ones are one, and only one of them is compared.
        words, first, inverse = np.unique(signatures, return_index=True, return_inverse=True)
        compared = np.arange(len(words))
        for order, runs in _buckets(words, distance):
            _connect(words, order, runs, distance, compared, None)
        least = np.full(len(words), len(signatures))
        roots = _roots(compared, np.arange(len(words)))
        np.minimum.at(least, roots, first)
        return least[roots[inverse.reshape(-1)]]
    for order, runs in _buckets(signatures, distance):
        _connect(signatures, order, runs, distance, parents, alike)
    return _roots(parents, np.arange(len(parents)))


def pairs(signatures: Array, distance: int) -> Array:
    """All pairs of positions (i, j) with i < j whose signatures differ in at most `distance` bits: an array (n, 2), sorted. For groups that
    are known to be small.
    """
    import numpy as np

    count = len(signatures)
    first, second = np.triu_indices(count, 1)
    near = np.bitwise_count(signatures[first] ^ signatures[second]) <= distance
    return np.stack([first[near], second[near]], axis=1)


def _buckets(words: Array, distance: int) -> Iterator[tuple[Array, Array]]:
    """For each pair of blocks: the order of words by their bits in both, and where each run of equal ones with more than one member starts
    and ends, as (runs, 2).
    """
    import numpy as np

    count = distance + 2
    borders = [i * BITS // count for i in range(count + 1)]
    masks = [((1 << (b - a)) - 1) << a for a, b in pairwise(borders)]
    for one, other in combinations(masks, 2):
        keys = words & np.uint64(one | other)
        order = np.argsort(keys, kind="stable")
        sorted_keys = keys[order]
        changes = np.flatnonzero(sorted_keys[1:] != sorted_keys[:-1]) + 1
        edges = np.concatenate([[0], changes, [len(words)]])
        runs = np.stack([edges[:-1], edges[1:]], axis=1)
        yield order, runs[runs[:, 1] - runs[:, 0] > 1]


def _connect(words: Array, order: Array, runs: Array, distance: int, parents: Array, alike: Alike | None) -> None:
    """Join the words of each run that are near each other."""
    import numpy as np

    # Every member is compared with the one k further on, k = 1, 2, ...: members without one that far drop out.
    lengths = runs[:, 1] - runs[:, 0]
    here, ends, step = _ranges(runs), np.repeat(runs[:, 1], lengths), 1
    while True:
        left = here + step < ends
        here, ends = here[left], ends[left]
        if not len(here):
            return
        for start in range(0, len(here), BLOCK):
            part = here[start : start + BLOCK]
            a, b = order[part], order[part + step]
            near = np.bitwise_count(words[a] ^ words[b]) <= distance
            a, b = a[near], b[near]
            if alike is not None:
                agreed = alike(a, b)
                a, b = a[agreed], b[agreed]
            _join(parents, a, b)
        if step % CHECK == 0:
            runs = runs[_apart(parents, order, runs)]
            keep = np.isin(ends, runs[:, 1])
            here, ends = here[keep], ends[keep]
        step += 1


def _apart(parents: Array, order: Array, runs: Array) -> Array:
    """Which runs have members that are not connected: those that are need no more comparisons, however many their members."""
    import numpy as np

    lengths = runs[:, 1] - runs[:, 0]
    roots = _roots(parents, order[_ranges(runs)])
    starts = lengths.cumsum() - lengths
    if not len(starts):
        return np.zeros(0, bool)
    apart: Array = np.minimum.reduceat(roots, starts) != np.maximum.reduceat(roots, starts)
    return apart


def _ranges(runs: Array) -> Array:
    """The whole numbers of each half-open range (n, 2), one after the other."""
    import numpy as np

    if not len(runs):
        return np.zeros(0, np.int64)
    lengths = runs[:, 1] - runs[:, 0]
    starts = np.repeat(runs[:, 0] - np.concatenate([[0], lengths.cumsum()[:-1]]), lengths)
    return starts + np.arange(lengths.sum())


def _join(parents: Array, a: Array, b: Array) -> None:
    """Join nodes pair by pair; the least node of a component stays its root."""
    import numpy as np

    first, second = _roots(parents, a), _roots(parents, b)
    while True:
        apart = first != second
        if not apart.any():
            return
        first, second = first[apart], second[apart]
        low, high = np.minimum(first, second), np.maximum(first, second)
        # Of several pairs with one greater root the least partner wins; the others are joined in the next turn.
        np.minimum.at(parents, high, low)
        first, second = _roots(parents, low), _roots(parents, high)


def _roots(parents: Array, nodes: Array) -> Array:
    """The roots of nodes. Shortens their ways."""
    import numpy as np

    start, found = nodes, parents[nodes]
    while True:
        above = parents[found]
        if np.array_equal(above, found):
            parents[start] = found
            return found
        found = above
