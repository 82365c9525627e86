"""Connected components by union-find over a plain mapping of nodes to their parents."""

from __future__ import annotations

from collections.abc import MutableMapping


def find(forest: MutableMapping[bytes, bytes], node: bytes) -> bytes:
    """The root of a node, itself when it is new. Shortens the way for the next one."""
    root = node
    while (parent := forest.get(root, root)) != root:
        root = parent
    while (parent := forest.get(node, node)) != root:
        forest[node] = root
        node = parent
    return root


def union(forest: MutableMapping[bytes, bytes], one: bytes, other: bytes) -> None:
    """Connect two nodes; the smaller root stays, so the root of a component is its smallest node whatever the order of unions."""
    first, second = find(forest, one), find(forest, other)
    low, high = min(first, second), max(first, second)
    forest.setdefault(low, low)
    forest[high] = low
