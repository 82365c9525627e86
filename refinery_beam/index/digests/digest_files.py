"""Content digests: SHA-256 of every selected file, from the hint cache where it knows, from the bytes where it does not.

Files are taken in batches, in the order of their listing, so memory does not grow with their number; while one batch is waited for, the
threads work on the next.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from refinery_beam.index.digests.hints import FileState, HintCache, is_settled
from refinery_beam.index.listing.sources import FileFact, SourceListing

if TYPE_CHECKING:
    from concurrent.futures import Future

_BATCH = 8192
_BLOCK = 1 << 20
_CHUNK_FILES = 64
_CHUNK_BYTES = 8 << 20


class Digested(NamedTuple):
    """The result for one file: its raw ``digest``, or a ``problem`` as (reason word, detail). ``hashed`` says that it was really read."""

    file: FileFact
    digest: bytes | None
    problem: tuple[str, str] | None = None
    hashed: bool = False


_Todo: TypeAlias = tuple[int, str, FileFact]
_Done: TypeAlias = tuple[bytes, bool, tuple[str, str] | None]
_Chunk: TypeAlias = tuple[list[_Todo], Callable[[], list[_Done]]]
_Batch: TypeAlias = tuple[list[Digested], list[_Chunk]]


class Hashers(Protocol):
    """Whoever hashes files: as much of an executor as is needed."""

    def submit(self, function: Callable[[list[_Todo]], list[_Done]], chunk: list[_Todo], /) -> Future[list[_Done]]: ...

    def shutdown(self, *, cancel_futures: bool = False) -> None: ...


HashersFor: TypeAlias = "Callable[[int, int], Hashers | None]"
"""(files, their bytes) that no hint knows -> who hashes them; None leaves it to threads. Called once, before there is any thread."""


def digest_files(listing: SourceListing, *, hints: HintCache, threads: int, hashers: HashersFor | None = None) -> Iterator[Digested]:
    """Digest the files of a listing, in its order. Reads only what no hint covers, with `hashers`, or `threads` threads (hashlib releases
    the GIL).

    Never raises for a file: one that cannot be read is a problem `unreadable`, one whose bytes are not those that were listed is
    `changed_during_run`. Hints are stored as batches end, and only where there is something new: a run that is killed keeps most.
    """
    root, hinted = (path.rstrip("/") + "/" for path in (listing.source.root, listing.source.hinted))
    files = iter(listing.files)
    waiting: deque[_Batch] = deque()
    with _Threads(threads, hashers) as pool:
        while batch := list(islice(files, _BATCH)):
            waiting.append(_begin(batch, root, hinted, hints, pool))
            if len(waiting) > 1:
                yield from _end(waiting.popleft(), hinted, hints)
        while waiting:
            yield from _end(waiting.popleft(), hinted, hints)


class _Threads:
    """Threads that are started when there is something to hash for more than one, and not before: a cache hit hashes nothing."""

    def __init__(self, threads: int, hashers: HashersFor | None) -> None:
        self._threads, self._hashers = threads, hashers
        self._pool: Hashers | None = None

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def hash(self, chunks: list[list[_Todo]]) -> list[_Chunk]:
        """Each chunk with the call that waits for its digests."""
        if self._threads <= 1 or (len(chunks) <= 1 and self._pool is None):
            return [(chunk, lambda chunk=chunk: _hash_chunk(chunk)) for chunk in chunks]  # type: ignore[misc]
        if self._pool is None and self._hashers is not None:
            sizes = [fact.size for chunk in chunks for _, _, fact in chunk]
            self._pool = self._hashers(len(sizes), sum(sizes))
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="digest")
        return [(chunk, self._pool.submit(_hash_chunk, chunk).result) for chunk in chunks]


def _begin(batch: list[FileFact], root: str, hinted: str, hints: HintCache, pool: _Threads) -> _Batch:
    paths = [hinted + fact.path for fact in batch]
    known = hints.lookup(paths)
    results: list[Digested] = []
    todo: list[_Todo] = []
    for path, fact in zip(paths, batch, strict=True):
        hint = known.get(path)
        if hint is not None and hint[0] == _state(fact).pack():
            results.append(Digested(fact, hint[1]))
        else:
            todo.append((len(results), root + fact.path, fact))
            results.append(Digested(fact, None))
    return results, pool.hash(_chunks(todo))


def _end(batch: _Batch, hinted: str, hints: HintCache) -> list[Digested]:
    results, chunks = batch
    fresh: list[tuple[str, FileState, bytes]] = []
    for chunk, wait in chunks:
        for (position, _, fact), (digest, settled, problem) in zip(chunk, wait(), strict=True):
            if problem is not None:
                results[position] = Digested(fact, None, problem)
                continue
            results[position] = Digested(fact, digest, None, True)
            if settled:
                fresh.append((hinted + fact.path, _state(fact), digest))
    hints.store(fresh)
    return results


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
