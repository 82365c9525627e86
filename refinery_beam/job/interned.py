"""Keeps what refs have in common once, while the local engine works in this process.

That engine keeps every element that crosses a stage until the job ends, and a ref crosses about nine. What a ref is does not change on its
way; its split and its tags do. So a ref crosses as two numbers: where in this table the rest of it lies, and which split and tags it has.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from struct import Struct
from threading import Lock

from refinery_beam.records import Ref

PIECE = 1 << 22
"""Bytes of a piece of the table's memory. A ref lies in one piece, so a larger one has a piece of its own."""

FEW_SLOTS = 1 << 12

_CROSSING = Struct("<QII")
_SERIALS = count()
_SPLIT, _TAGS = Ref._fields.index("split"), Ref._fields.index("tags")


class InternedRefs:
    """Refs by what they are. Equal refs have equal bytes here; the bytes are of use in this process alone.

    >>> table = InternedRefs()
    >>> ref = Ref("a", b"k" * 32, 0, "a", 9, b"d" * 32, "cat", "", b"k" * 32, "train", "", "")
    >>> table.decode(table.encode(ref)) == ref, len(table.encode(ref)), table.encode(ref) == table.encode(ref._replace())
    (True, 16, True)
    """

    def __init__(self) -> None:
        self._serial = next(_SERIALS)
        self._pieces: list[bytearray] = []
        self._used = 0
        """Bytes of the last piece that are taken. A piece has its size from the beginning: one that others look at cannot grow."""
        self._slots = array("Q", bytes(8 * FEW_SLOTS))
        """Where refs lie, plus one: an open hash table by the first bytes of the record key, which is a hash itself."""
        self.refs = 0
        """How many there are."""
        self._standings: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._lock = Lock()

    def encode(self, ref: Ref) -> bytes:
        """The two numbers of a ref, and that of this table."""
        standing = (ref.split, ref.tags)
        number = self._numbers.get(standing)
        if number is None:
            number = self._number(standing)
        # Version 0 writes equal values in equal bytes: later ones say what was interned and what is shared.
        content = marshal.dumps((*ref[:_SPLIT], *ref[_SPLIT + 1 : _TAGS], *ref[_TAGS + 1 :]), 0)
        found = self._find(ref.key, content, self._slots)
        return _CROSSING.pack(found if found is not None else self._add(ref.key, content), number, self._serial)

    def decode(self, data: bytes) -> Ref:
        """The ref of its two numbers. Raises ValueError if another table gave them."""
        at, number, serial = _CROSSING.unpack(data)
        if serial != self._serial:
            raise ValueError("a ref was interned in another table")
        piece, start = divmod(at, PIECE)
        values = marshal.loads(memoryview(self._pieces[piece])[start:])  # noqa: S302 - written above, in this process
        split, tags = self._standings[number]
        return Ref._make((*values[:_SPLIT], split, *values[_SPLIT : _TAGS - 1], tags, *values[_TAGS - 1 :]))

    def _find(self, key: bytes, content: bytes, slots: array[int]) -> int | None:
        """Where content lies; None if it is not there."""
        mask = len(slots) - 1
        slot = int.from_bytes(key[:8], "little") & mask
        while at := slots[slot]:
            piece, start = divmod(at - 1, PIECE)
            if self._pieces[piece].startswith(content, start):
                return at - 1
            slot = slot + 1 & mask
        return None

    def _add(self, key: bytes, content: bytes) -> int:
        with self._lock:
            found = self._find(key, content, self._slots)  # another thread may have added it
            if found is not None:
                return found
            if 3 * self.refs >= 2 * len(self._slots):
                self._grow()
            if not self._pieces or self._used + len(content) > len(self._pieces[-1]):
                self._pieces.append(bytearray(max(PIECE, len(content))))
                self._used = 0
            self._pieces[-1][self._used : self._used + len(content)] = content
            at = (len(self._pieces) - 1) * PIECE + self._used
            self._used += len(content)
            self._put(self._slots, key, at)
            self.refs += 1
            return at

    def _put(self, slots: array[int], key: bytes, at: int) -> None:
        mask = len(slots) - 1
        slot = int.from_bytes(key[:8], "little") & mask
        while slots[slot]:
            slot = slot + 1 & mask
        slots[slot] = at + 1

    def _grow(self) -> None:
        """Four times as many slots. Others go on reading the old ones: at worst they miss a ref, and look again under the lock."""
        slots = array("Q", bytes(32 * len(self._slots)))
        for at in self._slots:
            if at:
                piece, start = divmod(at - 1, PIECE)
                values = marshal.loads(memoryview(self._pieces[piece])[start:])  # noqa: S302 - likewise
                self._put(slots, values[1], at - 1)
        self._slots = slots

    def _number(self, standing: tuple[str, str]) -> int:
        with self._lock:
            number = self._numbers.get(standing)
            if number is None:
                number = len(self._standings)
                self._standings.append(standing)
                self._numbers[standing] = number
            return number


class _Shared:
    """The table of the runs that work in this process at the moment, and how many they are."""

    table: InternedRefs | None = None
    runs = 0
    lock = Lock()


def interned_refs() -> InternedRefs | None:
    """The table of this process; None where refs have to be written in full, because others read them."""
    return _Shared.table


@contextmanager
def interning() -> Iterator[None]:
    """Inside, refs that cross stages in this process are interned."""
    with _Shared.lock:
        _Shared.table = _Shared.table or InternedRefs()
        _Shared.runs += 1
    try:
        yield
    finally:
        with _Shared.lock:
            _Shared.runs -= 1
            if not _Shared.runs:
                _Shared.table = None
