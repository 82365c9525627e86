"""What differs between two plain values: mappings by key, lists of named things by name, other lists by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ABSENT = "(absent)"


class ValueChange(NamedTuple):
    """A value that differs: where it stands, and what it is on each side; `ABSENT` where there is none."""

    at: str
    a: Any
    b: Any


def value_changes(a: Any, b: Any, at: str = "") -> Iterator[ValueChange]:
    """Every leaf that differs, in the order of `a` and then of `b`.

    >>> one, other = [{"name": "resize", "params": {"method": "bilinear"}}], [{"name": "resize", "params": {"method": "box"}}]
    >>> list(value_changes({"steps": one}, {"steps": other}))
    [ValueChange(at='steps.resize.params.method', a='bilinear', b='box')]
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from value_changes(a.get(key, ABSENT), b.get(key, ABSENT), f"{at}.{key}" if at else str(key))
    elif isinstance(a, list) and isinstance(b, list) and not (_plain(a) and _plain(b)):
        yield from _lists(a, b, at)
    elif type(a) is not type(b) or repr(a) != repr(b):  # True is 1 to Python, in a list too, and not to a recipe
        yield ValueChange(at, a, b)


def _lists(a: list[Any], b: list[Any], at: str) -> Iterator[ValueChange]:
    if not (_named(a) and _named(b)):
        for k in range(max(len(a), len(b))):
            yield from value_changes(a[k] if k < len(a) else ABSENT, b[k] if k < len(b) else ABSENT, f"{at}[{k}]")
        return
    mine, theirs = {item["name"]: item for item in a}, {item["name"]: item for item in b}
    for name in dict.fromkeys([*mine, *theirs]):
        yield from value_changes(mine.get(name, ABSENT), theirs.get(name, ABSENT), f"{at}.{name}")
    both, other = [name for name in mine if name in theirs], [name for name in theirs if name in mine]
    if both != other:
        yield ValueChange(f"{at} (order)", both, other)


def _named(value: list[Any]) -> bool:
    """Whether it is a list of things with names of their own, or empty."""
    names = [item.get("name") if isinstance(item, Mapping) else None for item in value]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _plain(value: Sequence[Any]) -> bool:
    """Whether a list holds plain values alone: it is shown as a whole."""
    return all(not isinstance(item, Mapping | list) for item in value)
