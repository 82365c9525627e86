"""A full disk, wherever it strikes, in words: which disk, what is free there, and what the run was about to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from refinery_beam.errors import StoreError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No block or no inode is free; the user's share is used up; a file may not grow further."""


def is_full(error: BaseException) -> bool:
    """Whether an exception, or one that it came from, says that a disk is full. Engines pass on the texts of their workers' exceptions.

    >>> is_full(OSError(28, "No space left on device")), is_full(RuntimeError("OSError: [Errno 28] No space left on device"))
    (True, True)
    >>> is_full(OSError(13, "Permission denied"))
    False
    """
    return any(_says_full(one) for one in _chain(error))


def no_space(error: BaseException, path: str, doing: str = "write below") -> StoreError:
    """The StoreError ``no-space`` for a full disk; `path` is where something was to be written, if the error does not name it."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in FULL and isinstance(one.filename, str):
            path = one.filename
            break
    disk, size = _disk_of(path)
    return StoreError(f"cannot {doing} {path}: {_reason(error)} (the disk is {disk}, {size})", code="no-space", at=path, value=disk)


def _reason(error: BaseException) -> str:
    return next((one.strerror for one in _chain(error) if isinstance(one, OSError) and one.errno in FULL and one.strerror), "no space left")


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    text = str(error)
    return "disk is full" in text or any(f"[Errno {number}]" in text or f"[errno {number}]" in text for number in FULL)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    known: list[BaseException] = []
    while error is not None and error not in known:
        known.append(error)
        yield error
        error = error.__cause__ or error.__context__


def free_bytes(path: str) -> int | None:
    """What this user may still write to the disk that a path is on, whether the path is there yet or not; None where nobody says."""
    try:
        facts = os.statvfs(_existing(path))
    except OSError:
        return None
    return facts.f_bavail * facts.f_frsize


def _existing(path: str) -> str:
    """The path, or the nearest folder above it that is there."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _disk_of(path: str) -> tuple[str, str]:
    """The mount point a path is on, and its size. What is free there says little: a run that fails takes away what it wrote."""
    disk = path = _existing(path)
    while not os.path.ismount(disk):
        disk = os.path.dirname(disk)
    try:
        facts = os.statvfs(path)
    except OSError:
        return disk, "of unknown size"
    size = f"{facts.f_blocks * facts.f_frsize / 1e6:,.1f} MB"
    return disk, size + (", no inode left" if facts.f_files and not facts.f_favail else "")
