"""Tells living runs from dead ones by locks that end with their process.

The first choice is ``flock``: the kernel gives it back when the last process that holds the open file ends, however it ends, so a lock that
can be taken belongs to a dead run. Linux carries it over NFS as a byte-range lock (since 2.6.12, with lockd or NFSv4).

Where there is no such thing (no ``fcntl``, or a file system that answers ENOLCK, ENOSYS or EOPNOTSUPP) the lock file's text decides: it
names the machine, its boot, its process namespace and the pid. A holder on this machine whose pid is gone is dead; **everyone else counts
as alive**. That errs to the safe side: at worst a dead attempt of another machine stays until it is cleaned by hand, and a reused pid looks
alive.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time

from refinery_beam.processes import is_alive

try:
    import fcntl
except ImportError:  # pragma: no cover - not a POSIX machine
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
# How many tenths of a second `take` waits where the kernel cannot wake it.
_PATIENCE = 300
_HELD = {errno.EAGAIN, errno.EACCES}


class Lock:
    """A lock that this process has. `take` makes it; `release`, or the end of the process, gives it back."""

    def __init__(self, path: str, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    def release(self) -> None:
        """Give it back; a second call does nothing. The file stays: only the process that has the lock may remove its file."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            # Without flock the text is the lock. (Harmless with it: no other process can read it before the next line.)
            os.ftruncate(handle, 0)
            if fcntl is not None:
                # Explicitly, because a forked child still has the file open and would keep the lock.
                try:
                    fcntl.flock(handle, fcntl.LOCK_UN)
                except OSError as error:
                    if error.errno not in _NO_LOCKS:
                        raise
            os.close(handle)


def take(path: str, *, create: bool = True, wait: bool = False) -> Lock | None:
    """Take the lock of a file, or None when another holds it (or the file is gone and ``create`` is False).

    ``wait`` waits for the holder (without flock for half a minute at most).

    Raises OSError when the file cannot be opened at all.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    while True:
        try:
            handle = os.open(path, flags, 0o666)
        except FileNotFoundError:
            if create:
                raise
            return None
        try:
            if not _acquire(handle, wait=wait):
                os.close(handle)
                return None
            # The file may have been removed (and made again) between open and lock: then this lock guards nothing.
            if not _still_there(handle, path):
                os.close(handle)
                continue
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(identity_of_process()).encode(), 0)
        except BaseException:
            os.close(handle)
            raise
        return Lock(path, handle)


def _acquire(handle: int, *, wait: bool) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _HELD:
                return False
            if error.errno not in _NO_LOCKS:
                raise
        else:
            return True
    for _ in range(_PATIENCE if wait else 1):
        if not _holder_alive(os.pread(handle, 4096, 0)):
            return True
        time.sleep(0.1 if wait else 0)
    return False


def _holder_alive(text: bytes) -> bool:
    """Whether the owner is alive, by the text of the lock file. With an empty or odd text nobody ever had the lock."""
    try:
        holder = json.loads(text)
        int(holder["pid"]), holder["where"]
    except (ValueError, KeyError, TypeError):
        return False
    return not process_is_gone(holder)


def process_is_gone(holder: object) -> bool:
    """Whether an `identity_of_process` belongs to a process of this machine that has ended. False for processes of other machines."""
    if not isinstance(holder, dict) or holder.get("where") != identity_of_process()["where"] or not isinstance(holder.get("pid"), int):
        return False
    return not is_alive(holder["pid"])


def _still_there(handle: int, path: str) -> bool:
    try:
        now, held = os.stat(path), os.fstat(handle)
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)


def identity_of_process() -> dict[str, object]:
    """An identity of this process by which other processes of the same machine and boot recognise it."""
    # A pid without machine, boot and container says nothing.
    where = [platform.node()]
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            where.append(file.read().strip())
        where.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass
    return {"pid": os.getpid(), "where": " ".join(where)}
