"""The law of hashing and randomness.

This file alone computes the names and the random numbers of everything whose bytes are promised.

Hashing
-------
* Digests are SHA-256. It is slower than the xxh family but has hardware support on every machine that matters, releases the GIL in
  `hashlib`, and no one can craft a second file with the digest of the first.
* `digest(domain, *parts)` prefixes every part with its length. Plain concatenation lets ("ab", "c") and ("a", "bc") meet; the package
  this one grew from did that in its seeds. The *domain* word keeps two uses of one value apart (a split rank says nothing about a crop).
* `canonical_bytes` is JSON with sorted keys, no white space, UTF-8. JSON keeps 5, "5", 5.0, true and null apart. A mapping whose order has
  meaning must be turned into a list of pairs by the caller (`ordered_pairs`): sorting it away made a peer return the wrong cached dataset.
* Builtin `hash()` is salted per process, pickles depend on import paths, and floats print differently from C: none of them may enter here.

Randomness
----------
* A seeded op draws from Philox, a counter-based generator: the stream is a pure function of its key, needs no state to be carried
  along, and the raw 64-bit words are the same on every platform NumPy supports.
* The key is SHA-256 of (domain, seed, op name, record key, replica). Nothing else. So a draw does not depend on the order of records, on
  bundles, workers, shards, other records, or on how much another op drew.
* NumPy promises the *raw words* across versions, not what `Generator.normal/choice/shuffle` makes of them (NEP 19). The mapping from
  words to numbers is therefore ours (`Stream`), and small enough to be read.
* Ranks used for sampling and splitting are the first eight bytes of a digest; ties are broken by the full record key.

Changing this file
------------------
Any change of a byte produced here changes every dataset. It needs a new `LAW_VERSION` (part of every recipe hash), new golden values in
tests/test_identity.py, and a line in docs/compatibility.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LAW_VERSION = 1

_WORD = 1 << 64
_LARGE = 1 << 16


def canonical_bytes(value: Any) -> bytes:
    """Canonical JSON of None, bool, int, finite float, str and lists and string-keyed mappings of them.

    Raises TypeError for anything else and ValueError for NaN and infinities: a value that cannot be written down cannot be identity.

    >>> canonical_bytes({"b": 1.0, "a": [True, None, "ü"]}).decode()
    '{"a":[true,null,"ü"],"b":1.0}'
    """
    if type(value) is not str:
        _refuse_odd(value)
    return _canonical(value).encode()


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def ordered_pairs(mapping: Mapping[str, Any]) -> list[list[Any]]:
    """A mapping whose order has meaning, in a form whose order is hashed.

    >>> ordered_pairs({"train": 0.7, "test": 0.3})
    [['train', 0.7], ['test', 0.3]]
    """
    return [[key, value] for key, value in mapping.items()]


def digest(domain: str, *parts: bytes | str | int) -> bytes:
    """SHA-256 of length-prefixed parts under a domain word; 32 bytes. Text is UTF-8, integers are decimal text.

    >>> digest("x", "ab", "c") == digest("x", "a", "bc")
    False
    """
    h, pieces = hashlib.sha256(), []
    for part in (domain, *parts):
        data = part if isinstance(part, bytes) else str(part).encode()
        pieces.append(len(data).to_bytes(8, "big"))
        if len(data) < _LARGE:
            pieces.append(data)  # one call costs more than the copy of a few words
        else:
            h.update(b"".join(pieces))
            h.update(data)
            pieces = []
    h.update(b"".join(pieces))
    return h.digest()


class Hasher:
    """`digest` of parts that are added one by one, so that they need not fit in memory together.

    >>> hasher = Hasher("x", "ab"); hasher.add("c"); hasher.digest() == digest("x", "ab", "c")
    True
    """

    def __init__(self, domain: str, *parts: bytes | str | int) -> None:
        self._hash = hashlib.sha256()
        for part in (domain, *parts):
            self.add(part)

    def add(self, part: bytes | str | int) -> None:
        data = part if isinstance(part, bytes) else str(part).encode()
        self._hash.update(len(data).to_bytes(8, "big"))
        self._hash.update(data)

    def copy(self) -> Hasher:
        """A copy with the same parts so far; adding to one does not change the other."""
        other = Hasher.__new__(Hasher)
        other._hash = self._hash.copy()
        return other

    def digest(self) -> bytes:
        return self._hash.digest()


def value_digest(domain: str, value: Any) -> str:
    """Hex digest of a canonical value: the form used for recipe hashes and node keys."""
    return digest(domain, canonical_bytes(value)).hex()


def nfc(text: str) -> str:
    """Unicode NFC, the form of every record id: macOS and Linux store the same name in different bytes."""
    return unicodedata.normalize("NFC", text)


def record_key(record_id: str) -> bytes:
    """The 32-byte key of a record: SHA-256 of its id's UTF-8 bytes. Sorting by it is the order inside a shard.

    >>> record_key("photos/cat/1.png").hex()[:16]
    '08e4e2a3cb1469f0'
    """
    return hashlib.sha256(record_id.encode()).digest()


def generated_id(parent: str, op: str, name: str | int) -> str:
    """The id of a generated or augmented record.

    >>> generated_id("photos/cat/1.png", "fog", 3)
    'photos/cat/1.png#fog:3'
    """
    return f"{parent}#{op}:{name}"


def rank(domain: str, seed: int, name: str, key: bytes) -> int:
    """The seeded 64-bit rank of a record (or group) key under an op name: an integer in [0, 2**64)."""
    return int.from_bytes(digest(domain, seed, name, key)[:8], "big")


def derive_seed(master: int, name: str) -> int:
    """The value of ``{from: master}`` for an op called `name`; an integer in [0, 2**64). Any integer master is legal."""
    return int.from_bytes(digest("seed", master, name)[:8], "big")


def unit_float(word: int) -> float:
    """Map a 64-bit word to [0, 1): the top 53 bits over 2**53, exact in a double.

    >>> unit_float(0), unit_float(2**64 - 1) < 1.0
    (0.0, True)
    """
    return (word >> 11) * (1.0 / (1 << 53))


class Stream:
    """The random numbers of one (seed, op, record, replica), and the only way an op may get any.

    >>> a = Stream(seed=1, op="crop", key=b"k" * 32); b = Stream(seed=1, op="crop", key=b"k" * 32)
    >>> a.uniform() == b.uniform()
    True
    """

    def __init__(self, *, seed: int, op: str, key: bytes, replica: int | str = 0, domain: str = "op") -> None:
        from numpy.random import Philox

        d = digest(domain, seed, op, key, replica)
        # 16 bytes of key and 16 bytes in the upper half of the counter: the lower half counts blocks and cannot overflow into it.
        counter = int.from_bytes(d[16:], "big") << 128
        self._bits = Philox(key=int.from_bytes(d[:16], "big"), counter=counter)

    def word(self) -> int:
        """The next raw 64-bit word."""
        return int(self._bits.random_raw())

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """The next `count` raw words, uint64."""
        return self._bits.random_raw(count)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A float in [low, high): low + (high - low) * unit_float(word), in doubles."""
        return low + (high - low) * unit_float(self.word())

    def integer(self, stop: int) -> int:
        """An unbiased integer in [0, stop): words above the last multiple of `stop` are drawn again."""
        if stop <= 0:
            raise ValueError(f"stop must be positive, not {stop}")
        limit = _WORD - _WORD % stop
        while True:
            word = self.word()
            if word < limit:
                return word % stop

    def normal(self) -> float:
        """A standard normal by Box-Muller on two words (no cached second value, so one call is always two words)."""
        u1 = 1.0 - unit_float(self.word())
        u2 = unit_float(self.word())
        return math.sqrt(-2.0 * math.log(u1)) * math.cos(2.0 * math.pi * u2)


def _refuse_odd(value: Any) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical form")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"mapping keys must be text, not {type(key).__name__}")
            _refuse_odd(item)
        return
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for item in value:
            _refuse_odd(item)
        return
    raise TypeError(f"{type(value).__name__} has no canonical form")
