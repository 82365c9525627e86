"""Listing and hashing the files of one directory."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from refinery_beam import locations
from refinery_beam.cache.listed import is_sink_file
from refinery_beam.cache.manifest import ANNEXES
from refinery_beam.errors import StoreError

PIECE_BYTES = 8 << 20


def walk_files(folder: str) -> dict[str, int]:
    """Every file below a folder: {relative posix path: size}. The manifest counts like any other.

    StoreError ``odd-file`` for links, sockets and the like: an instance is made of plain files only.
    """
    found: dict[str, int] = {}
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(os.path.join(folder, below)) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode):
                    pending.append(path)
                elif stat.S_ISREG(facts.st_mode):
                    found[path] = facts.st_size
                else:
                    odd = os.path.join(folder, path)
                    raise StoreError(f"{odd} is neither a file nor a directory", code="odd-file", at=odd)
    return found


def file_sha256(path: str) -> str:
    """The hex sha256 of a file's bytes, read in pieces."""
    if locations.is_url(path):
        hashed = hashlib.sha256()
        with locations.opened(path) as source:
            while piece := source.read(PIECE_BYTES):
                hashed.update(piece)
        return hashed.hexdigest()
    with locations.open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: str, paths: Iterable[str], *, threads: int = 4) -> dict[str, str]:
    """{relative path: hex sha256}. Threads pay off because hashing releases the interpreter lock."""
    wanted = sorted(paths)
    if threads <= 1 or len(wanted) <= 1:
        return {path: file_sha256(locations.join(folder, path)) for path in wanted}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return dict(zip(wanted, pool.map(lambda path: file_sha256(locations.join(folder, path)), wanted), strict=True))


def compute_files(folder: str, *, shards: Iterable[Mapping[str, Any]] = (), threads: int = 4) -> list[dict[str, Any]]:
    """The ``files`` list of a manifest for a folder, sorted by path.

    ``shards`` are entries from the write pass, which counted and hashed the files (path, bytes, sha256, split, shard, shards, records,
    rows_digest); they are copied and their files not read again. Every other file is hashed here, except annexes, see `compute_annexes`,
    and the files of sinks, which their sink's table lists.
    """
    known = {str(entry["path"]): dict(entry) for entry in shards}
    present = walk_files(folder)
    rest = [path for path in present if path not in known and path not in ANNEXES and not is_sink_file(path)]
    digests = hash_files(folder, rest, threads=threads)
    entries = [*known.values(), *({"path": path, "bytes": present[path], "sha256": digests[path]} for path in rest)]
    return sorted(entries, key=lambda entry: str(entry["path"]))


def compute_annexes(folder: str) -> list[dict[str, Any]]:
    """The ``annexes`` list of a manifest for a folder, sorted by path."""
    found = [path for path in sorted(ANNEXES) if os.path.lexists(os.path.join(folder, path))]
    return [
        {"path": path, "bytes": os.path.getsize(os.path.join(folder, path)), "sha256": file_sha256(os.path.join(folder, path))}
        for path in found
    ]
