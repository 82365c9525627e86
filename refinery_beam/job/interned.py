"""Keeps what refs have in common once, while the local engine works in this process.

That engine keeps every element that crosses a stage until the job ends, and a ref crosses several. So a ref crosses as two numbers:
where in this table lies what is its own, and which of the standings that it shares with others it has, such as its label and its split.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from struct import Struct
from threading import Lock, local
from typing import Any, TypeAlias

from refinery_beam.records import Ref

PIECE = 1 << 22
"""Bytes of a piece of the table's memory. A ref lies in one piece, so a larger one has a piece of its own."""

FEW_SLOTS = 1 << 12
"""Slots of an empty table; it is a third empty at least."""

ALIGNED = 8
"""Where refs lie is counted in so many bytes: 32 bits reach as far as any memory."""

_CROSSING = Struct("<II")

Standing: TypeAlias = tuple[int, str | None, str, str, str, str]
"""The source, label, partition, split, tags and kind of a ref."""


class _Latest(local):
    """The ref that this thread decoded last, and where it lies. Most steps hand it on as it is, or with another split."""

    ref: Ref | None = None
    at = 0


class InternedRefs:
    """Refs by what they are. Equal refs have equal bytes here; the bytes are of use in this process alone.

    >>> table = InternedRefs()
    >>> ref = Ref("a", b"k" * 32, 0, "a", 9, b"d" * 32, "cat", "", b"k" * 32, "train", "", "")
    >>> table.decode(table.encode(ref)) == ref, len(table.encode(ref)), table.encode(ref) == table.encode(ref._replace())
    (True, 8, True)
    """

    def __init__(self) -> None:
        self._pieces: list[bytearray] = []
        self._used = 0
        """Bytes of the last piece that are taken. A piece has its size from the beginning: one that others look at cannot grow."""
        self._slots = array("I", bytes(4 * FEW_SLOTS))
        """Where refs lie, plus one: an open hash table by bytes of the record key, which is a hash itself."""
        self.refs = 0
        """How many there are."""
        self._standings: list[Standing] = []
        self._numbers: dict[Standing, int] = {}
        self._lock = Lock()
        self._latest = _Latest()

    def encode(self, ref: Ref) -> bytes:
        """The two numbers of a ref."""
        record_id, key, source, path, size, digest, label, partition, group, split, fields, lineage, tags, kind = ref
        standing = (source, label, partition, split, tags, kind)
        number = self._numbers.get(standing)
        if number is None:
            number = self._number(standing)
        latest = self._latest.ref
        if latest is not None and (ref is latest or _has_the_same_own(ref, latest)):
            return _CROSSING.pack(self._latest.at, number)
        own = (key, record_id, len(path) if record_id.endswith(path) else path, size, digest, None if group == key else group)
        # Version 0 writes equal values in equal bytes: later ones say what was interned and what is shared.
        content = marshal.dumps((*own, fields, lineage) if fields or lineage else own, 0)
        return _CROSSING.pack(self._found_or_added(key, content), number)

    def decode(self, data: bytes) -> Ref:
        """The ref of its two numbers."""
        at, number = _CROSSING.unpack(data)
        key, record_id, path, size, digest, group, *more = self._own(at)
        source, label, partition, split, tags, kind = self._standings[number]
        fields, lineage = more or ("", "")
        if type(path) is int:
            path = record_id[len(record_id) - path :]
        if group is None:
            group = key
        ref = Ref(record_id, key, source, path, size, digest, label, partition, group, split, fields, lineage, tags, kind)
        self._latest.ref, self._latest.at = ref, at
        return ref

    def _own(self, at: int) -> Any:
        piece, start = divmod(at * ALIGNED, PIECE)
        return marshal.loads(memoryview(self._pieces[piece])[start:])  # noqa: S302 - written below, in this process

    def _found_or_added(self, key: bytes, content: bytes) -> int:
        """Where content lies. It is added where it is not there."""
        with self._lock:
            found = self._find(key, content)
            return self._add(key, content) if found is None else found

    def _find(self, key: bytes, content: bytes) -> int | None:
        mask = len(self._slots) - 1
        slot = _slot(key) & mask
        while at := self._slots[slot]:
            piece, start = divmod((at - 1) * ALIGNED, PIECE)
            if self._pieces[piece].startswith(content, start):
                return at - 1
            slot = slot + 1 & mask
        return None

    def _add(self, key: bytes, content: bytes) -> int:
        if 3 * self.refs >= 2 * len(self._slots):
            self._grow()
        if not self._pieces or self._used + len(content) > len(self._pieces[-1]):
            self._pieces.append(bytearray(max(PIECE, len(content))))
            self._used = 0
        self._pieces[-1][self._used : self._used + len(content)] = content
        at = ((len(self._pieces) - 1) * PIECE + self._used) // ALIGNED
        self._used += -(-len(content) // ALIGNED) * ALIGNED
        self._put(key, at)
        self.refs += 1
        return at

    def _put(self, key: bytes, at: int) -> None:
        mask = len(self._slots) - 1
        slot = _slot(key) & mask
        while self._slots[slot]:
            slot = slot + 1 & mask
        self._slots[slot] = at + 1

    def _grow(self) -> None:
        """Four times as many slots."""
        filled, self._slots = self._slots, array("I", bytes(16 * len(self._slots)))
        for at in filled:
            if at:
                self._put(self._own(at - 1)[0], at - 1)

    def _number(self, standing: Standing) -> int:
        with self._lock:
            number = self._numbers.get(standing)
            if number is None:
                number = len(self._standings)
                self._standings.append(standing)
                self._numbers[standing] = number
            return number


def _slot(key: bytes) -> int:
    """The first slot of a key. Not by its first bytes: refs come in the order of their keys, and would crowd a part of the table."""
    return int.from_bytes(key[8:16], "little")


def _has_the_same_own(one: Ref, other: Ref) -> bool:
    """Whether two refs hold the very same objects, but for what others share: so they do where one was made of the other."""
    return (
        one.key is other.key
        and one.record_id is other.record_id
        and one.path is other.path
        and one.size is other.size
        and one.digest is other.digest
        and one.group is other.group
        and one.fields is other.fields
        and one.lineage is other.lineage
    )


_tables: dict[int, InternedRefs] = {}
_numbers = count(1)
_current: ContextVar[int] = ContextVar("table of the job that is built", default=0)


@contextmanager
def interning() -> Iterator[None]:
    """Inside, a job that is built and run by this thread interns its refs, in a table of its own: nobody but this process reads them."""
    number = next(_numbers)
    _tables[number] = InternedRefs()
    before = _current.set(number)
    try:
        yield
    finally:
        _current.reset(before)
        del _tables[number]


def current_table() -> int:
    """The number of the table of the job that this thread builds; 0 where refs have to be written in full."""
    return _current.get()


def interned_refs(number: int) -> InternedRefs:
    """A table by its number. Raises KeyError where its job is over, or works in another process."""
    return _tables[number]
