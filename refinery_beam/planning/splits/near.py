"""Near duplicates as plain functions: candidates among 64-bit signatures, neighbours among candidates, and their connected components.

Two words that differ in at most d bits agree in at least one of d + 1 bands of their bits (there are more bands than differences to spoil
them). So only signatures that share a band are compared. A cluster is a connected component: a near b and b near c put a, b and c
together, however far a is from c.
"""

from __future__ import annotations

from collections.abc import Iterable

BITS = 64
BYTES = BITS // 8


def bands(signature: bytes, distance: int) -> list[tuple[int, int]]:
    """The (band, value) pairs of an 8-byte signature: distance + 1 bands that cover its bits, as equal as they can be.

    >>> bands(bytes([1, 2, 3, 4, 5, 6, 7, 8]), 1)
    [(0, 16909060), (1, 84281096)]
    """
    word = int.from_bytes(signature, "big")
    count = distance + 1
    edges = [i * BITS // count for i in range(count + 1)]
    return [(i, (word >> (BITS - edges[i + 1])) & ((1 << (edges[i + 1] - edges[i])) - 1)) for i in range(count)]


def spanning_pairs(signatures: Iterable[bytes], distance: int) -> list[tuple[bytes, bytes]]:
    """Of the pairs within the distance, as many as connect what all of them connect: fewer than there are signatures."""
    import numpy as np

    words = np.unique(np.frombuffer(b"".join(signatures), dtype=">u8").astype(np.uint64))
    roots = np.arange(len(words))
    found: list[tuple[bytes, bytes]] = []
    for i in range(len(words) - 1):
        # Signatures that are connected with this one already are skipped, so a dense bucket gives no more pairs than a sparse one.
        others = i + 1 + np.flatnonzero(roots[i + 1 :] != roots[i])
        near = others[np.bitwise_count(words[others] ^ words[i]) <= distance]
        for j in near.tolist():
            if roots[j] != roots[i]:
                roots[roots == roots[j]] = roots[i]
                found.append((_bytes(words[i]), _bytes(words[j])))
    return found


def _bytes(word: int) -> bytes:
    return int(word).to_bytes(BYTES, "big")
