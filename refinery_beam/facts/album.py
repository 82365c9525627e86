"""Which records have a thumbnail. A bounded number of each class, and in total, by ranks that depend on seed and record alone.

Records of a class are ranked by seed and record key, classes by seed and label. Counting both at 1, the record at position p of the class
at position c is in the album where p <= 8 and p * c <= 1,024: eight of each of 128 classes, or one of each of 1,024. An album of some of
the records holds whatever is in the album of all of them, so albums of shards are joined by adding one to the other, in any order.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from refinery_beam.identity import rank

A_CLASS = 8
"""Pictures of a class, at most."""

CLASSES = 1_024
"""Classes with a picture, at most."""

LOST = 64
"""Records of the ledger with a picture, at most: those with the least record keys."""


Bounds: TypeAlias = Mapping[str | None, tuple[int, bytes]]
"""By class, below which (rank, key) a record must be to get into an album."""


class Picture(NamedTuple):
    """One record of an album. ``key`` is its record key, ``content`` what is kept of it. ``reason`` is '' but for records of the ledger."""

    rank: int
    key: bytes
    record_id: str
    label: str | None
    content: Any
    reason: str = ""


def ranked(seed: int, key: bytes, record_id: str, label: str | None, content: Any) -> Picture:
    """The picture of a record, with its rank."""
    return Picture(rank("thumbnail", seed, "record", key), key, record_id, label, content)


class Album:
    """The pictures of some records of one split.

    >>> album = Album(seed=1)
    >>> for n in range(20): album.add(bytes([n]) * 32, f"r{n}", "cat", n)
    >>> album.trim(); len(list(album))
    8
    """

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._classes: dict[str | None, tuple[int, list[Picture]]] = {}
        self._room: dict[str | None, int] = {}
        """How many pictures each class had room for when the album was trimmed. It never gets more."""

    def add(self, key: bytes, record_id: str, label: str | None, content: Any) -> None:
        """One record more, if its class has room for it."""
        self.join(ranked(self._seed, key, record_id, label, content))

    def join(self, picture: Picture) -> None:
        """One picture of another album of the same seed."""
        room = self._room.get(picture.label, A_CLASS)
        if not room:
            return
        if picture.label not in self._classes:
            self._classes[picture.label] = (rank("thumbnail", self._seed, "class", (picture.label or "").encode()), [])
        known = self._classes[picture.label][1]
        if len(known) < room or picture[:2] < known[-1][:2]:
            insort(known, picture, key=lambda one: one[:2])
            del known[room:]

    def bounds(self, labels: Iterable[str | None]) -> Bounds:
        """Below which (rank, key) a record of each class must be to get in, of those classes that have no more room."""
        found: dict[str | None, tuple[int, bytes]] = {}
        for label in labels:
            room, known = self._room.get(label, A_CLASS), self._classes.get(label, (0, []))[1]
            if not room:
                found[label] = (-1, b"")
            elif len(known) >= room:
                found[label] = known[room - 1][:2]
        return found

    def trim(self) -> None:
        """Drop what the bound on classes leaves no room for. Until then an album may hold more."""
        order = sorted(self._classes, key=lambda label: (self._classes[label][0], label or ""))
        for position, label in enumerate(order, 1):
            self._room[label] = min(A_CLASS, CLASSES // position)
            if position > CLASSES:
                del self._classes[label]
            else:
                del self._classes[label][1][self._room[label] :]

    def replace(self, picture: Picture, content: Any) -> None:
        """Keep other content of a picture."""
        known = self._classes[picture.label][1]
        known[known.index(picture)] = picture._replace(content=content)

    def __iter__(self) -> Iterator[Picture]:
        """The pictures by label (none first), in the order of their ranks."""
        for label in sorted(self._classes, key=lambda label: (label is not None, label or "")):
            yield from self._classes[label][1]


class LostAlbum:
    """The pictures of records of the ledger: those with the least record keys."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []

    def join(self, picture: Picture) -> None:
        """One picture more, if there is room for it."""
        if len(self._pictures) < LOST or picture.key < self._pictures[-1].key:
            insort(self._pictures, picture, key=lambda one: one.key)
            del self._pictures[LOST:]

    def replace(self, picture: Picture, content: Any) -> None:
        """Keep other content of a picture."""
        self._pictures[self._pictures.index(picture)] = picture._replace(content=content)

    def __iter__(self) -> Iterator[Picture]:
        return iter(list(self._pictures))
