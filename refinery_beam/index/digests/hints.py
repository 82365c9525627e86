"""The hint cache: the digest of a file when it was last hashed.

A hint is only ever a hint. It counts for exactly one (path, size, mtime, ctime, inode), where the path is absolute, or begins with the
variable that a recipe begins it with, so that no value of a variable is stored; a file that changed less than two
seconds before it was hashed leaves none, because a clock's tick may hide a second write; each row carries a check sum of itself.
Whatever is wrong with the store (read-only, locked by another process, broken), files are hashed instead and `HintCache.notes` says so:
it never fails a run. Workers check the digest of what they read anyway.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

_SETTLED_NS = 2_000_000_000
_APPLICATION = 0x52464248  # identifies the file as a hint cache: databases of other programs stay untouched
_FORMAT = 1
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS hints "
    "(path BLOB PRIMARY KEY, state BLOB NOT NULL, sha256 BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID"
)
_SELECT = "SELECT path, state, sha256, crc FROM hints"
_BUSY_SECONDS = 1.0


class FileState(NamedTuple):
    """The `stat` of a file; any difference makes a hint void."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    def pack(self) -> bytes:
        """The four numbers as text: exact whatever their range."""
        return b"%d %d %d %d" % self


class ObjectState(NamedTuple):
    """The facts of an object in a store's listing; any difference makes a hint void."""

    size: int
    version: str

    def pack(self) -> bytes:
        return b"%d %s" % (self.size, self.version.encode())


def is_settled(state: FileState) -> bool:
    """Whether a file last changed long enough ago for a hint to be kept. One from the future never settles, so it is hashed each time.

    The clock decides only whether a hint is kept: it reaches no output.

    >>> is_settled(FileState(size=3, mtime_ns=1, ctime_ns=1, inode=7))
    True
    """
    return max(state.mtime_ns, state.ctime_ns) <= time.time_ns() - _SETTLED_NS


class HintCache:
    """An SQLite file of hints at `path`, made on the first write; '' keeps no hints.

    Safe for concurrent processes. ``notes`` are about failures of the cache in this run, not about the data.

    >>> import tempfile
    >>> hints = HintCache(os.path.join(tempfile.mkdtemp(), "hints.sqlite"))
    >>> state = FileState(size=3, mtime_ns=1, ctime_ns=1, inode=7)
    >>> hints.store([("/photos/a.png", state, b"d" * 32)])
    >>> hints.lookup(["/photos/a.png", "/photos/b.png"]) == {"/photos/a.png": (state.pack(), b"d" * 32)}
    True
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []

    def lookup(self, paths: Sequence[str]) -> dict[str, tuple[bytes, bytes]]:
        """The hints for some absolute paths: path -> (packed `FileState`, sha256). Empty without a store.

        ASCII paths are looked up by one scan from the least to the greatest, so ask for neighbours together; others one by one, since
        they may be stored in an order that is not their own.
        """
        if not paths or not self.path or not os.path.exists(self.path):
            return {}
        import sqlite3

        plain = {os.fsencode(path) for path in paths if path.isascii()}
        others = [os.fsencode(path) for path in paths if not path.isascii()]
        try:
            with closing(self._open()) as db:
                if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    return {}  # made by another process that has not committed yet
                rows: list[tuple[bytes, bytes, bytes, int]] = []
                if plain:
                    scan = db.execute(f"{_SELECT} WHERE path >= ? AND path <= ?", (min(plain), max(plain)))
                    rows += (row for row in scan if row[0] in plain)
                for path in others:
                    rows += db.execute(f"{_SELECT} WHERE path = ?", (path,)).fetchall()
            return {os.fsdecode(path): (state, sha) for path, state, sha, crc in rows if crc == _crc(path, state, sha)}
        except sqlite3.OperationalError as error:
            self._note(f"hint cache not used ({error})")
        except (sqlite3.DatabaseError, TypeError) as error:
            self._rebuild(error)
        return {}

    def store(self, rows: Iterable[tuple[str, FileState | ObjectState, bytes]]) -> None:
        """Keep hints, the newest for each path. Touches nothing when there are none."""
        packed = []
        for path, state, sha in rows:
            raw, facts = os.fsencode(path), state.pack()
            packed.append((raw, facts, sha, _crc(raw, facts, sha)))
        if not packed or not self.path:
            return
        import sqlite3

        try:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            try:
                self._write(packed)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                self._rebuild(error)
                self._write(packed)
        except (sqlite3.Error, OSError) as error:
            self._note(f"hint cache not written ({error})")

    def _write(self, packed: list[tuple[bytes, bytes, bytes, int]]) -> None:
        with closing(self._open()) as db, db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {_FORMAT}")
            db.executemany("INSERT OR REPLACE INTO hints VALUES (?, ?, ?, ?)", packed)

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            owner = db.execute("PRAGMA application_id").fetchone()[0]
            if owner != _APPLICATION and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.OperationalError("another program's database")
            if owner == _APPLICATION and db.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
                raise sqlite3.DatabaseError("written in another format")
        except BaseException:
            db.close()
            raise
        return db

    def _rebuild(self, error: Exception) -> None:
        # Hints hold nothing that hashing does not give back, so a broken store is dropped rather than mended.
        self._note(f"hint cache rebuilt ({error})")
        for name in (self.path, self.path + "-journal", self.path + "-wal", self.path + "-shm"):
            try:
                os.unlink(name)
            except FileNotFoundError:
                continue
            except OSError as problem:
                self._note(f"hint cache not used ({problem})")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _crc(path: bytes, state: bytes, sha: bytes) -> int:
    return zlib.crc32(b"\0".join((path, state, sha)))
