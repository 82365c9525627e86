"""Counts identical files in an index, and warns of contradictions among them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from refinery_beam.errors import display
from refinery_beam.index.text import plural
from refinery_beam.sorting import Sorter

_CASES = 5
_MEMBERS = 4


class Member(NamedTuple):
    """A record, sorted by its content."""

    digest: bytes
    key: bytes
    record_id: str
    label: str | None
    partition: str


def by_content(scratch: str = "") -> Sorter[Member]:
    """An empty sorter of records by content, then by record key."""
    return Sorter(key=lambda member: member[:2], make=Member._make, folder=scratch)


class Repeats(NamedTuple):
    """``records`` that share their content with another one; ``warnings`` as (code, message)."""

    records: int
    warnings: tuple[tuple[str, str], ...]


def find_repeats(members: Iterable[Member]) -> Repeats:
    """Count records of equal content, and warn of groups with different labels (``label-conflict``) and of groups in two declared
    partitions (``partition-leak``): one warning each, with the count and the first cases by record key.

    `members` come in the order of `by_content`. No group is kept in memory, however large.
    """
    records = 0
    conflicts, leaks = _Cases(), _Cases()
    for _, group in groupby(members, key=lambda member: member.digest):
        summary = _summarize(group)
        if summary.members == 1:
            continue
        records += summary.members
        first = summary.shown[0]
        if summary.labels:
            conflicts.add(first.key, [f"{display(m.record_id)!r} is {m.label!r}" for m in summary.shown])
        if summary.partitions:
            leaks.add(first.key, [f"{display(m.record_id)!r} in {m.partition!r}" for m in summary.shown])
    warnings = []
    if conflicts.count:
        warnings.append(("label-conflict", conflicts.text("of identical files with different labels")))
    if leaks.count:
        warnings.append(("partition-leak", leaks.text("of identical files in different partitions")))
    return Repeats(records, tuple(warnings))


class _Summary(NamedTuple):
    """How many members a group has, whether they have several labels or partitions, and the first of them."""

    members: int
    labels: bool
    partitions: bool
    shown: list[Member]


def _summarize(group: Iterable[Member]) -> _Summary:
    count = 0
    shown: list[Member] = []
    label: str | None = None
    labels = partitions = False
    for member in group:
        count += 1
        if len(shown) < _MEMBERS:
            shown.append(member)
        partitions |= member.partition != shown[0].partition
        if member.label is not None:
            labels |= label is not None and member.label != label
            label = member.label
    return _Summary(count, labels, partitions, shown)


class _Cases:
    """The cases with the smallest record keys, and how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._least: list[tuple[int, str]] = []

    def add(self, key: bytes, words: list[str]) -> None:
        self.count += 1
        # A heap whose root is the greatest of the least: keys are negated.
        heapq.heappush(self._least, (-int.from_bytes(key, "big"), ", ".join(words)))
        if len(self._least) > _CASES:
            heapq.heappop(self._least)

    def text(self, what: str) -> str:
        more = f"; and {self.count - _CASES:,} more" if self.count > _CASES else ""
        return f"{plural(self.count, 'group')} {what}: " + "; ".join(words for _, words in sorted(self._least, reverse=True)) + more
