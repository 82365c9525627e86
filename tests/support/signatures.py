"""Near signatures the slow and obvious way: all pairs are compared."""

from __future__ import annotations

from collections.abc import Iterable

from refinery_beam.planning.splits.forest import find, union


def to_bytes(word: int) -> bytes:
    return word.to_bytes(8, "big")


def apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def components(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    forest: dict[bytes, bytes] = {}
    for one, other in pairs:
        union(forest, one, other)
    return {node: find(forest, node) for node in list(forest)}


def by_brute_force(signatures: list[bytes], distance: int) -> dict[bytes, bytes]:
    words = sorted(set(signatures))
    return components((a, b) for i, a in enumerate(words) for b in words[:i] if apart(a, b) <= distance)
