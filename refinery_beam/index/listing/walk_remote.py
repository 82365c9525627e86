"""The walk of a source on an object store.

Prefixes are listed one by one, like folders: memory is bounded by the largest of them, and this walk skips the names that a local walk
skips. A few are asked for ahead, since each answer takes a round trip.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from refinery_beam import locations
from refinery_beam.errors import DataError, display
from refinery_beam.index.digests.digest_kind import MD5
from refinery_beam.index.listing.sources import Sieve

_AHEAD = 16


def walk_remote(sieve: Sieve) -> None:
    """Hand every file below a URL to a sieve. Raises DataError when there is nothing, StoreError when the store refuses."""
    source = sieve.source
    with ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="list") as pool:
        todo: list[str] = [""]
        asked: deque[tuple[str, Future[list[locations.Listed]]]] = deque()
        while todo or asked:
            while todo and len(asked) < _AHEAD:
                prefix = todo.pop()
                asked.append((prefix, pool.submit(locations.list_children, locations.join(source.root, prefix))))
            prefix, answer = asked.popleft()
            try:
                found = answer.result()
            except FileNotFoundError:
                if not prefix:
                    raise _nothing_there(sieve) from None
                continue  # removed during the walk
            except OSError as error:
                raise locations.fault(error, "list", locations.join(source.root, prefix)) from error
            for listed in found:
                _take(listed, prefix, sieve, todo)


def _take(listed: locations.Listed, prefix: str, sieve: Sieve, todo: list[str]) -> None:
    name = listed.name
    if name.startswith("."):
        sieve.skip("hidden", prefix + name)
    elif listed.folder:
        todo.append(f"{prefix}{name}/")
        if not prefix:
            sieve.folder(name)
    elif word := sieve.word_of(name):
        sieve.skip(word, prefix + name)
    else:
        # CRC32C is no name for content: among a hundred thousand files two would share theirs.
        kind, digest = listed.checksum or ("", b"")
        md5 = digest if kind in (MD5, "etag") else b""
        sieve.add(prefix + name, listed.size, md5=md5, version=listed.version, tagged=kind == "etag")


def _nothing_there(sieve: Sieve) -> DataError:
    source = sieve.source
    return DataError(
        f"source {source.name!r}: nothing lies below '{display(source.root)}'",
        code="source-path",
        at=source.at,
        value=source.root,
        rule="a source on a store is a prefix with objects below it",
        remedy="correct the bucket or the prefix, or check that the credentials may list it",
    )
