from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from refinery_beam.index import FileState, HintCache, Source, SourceListing, digest_files, list_source
from support.index_parts import of_type

Put = Callable[..., Path]


class Found(NamedTuple):
    digests: list[bytes | None]
    failures: dict[int, tuple[str, str]]
    hashed: int


def digested(listing: SourceListing, *, hints: HintCache, threads: int) -> Found:
    rows = list(digest_files(listing, hints=hints, threads=threads))
    assert [row.file for row in rows] == list(listing.files)
    return Found([r.digest for r in rows], {k: r.problem for k, r in enumerate(rows) if r.problem}, sum(r.hashed for r in rows))


def digests(tmp_path: Path, *, hints: str = "hints.sqlite", threads: int = 2) -> tuple[Found, HintCache]:
    listing = list_source(Source(name="s", type="image_flat", root=str(tmp_path / "r"), **of_type("image_flat")))
    cache = HintCache(str(tmp_path / hints) if hints else "")
    return digested(listing, hints=cache, threads=threads), cache


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files made by a test are seconds old, their ctime cannot be set: move the clock instead."""
    now = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)


def test_digests_are_sha256_in_listing_order(tmp_path: Path, put: Put) -> None:
    for k in range(150):
        put(f"r/{k:03}.png", b"%d" % k)
    put("r/big.png", b"ab" * 1_500_000)
    put("r/empty.png", b"")
    for threads in (1, 3):
        found, _ = digests(tmp_path, hints="", threads=threads)
        assert found.digests[:2] == [hashlib.sha256(b"0").digest(), hashlib.sha256(b"1").digest()]
        assert found.digests[150] == hashlib.sha256(b"ab" * 1_500_000).digest()
        assert found.digests[151] == hashlib.sha256(b"").digest()
        assert (found.hashed, found.failures) == (152, {})


def test_hints_spare_the_reading(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/a.png")
    put("r/caf\udce9.png")
    settle(monkeypatch)
    first, _ = digests(tmp_path)
    written = (tmp_path / "hints.sqlite").read_bytes()
    second, cache = digests(tmp_path)
    assert (first.hashed, second.hashed) == (2, 0)
    assert second.digests == first.digests and cache.notes == []
    assert (tmp_path / "hints.sqlite").read_bytes() == written


def test_fresh_files_leave_no_hint(tmp_path: Path, put: Put) -> None:
    put("r/a.png")  # mtime is old, ctime is now
    digests(tmp_path)
    assert not (tmp_path / "hints.sqlite").exists()


def test_touched_file_is_read_again(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("r/a.png")
    settle(monkeypatch)
    first, _ = digests(tmp_path)
    os.utime(path, (1, 1))
    second, _ = digests(tmp_path)
    assert second.hashed == 1 and second.digests == first.digests


def test_same_size_and_mtime_but_other_bytes(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("r/a.png", b"one")
    settle(monkeypatch)
    digests(tmp_path)
    before = os.stat(path)
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:  # it ticks, every few milliseconds
        with open(path, "r+b") as handle:
            handle.write(b"two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(path)
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    found, _ = digests(tmp_path)
    assert (found.hashed, found.digests) == (1, [hashlib.sha256(b"two").digest()])


def test_broken_store_is_rebuilt(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/a.png")
    put("hints.sqlite", b"not a database at all, but long enough to be looked at" * 40)
    settle(monkeypatch)
    found, cache = digests(tmp_path)
    assert found.hashed == 1 and len(cache.notes) == 1 and cache.notes[0].startswith("hint cache rebuilt")
    found, cache = digests(tmp_path)
    assert found.hashed == 0 and cache.notes == []


def test_damaged_rows_are_not_believed(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/a.png")
    settle(monkeypatch)
    first, _ = digests(tmp_path)
    db = sqlite3.connect(tmp_path / "hints.sqlite")
    db.execute("UPDATE hints SET sha256 = ?", (b"\0" * 32,))
    db.commit()
    db.close()
    again, _ = digests(tmp_path)
    assert again.hashed == 1 and again.digests == first.digests


def test_older_format_is_rebuilt_and_foreign_database_is_left_alone(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/a.png")
    settle(monkeypatch)
    digests(tmp_path)
    db = sqlite3.connect(tmp_path / "hints.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    found, cache = digests(tmp_path)
    assert found.hashed == 1 and cache.notes == ["hint cache rebuilt (written in another format)"]
    db = sqlite3.connect(tmp_path / "other.sqlite")
    db.execute("CREATE TABLE letters (text)")
    db.commit()
    db.close()
    bytes_before = (tmp_path / "other.sqlite").read_bytes()
    found, cache = digests(tmp_path, hints="other.sqlite")
    assert found.hashed == 1 and len(cache.notes) == 2 and "another program's database" in cache.notes[0]
    assert (tmp_path / "other.sqlite").read_bytes() == bytes_before


def test_locked_store_only_costs_the_hints(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/a.png")
    settle(monkeypatch)
    digests(tmp_path)
    monkeypatch.setattr("refinery_beam.index.digests.hints._BUSY_SECONDS", 0.01)
    db = sqlite3.connect(tmp_path / "hints.sqlite", isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    found, cache = digests(tmp_path)
    db.close()
    assert found.hashed == 1 and found.failures == {}
    assert cache.notes == ["hint cache not used (database is locked)", "hint cache not written (database is locked)"]


def test_store_that_cannot_be_made(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/a.png")
    put("file")
    settle(monkeypatch)
    found, cache = digests(tmp_path, hints="file/hints.sqlite")
    assert found.hashed == 1 and len(cache.notes) == 1 and cache.notes[0].startswith("hint cache not written")


def test_only_what_is_asked_for_is_found(tmp_path: Path) -> None:
    hints = HintCache(str(tmp_path / "h.sqlite"))
    state = FileState(1, 2, 3, 2**64 - 1)
    hints.store([(name, state, b"x" * 32) for name in ("/r/a", "/r0/a", "/r-/a", "/r", "/r/b/c")])
    assert hints.lookup(["/r/a", "/r/b", "/r/b/c"]) == dict.fromkeys(["/r/a", "/r/b/c"], (state.pack(), b"x" * 32))
    assert hints.lookup(["/r"]).keys() == {"/r"}
    assert hints.lookup([]) == {}


def test_batches(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """More files than a batch: same digests, and every batch leaves its hints."""
    names = [f"r/{k:03}.png" for k in range(40)] + ["r/caf\udce9.png", "r/cafe\u0301/1.png", "r/\u4e2d.png"]
    for name in names:
        put(name, os.fsencode(name))
    settle(monkeypatch)
    whole, _ = digests(tmp_path, hints="")
    monkeypatch.setattr("refinery_beam.index.digests.digest_files._BATCH", 7)
    monkeypatch.setattr("refinery_beam.index.digests.digest_files._CHUNK_FILES", 2)
    first, _ = digests(tmp_path)
    second, cache = digests(tmp_path)
    assert (first.hashed, second.hashed, cache.notes) == (43, 0, [])
    assert whole.digests == first.digests == second.digests


def test_what_cannot_be_read_is_a_failure(tmp_path: Path, put: Put) -> None:
    root = tmp_path / "r"
    gone, grown, fine = put("r/a.png"), put("r/b.png"), put("r/c.png", b"fine")
    listing = list_source(Source(name="s", type="image_flat", root=str(root), **of_type("image_flat")))
    gone.unlink()
    grown.write_bytes(b"longer than it was when it was listed")
    found = digested(listing, hints=HintCache(""), threads=1)
    assert found.failures == {
        0: ("unreadable", "no such file or directory"),
        1: ("changed_during_run", "listed with 7 bytes, read 37"),
    }
    assert found.digests == [None, None, hashlib.sha256(fine.read_bytes()).digest()]
    assert found.hashed == 1


def test_somebody_else_may_hash(tmp_path: Path, put: Put) -> None:
    """They are asked once for each source, are told how much there is, and are sent home."""
    for k in range(150):
        put(f"r/{k:03}.png", b"%03d" % k)
    asked: list[tuple[int, int]] = []
    home: list[bool] = []

    class Hashers(ThreadPoolExecutor):
        def shutdown(self, *, cancel_futures: bool = False, **more: Any) -> None:  # type: ignore[override]
            home.append(cancel_futures)
            super().shutdown(cancel_futures=cancel_futures)

    def hashers(files: int, size: int) -> Hashers:
        asked.append((files, size))
        return Hashers(2)

    listing = list_source(Source(name="s", type="image_flat", root=str(tmp_path / "r"), **of_type("image_flat")))
    theirs = [done.digest for done in digest_files(listing, hints=HintCache(""), threads=2, hashers=hashers)]
    assert theirs == digests(tmp_path, hints="")[0].digests
    assert (asked, home) == ([(150, 450)], [True])
    nobody = [done.digest for done in digest_files(listing, hints=HintCache(""), threads=2, hashers=lambda files, size: None)]
    assert nobody == theirs
