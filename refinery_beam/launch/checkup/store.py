"""The cache root: whether it can be written to, how much room there is, and what it remembers of files."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator

from refinery_beam import locations
from refinery_beam.cache.probe import probe_root
from refinery_beam.cache.stores.home import home
from refinery_beam.launch.checkup.rows import CheckRow

LOW_BYTES = 2_000_000_000
"""Less room than this is a warning: staging holds a dataset once more until it is promoted."""

FEW_FILES = 256
"""Fewer open files than this are a warning: a thread holds up to 64 shards, and engines have sockets."""


def root_rows(root: str) -> Iterator[CheckRow]:
    """Writing to the cache root, and creating only what is absent there. StoreError where it cannot be used."""
    probe = probe_root(root)
    where = locations.absolute(root)
    fact = "writable, and refuses to create a file twice" if probe.exists else f"not there yet; {probe.folder} is writable"
    yield CheckRow(kind="cache", thing=where, state="ok", fact=fact)


def room_rows(root: str) -> Iterator[CheckRow]:
    """The room on the disks that a run writes to: the root's, or that of the local folder of a root on a store, and the temporary one."""
    folders = {"the cache's disk": home(root), "temporary files": tempfile.gettempdir()}
    for thing, folder in folders.items():
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        free, inodes = shutil.disk_usage(folder).free, os.statvfs(folder)
        low = free < LOW_BYTES
        none = bool(inodes.f_files) and inodes.f_favail < 1_000
        yield CheckRow(
            kind="disk",
            thing=thing,
            state="warning" if low or none else "ok",
            fact=f"{free / 1e9:,.1f} GB free at {folder}" + (f", {inodes.f_favail:,} inodes left" if none else ""),
            remedy="make room, or name another --cache-root" if low or none else "",
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft != resource.RLIM_INFINITY and soft < FEW_FILES
    yield CheckRow(
        kind="disk",
        thing="open files",
        state="warning" if few else "ok",
        fact=f"up to {soft:,} in a process" if soft != resource.RLIM_INFINITY else "as many as one likes",
        remedy="ulimit -n 4096" if few else "",
    )


def hint_rows(root: str) -> Iterator[CheckRow]:
    """The hints about files that were hashed before: without them every file is read again."""
    path = os.path.join(home(root), "hints.sqlite")
    if not os.path.exists(path):
        yield CheckRow(kind="cache", thing="hints", state="absent", fact="none yet; a run makes them", remedy="")
        return
    size = os.path.getsize(path)
    usable = os.access(path, os.R_OK | os.W_OK)
    yield CheckRow(
        kind="cache",
        thing="hints",
        state="ok" if usable else "warning",
        fact=f"{size / 1e6:,.1f} MB at {path}" + ("" if usable else ", which cannot be read and written"),
        remedy="" if usable else "mend its permissions, or remove it: files are then hashed again",
    )
