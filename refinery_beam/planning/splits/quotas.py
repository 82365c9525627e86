"""Exact quotas and the cut by rank, as plain functions. No Beam.

Within a stratum, groups are in the order of their *position*: eight bytes of seeded rank, then the group key, which breaks
ties. A quota cuts that order. To find the cut among a hundred million groups without sorting them, count the groups by the first bits of
their position, locate the bucket that holds each cut, and sort only that bucket (a radix selection in two passes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from refinery_beam.identity import Hasher

BUCKET_BITS = 10
"""Enough that a bucket of a hundred million groups holds a hundred thousand, few enough for counters of a thousand strata at once."""


def position(domain: str, seed: int, name: str, key: bytes) -> bytes:
    """The position of a group: 8 bytes of seeded rank and its key, compared as bytes.

    >>> len(position("split", 0, "Splits", b"k" * 32))
    40
    """
    hasher = _begun(domain, seed, name).copy()
    hasher.add(key)
    return hasher.digest()[:8] + key


@lru_cache(maxsize=64)
def _begun(domain: str, seed: int, name: str) -> Hasher:
    # A hundred million positions of one split begin alike.
    return Hasher(domain, seed, name)


def bucket(position: bytes) -> int:
    """The first bits of a position: 0..1023."""
    return int.from_bytes(position[:2], "big") >> (16 - BUCKET_BITS)


SAMPLED_BITS = 8
"""One group in 256 is in the sample that gives edges."""

EDGES, EDGE_BYTES = 255, 48 << 10
"""The most edges of a stratum, and the most bytes of them together: they cross a stage as one element."""


def is_sampled(position: bytes) -> bool:
    """Whether a position is in a sample by its rank, which stands before the group key at its end."""
    return position[-40] >> (8 - SAMPLED_BITS) == 0


def edges_of(sample: Iterable[bytes]) -> list[bytes]:
    """Edges that cut the order of positions into buckets about as even as the sample's own order: at most 255, and fewer where
    positions are long.

    >>> edges_of([b"c", b"a", b"b"])
    [b'a', b'b', b'c']
    """
    order = sorted(sample)
    count = min(len(order), EDGES, EDGE_BYTES // max(map(len, order), default=1))
    return [order[(2 * i + 1) * len(order) // (2 * count)] for i in range(count)]


def weights(ratios: Sequence[float]) -> list[Fraction]:
    """Ratios as exact fractions of their decimal text, scaled to one where rounding put their sum within 1e-9 of it.

    >>> weights([0.7, 0.2, 0.1])
    [Fraction(7, 10), Fraction(1, 5), Fraction(1, 10)]
    """
    exact = [Fraction(repr(float(r))) for r in ratios]
    total = sum(exact, Fraction(0))
    if total != 1 and abs(total - 1) <= Fraction(1, 10**9):
        return [w / total for w in exact]
    return exact


def largest_remainder(count: int, shares: Sequence[Fraction]) -> list[int]:
    """`count` units dealt by the largest remainder method (Hamilton): every share gets its floor, the rest go to the largest fractions.

    Ties go to the earlier share. When the shares sum to one the result sums to `count`; below one the rest goes to no share, as if there
    were a last share for it.

    >>> largest_remainder(20, weights([0.7, 0.2, 0.1]))
    [14, 4, 2]
    >>> largest_remainder(10, weights([0.75, 0.15, 0.1]))
    [8, 1, 1]
    """
    rest = 1 - sum(shares, Fraction(0))
    full = [*shares, rest] if rest > 0 else list(shares)
    exact = [count * share for share in full]
    parts = [int(value) for value in exact]
    order = sorted(range(len(full)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: count - sum(parts)]:
        parts[i] += 1
    return parts[: len(shares)]


def cumulative(parts: Iterable[int]) -> list[int]:
    """Running sums: the position after the last unit of each part.

    >>> cumulative([2, 0, 1])
    [2, 2, 3]
    """
    sums: list[int] = []
    total = 0
    for part in parts:
        total += part
        sums.append(total)
    return sums


def locate(counts: Mapping[int, int], cuts: Sequence[int]) -> list[tuple[int, int] | None]:
    """For each cut (a count of groups), the bucket that holds its last group and that group's offset inside the bucket; None
    for an empty cut.

    >>> locate({0: 2, 7: 3}, [0, 2, 4])
    [None, (0, 1), (7, 1)]
    """
    found: list[tuple[int, int] | None] = []
    order = sorted(counts.items())
    for cut in cuts:
        left = cut
        position: tuple[int, int] | None = None
        for key, count in order:
            if left <= 0:
                break
            if left <= count:
                position = (key, left - 1)
                break
            left -= count
        found.append(position)
    return found


def part_of(position: bytes, thresholds: Sequence[bytes]) -> int:
    """The index of the first part whose last position is not before `position`; len(thresholds) if there is none. b'' is an empty cut.

    >>> part_of(b"b", [b"", b"c"]), part_of(b"d", [b"", b"c"])
    (1, 2)
    """
    for i, threshold in enumerate(thresholds):
        if threshold and position <= threshold:
            return i
    return len(thresholds)


def part_by_hash(position: bytes, shares: Sequence[Fraction]) -> int:
    """The part by the rank alone, as ``method: hash`` wants: share i owns [sum of earlier shares, its own sum) of the 64-bit range."""
    rank = int.from_bytes(position[:8], "big")
    edge = Fraction(0)
    for i, share in enumerate(shares):
        edge += share
        if rank < int(edge * (1 << 64)):
            return i
    return len(shares)
