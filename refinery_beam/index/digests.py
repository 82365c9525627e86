"""Content digests: SHA-256 of every selected file, from the hint cache where it knows, from the bytes where it does not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from refinery_beam.index.hints import FileState, HintCache, is_settled
from refinery_beam.index.sources import FileFact, SourceListing

KIND = "sha256"

_BLOCK = 1 << 20
_CHUNK_FILES = 64
_CHUNK_BYTES = 8 << 20


_Todo: TypeAlias = tuple[int, str, FileFact]
_Done: TypeAlias = tuple[bytes, bool, tuple[str, str] | None]


@dataclass
class Digests:
    """``digests`` holds one raw 32-byte digest a file, in the order of the listings, None where reading failed; ``failures`` maps those
    positions to (reason word, detail); ``hashed`` counts the files really read."""

    digests: list[bytes | None]
    failures: dict[int, tuple[str, str]] = field(default_factory=dict)
    hashed: int = 0


def digest_files(listings: Sequence[SourceListing], *, hints: HintCache, threads: int) -> Digests:
    """Digest the files of some listings. Reads only what no hint covers, with `threads` threads (hashlib releases the GIL).

    Never raises for a file: one that cannot be read is a failure `unreadable`, one whose bytes are not those that were listed is
    `changed_during_run`. The store of hints is written once at the end, and only if there is something new.

    >>> digest_files([], hints=HintCache(""), threads=2).digests
    []
    """
    result = Digests([])
    todo: list[_Todo] = []
    for listing in listings:
        root = listing.source.root.rstrip("/") + "/"
        known = hints.lookup(root)
        for fact in listing.files:
            path = root + fact.path
            hint = known.get(path)
            if hint is not None and hint[0] == _state(fact).pack():
                result.digests.append(hint[1])
            else:
                todo.append((len(result.digests), path, fact))
                result.digests.append(None)
    fresh: list[tuple[str, FileState, bytes]] = []
    chunks = _chunks(todo)
    for chunk, done in zip(chunks, _run(chunks, threads), strict=True):
        for (position, path, fact), (digest, settled, problem) in zip(chunk, done, strict=True):
            if problem is not None:
                result.failures[position] = problem
                continue
            result.hashed += 1
            result.digests[position] = digest
            if settled:
                fresh.append((path, _state(fact), digest))
    hints.store(fresh)
    return result


def _chunks(todo: list[_Todo]) -> list[list[_Todo]]:
    """Tasks large enough to be worth a thread's while, small enough that all threads end together."""
    chunks: list[list[_Todo]] = []
    room = 0
    for item in todo:
        if room <= 0 or len(chunks[-1]) >= _CHUNK_FILES:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append(item)
        room -= item[2].size
    return chunks


def _run(chunks: list[list[_Todo]], threads: int) -> list[list[_Done]]:
    if threads <= 1 or len(chunks) <= 1:
        return [_hash_chunk(chunk) for chunk in chunks]
    # Imported here: a cache hit hashes nothing and should not pay for it.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(threads, len(chunks)), thread_name_prefix="digest") as pool:
        return list(pool.map(_hash_chunk, chunks))


def _hash_chunk(chunk: list[_Todo]) -> list[_Done]:
    buffer = memoryview(bytearray(min(_BLOCK, max(4096, *(fact.size + 1 for _, _, fact in chunk)))))
    return [_hash_file(path, fact, buffer) for _, path, fact in chunk]


def _hash_file(path: str, fact: FileFact, buffer: memoryview) -> _Done:
    h = hashlib.sha256()
    total = 0
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            before = os.fstat(fd)
            while count := os.readv(fd, [buffer]):
                h.update(buffer[:count])
                total += count
            after = os.fstat(fd)
        finally:
            os.close(fd)
    except OSError as error:
        return b"", False, ("unreadable", (error.strerror or type(error).__name__).lower())
    if total != fact.size or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        return b"", False, ("changed_during_run", f"listed with {fact.size} bytes, read {total}")
    state = FileState(after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino)
    return h.digest(), state == _state(fact) and is_settled(state), None


def _state(fact: FileFact) -> FileState:
    return FileState(fact.size, fact.mtime_ns, fact.ctime_ns, fact.inode)
