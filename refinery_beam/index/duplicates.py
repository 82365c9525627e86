"""Counts identical files in an index, and warns of contradictions among them."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from refinery_beam.errors import display
from refinery_beam.index.text import plural
from refinery_beam.sorting import Sorter

_CASES = 5
_MEMBERS = 4

BEGINNING = 8
"""Bytes of a digest that hardly two files share."""


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


def repeated_beginnings(digests: Iterable[bytes]) -> frozenset[bytes]:
    """The first bytes that several digests have: identical files are among those, and hardly another file is.

    >>> repeated_beginnings([b"12345678a", b"12345678b", b"abcdefgh"])
    frozenset({b'12345678'})
    """
    import numpy as np

    beginnings = array("Q", (int.from_bytes(digest[:BEGINNING], "big") for digest in digests))
    ordered = np.sort(np.frombuffer(beginnings, np.uint64))
    return frozenset(int(number).to_bytes(BEGINNING, "big") for number in ordered[1:][ordered[1:] == ordered[:-1]])


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
        if summary.labels:
            conflicts.add(summary.labels[0].key, [f"'{display(m.record_id)}' is {m.label!r}" for m in summary.labels])
        if summary.partitions:
            leaks.add(summary.partitions[0].key, [f"'{display(m.record_id)}' in {m.partition!r}" for m in summary.partitions])
    warnings = []
    if conflicts.count:
        warnings.append(("label-conflict", conflicts.text("of identical files with different labels")))
    if leaks.count:
        warnings.append(("partition-leak", leaks.text("of identical files in different partitions")))
    return Repeats(records, tuple(warnings))


class _Summary(NamedTuple):
    """How many members a group has, and some that have several labels or partitions: none where all agree."""

    members: int
    labels: list[Member]
    partitions: list[Member]


def _summarize(group: Iterable[Member]) -> _Summary:
    count = 0
    first: list[Member] = []
    by_label: dict[str, Member] = {}
    by_partition: dict[str, Member] = {}
    for member in group:
        count += 1
        if len(first) < _MEMBERS:
            first.append(member)
        # The first of each, so that a contradiction is shown however many agree.
        if member.label is not None and len(by_label) < _MEMBERS:
            by_label.setdefault(member.label, member)
        if len(by_partition) < _MEMBERS:
            by_partition.setdefault(member.partition, member)
    return _Summary(count, _contrary(by_label, first), _contrary(by_partition, first))


def _contrary(known: Mapping[Any, Member], first: Sequence[Member]) -> list[Member]:
    """The members that contradict each other, filled up with the first ones; none where nobody does."""
    if len(known) < 2:
        return []
    shown = dict.fromkeys([*known.values(), *first])
    return sorted(list(shown)[:_MEMBERS], key=lambda member: member.key)


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
