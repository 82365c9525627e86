"""A bounded folder on a local disk for the shards of instances that lie on a store. Processes and instances share it.

A shard is fetched whole, proved by its size and digest, and named by its digest: what is there is right, whoever fetched it, and two
instances that share a shard share the file. One process fetches a shard, others that want it wait for it. Before a file is added the ones
that were not used for the longest time are removed until both fit. A file that a reader has open stays readable for it; its space comes
back when it is closed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.cache.attempts import locks
from refinery_beam.cache.files import file_sha256
from refinery_beam.cache.manifest import FileEntry
from refinery_beam.cache.stores.local import store_error
from refinery_beam.errors import UsageError
from refinery_beam.locations.space import is_full
from refinery_beam.reading.faults import damaged, unreadable

LIMIT_BYTES = 16 << 30
FOLDER_VARIABLE, LIMIT_VARIABLE = "REFINERY_BEAM_SHARD_CACHE", "REFINERY_BEAM_SHARD_CACHE_BYTES"

_SHARD = re.compile(r"[0-9a-f]{64}\.parquet")
_PART = re.compile(r"\.([0-9a-f]{64}\.parquet)\..+\.tmp")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class _Held(NamedTuple):
    used: int
    bytes: int
    path: str


def _default_folder() -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get(FOLDER_VARIABLE) or os.path.join(home, "refinery-beam", "shards")


def _default_limit() -> int:
    said = os.environ.get(LIMIT_VARIABLE)
    return LIMIT_BYTES if not said else bytes_of(said)


@dataclass(frozen=True)
class ShardCache:
    """Where shards of remote instances are kept, and how many bytes of them. Left out, both follow from REFINERY_BEAM_SHARD_CACHE and
    REFINERY_BEAM_SHARD_CACHE_BYTES (as "50GB"), else ~/.cache/refinery-beam/shards and 16 GiB.

    >>> ShardCache("/tmp/shards", 10**9)
    ShardCache(folder='/tmp/shards', limit_bytes=1000000000)
    """

    folder: str = field(default_factory=_default_folder)
    limit_bytes: int = field(default_factory=_default_limit)

    def path(self, entry: FileEntry) -> str:
        """Where a shard lies once it was fetched."""
        return os.path.join(self.folder, f"{entry.sha256}.parquet")

    def held(self, entry: FileEntry) -> str | None:
        """The local file of a shard, if it is there."""
        path = self.path(entry)
        if locations.size(path) != entry.bytes:
            return None
        # Another process may remove it now, and a folder that is only read notes no use.
        with suppress(OSError):
            os.utime(path)
        return path

    def fetch(self, location: str, entry: FileEntry) -> str:
        """The local file of the shard at `location`, fetched if it is not there.

        StoreError ``damaged`` for bytes that are not those of the manifest, ``no-space`` or ``cache-not-writable`` for the folder, and what
        the store says.
        """
        found = self.held(entry)
        if found is not None:
            return found
        try:
            os.makedirs(self.folder, exist_ok=True)
            lock = locks.take(self.path(entry) + ".lock", wait=True)
            try:
                # Another process may have fetched it meanwhile.
                return self.held(entry) or self._fetched(location, entry)
            finally:
                if lock is not None:
                    locations.remove(lock.path)
                    lock.release()
        except OSError as error:
            raise store_error(error, "keep shards in", self.folder) from error

    def _fetched(self, location: str, entry: FileEntry) -> str:
        self._make_room(entry.bytes)
        path = self.path(entry)
        part = locations.temporary_name(path)
        try:
            try:
                locations.download(location, part)
            except OSError as error:
                if is_full(error):
                    raise
                raise unreadable(location, error) from error
            if (os.stat(part).st_size, file_sha256(part)) != (entry.bytes, entry.sha256):
                raise damaged(location, f"its {os.stat(part).st_size:,} bytes are not those that the manifest lists")
            os.replace(part, path)
        finally:
            locations.remove(part)
        return path

    def _make_room(self, wanted: int) -> None:
        """Remove the shards that were not used for the longest time, until `wanted` more bytes fit, and what killed processes left. Files
        of other names are none of its own, and stay.
        """
        held, coming = [], 0
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            try:
                facts = os.stat(path)
            except OSError:
                continue  # another process removed it
            if _SHARD.fullmatch(name):
                held.append(_Held(facts.st_mtime_ns, facts.st_size, path))
            elif part := _PART.fullmatch(name):
                if self._is_abandoned(part[1]):
                    locations.remove(path)
                else:
                    coming += facts.st_size
        total = coming + sum(one.bytes for one in held)
        for one in sorted(held):
            if total + wanted <= self.limit_bytes:
                break
            locations.remove(one.path)
            total -= one.bytes

    def _is_abandoned(self, shard: str) -> bool:
        """Whether nobody fetches a shard: its lock is free, or gone."""
        path = os.path.join(self.folder, f"{shard}.lock")
        lock = locks.take(path, create=False)
        if lock is None:
            return not os.path.exists(path)
        locations.remove(path)
        lock.release()
        return True


def bytes_of(text: str) -> int:
    """A number of bytes as people write it. UsageError ``shard-cache-bytes``.

    >>> bytes_of("50GB"), bytes_of("1.5 MiB"), bytes_of("4096")
    (50000000000, 1572864, 4096)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"{text!r} is no number of bytes", code="shard-cache-bytes", at=LIMIT_VARIABLE, value=text)
    unit = _UNITS[match[2]]
    if match[3]:
        unit = 1024 ** (list(_UNITS).index(match[2]))
    return int(float(match[1]) * unit)
