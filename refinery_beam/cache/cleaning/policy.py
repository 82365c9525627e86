"""Decides what `clean` removes. A pure function of facts: it sees no disk and no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

Kind = Literal["instance", "parts", "attempt", "trash", "objects", "temporary"]
"""``parts`` are finished parts of a key whose run did not come to its end, ``attempt`` the folder of a run that is dead, ``objects`` files
at the location of an instance on a store that is none, ``temporary`` a folder in ``$TMPDIR``.
"""

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something of a cache root that can be removed as a whole.

    `name` is the key name of an instance or of parts. `running` says that a run of its key is at work, `parents` are the key names of the
    instances that it imports from or was compared with. `used` and `built` are UTC, None where nobody knows.
    """

    kind: Kind
    name: str
    location: str
    bytes: int = 0
    recipe: str = ""
    built: datetime | None = None
    used: datetime | None = None
    tags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    running: bool = False


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What was asked for. Of instances those go that all of `recipe`, `older_than` and `keep` name; with `max_bytes` the least recently
    used of them, and only until the root is as small; `everything` names all. `orphans` are what dead runs left. `grace` protects what was
    used within it.
    """

    recipe: str | None = None
    older_than: timedelta | None = None
    keep: int | None = None
    max_bytes: int | None = None
    everything: bool = False
    orphans: bool = False
    grace: timedelta = timedelta(0)

    @property
    def names_instances(self) -> bool:
        """Whether instances may go at all."""
        return self.everything or any(one is not None for one in (self.recipe, self.older_than, self.keep, self.max_bytes))


class Decision(NamedTuple):
    """Whether an item goes, and why it stays: '' where nobody asked for it."""

    item: Item
    remove: bool
    reason: str = ""


def decide(items: Sequence[Item], policy: Policy, now: datetime) -> list[Decision]:
    """A decision for every item, in their order.

    Never goes: what a run is at work on, what has a tag, what was used within the grace period, and what an instance that stays imports.
    """
    reasons: dict[int, str] = {}
    wanted = [i for i, item in enumerate(items) if _asked_for(item, policy, now)]
    newest = _newest(items, policy.keep)
    candidates = []
    for i in wanted:
        reason = _protected(items[i], policy, now) or (f"one of the {policy.keep} newest" if i in newest else "")
        if reason:
            reasons[i] = reason
        else:
            candidates.append(i)
    going = _with_families(items, candidates, reasons) if policy.max_bytes is None else _until(items, candidates, policy.max_bytes, reasons)
    return [Decision(item, i in going, "" if i in going else reasons.get(i, "")) for i, item in enumerate(items)]


def _asked_for(item: Item, policy: Policy, now: datetime) -> bool:
    if item.kind == "temporary":
        return policy.orphans
    old = policy.older_than is None or (item.used is not None and now - item.used > policy.older_than)
    if item.kind != "instance":
        # They have no recipe to ask for, and a budget counts them.
        return old and (policy.orphans or policy.max_bytes is not None)
    return policy.names_instances and old and (policy.recipe is None or item.recipe == policy.recipe)


def _protected(item: Item, policy: Policy, now: datetime) -> str:
    if item.running:
        return "a run of it is at work"
    if item.tags:
        return f"it has the tag {', '.join(item.tags)}"
    if item.kind == "instance" and item.used is not None and now - item.used < policy.grace:
        return f"it was used within the last {words(policy.grace)}"
    return ""


def _newest(items: Sequence[Item], count: int | None) -> set[int]:
    """The newest instances of every recipe."""
    by_recipe: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        if item.kind == "instance" and count:
            by_recipe[item.recipe].append(i)
    found: set[int] = set()
    for members in by_recipe.values():
        found.update(sorted(members, key=lambda i: (items[i].built or _EVER, items[i].name), reverse=True)[:count])
    return found


def _borrowers(items: Sequence[Item]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for i, item in enumerate(items):
        for parent in item.parents if item.kind == "instance" else ():
            if parent != item.name:
                found[parent].add(i)
    return found


def _with_families(items: Sequence[Item], candidates: Iterable[int], reasons: dict[int, str]) -> set[int]:
    """The candidates without those that an instance that stays imports."""
    going, borrowers = set(candidates), _borrowers(items)
    while True:
        kept = {i for i in going if items[i].kind == "instance" and borrowers[items[i].name] - going}
        if not kept:
            return going
        for i in kept:
            reasons[i] = _borrowed(items, borrowers[items[i].name] - going)
        going -= kept


def _until(items: Sequence[Item], candidates: Iterable[int], limit: int, reasons: dict[int, str]) -> set[int]:
    """The least recently used candidates until all items together fit; what nobody can use goes first."""
    borrowers, going = _borrowers(items), set[int]()
    left = sum(item.bytes for item in items if item.kind != "temporary")
    waiting = sorted(candidates, key=lambda i: (items[i].kind in ("instance", "parts"), items[i].used or _EVER, items[i].name))
    while left > limit:
        free = next((i for i in waiting if items[i].kind != "instance" or not borrowers[items[i].name] - going), None)
        if free is None:
            break
        waiting.remove(free)
        going.add(free)
        left -= items[free].bytes if items[free].kind != "temporary" else 0
    for i in waiting:
        reasons[i] = _borrowed(items, borrowers[items[i].name] - going) if left > limit else "the rest fits"
    return going


def _borrowed(items: Sequence[Item], by: Iterable[int]) -> str:
    return f"{items[min(by)].name} borrows from it or was compared with it"


def words(length: timedelta) -> str:
    """A length of time as it is written: ``90m``, ``36h``, ``30d``.

    >>> words(timedelta(hours=1)), words(timedelta(days=30)), words(timedelta(0))
    ('1h', '30d', '0s')
    """
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
