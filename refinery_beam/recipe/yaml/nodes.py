"""The tree of a YAML text: values that remember where they were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Scalar: TypeAlias = "bool | int | float | str | None"
Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(slots=True)
class Node:
    """One YAML value with its position; ``value`` is a scalar, a list of nodes, or a mapping of text to nodes.

    ``line`` and ``column`` are 1-based. ``key`` is the position of the key that names the node, if any. ``at_key`` is set where the key
    shows a person better where to look than the value does: block collections (which start at their first item) and empty values.
    """

    value: Any
    line: int
    column: int
    key: tuple[int, int] | None = None
    at_key: bool = False

    @property
    def at(self) -> tuple[int, int]:
        """Where to point a person to."""
        return self.key if self.at_key and self.key else (self.line, self.column)

    @property
    def is_map(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.value, list)

    def get(self, name: str) -> Node | None:
        """The child of a mapping, or None (also when this is no mapping)."""
        found = self.value.get(name) if isinstance(self.value, dict) else None
        return found if isinstance(found, Node) else None

    def find(self, path: Path) -> tuple[Node, int]:
        """The deepest known node on the way to `path`, and how many steps of it were known."""
        node = self
        for depth, step in enumerate(path):
            child: Any = None
            if isinstance(node.value, dict):
                child = node.value.get(str(step))
            elif isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
                child = node.value[step]
            if child is None:
                return node, depth
            node = child
        return node, len(path)

    def like(self, value: Any) -> Node:
        """A new node for a value nobody wrote, placed where this one is."""
        line, column = self.at
        return Node(value, line, column, self.key)


def to_data(node: Node) -> Any:
    """The plain Python value of a node: dicts, lists and scalars.

    >>> from refinery_beam.recipe.yaml.parse import parse_yaml
    >>> to_data(parse_yaml("a: [1, no, 1e-3]", name="r.yaml"))
    {'a': [1, 'no', 0.001]}
    """
    if isinstance(node.value, dict):
        return {key: to_data(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [to_data(child) for child in node.value]
    return node.value
