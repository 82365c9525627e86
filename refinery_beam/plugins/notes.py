"""Notes: what a decoder assumed or mended in a record that it took.

A kind calls `note` while it decodes; whoever runs it collects with `noting`. Nothing is passed through the calls between, and where nobody
collects a note is dropped. The words are the kind's own; `Kind.remarks` says what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias


class Note(NamedTuple):
    """A word, and a number whose greatest value over all records says something; 0 where there is none."""

    word: str
    value: int = 0


class Noted(NamedTuple):
    """The notes of many records of one word: their number, the greatest value, and the first record id in the order of ids."""

    records: int
    value: int
    first: str

    def join(self, other: Noted) -> Noted:
        """Both together. Associative and commutative."""
        return Noted(self.records + other.records, max(self.value, other.value), min(self.first, other.first))


Tally: TypeAlias = dict[str, Noted]

_open: ContextVar[list[Note] | None] = ContextVar("notes", default=None)


def note(word: str, value: int = 0) -> None:
    """Leave a note on the record that is being decoded."""
    found = _open.get()
    if found is not None:
        found.append(Note(word, value))


@contextmanager
def noting() -> Iterator[list[Note]]:
    """Collect the notes of a block.

    >>> with noting() as notes:
    ...     note("sixteen_bits", 4095)
    >>> notes
    [Note(word='sixteen_bits', value=4095)]
    """
    found: list[Note] = []
    token = _open.set(found)
    try:
        yield found
    finally:
        _open.reset(token)


def add_notes(tally: Tally, record_id: str, notes: Sequence[Note]) -> None:
    """Add the notes of one record."""
    for word, value in notes:
        join_noted(tally, {word: Noted(1, value, record_id)})


def join_noted(tally: Tally, other: Mapping[str, Noted]) -> None:
    """Add one tally to another."""
    for word, noted in other.items():
        tally[word] = tally[word].join(noted) if word in tally else noted


def write_notes(tally: Mapping[str, Noted]) -> str:
    """Canonical JSON; '' for an empty tally."""
    return json.dumps({word: list(tally[word]) for word in sorted(tally)}, ensure_ascii=False, separators=(",", ":")) if tally else ""


def read_notes(text: str) -> Tally:
    """The tally of `write_notes`.

    >>> read_notes(write_notes({"no_end": Noted(2, 0, "a/b.jpg")}))
    {'no_end': Noted(records=2, value=0, first='a/b.jpg')}
    """
    return {word: Noted(*entry) for word, entry in json.loads(text).items()} if text else {}
