"""The store of instances on a local disk, and the operations that every store must offer.

The promises of the cache need four things of a store and no more: read a whole object, know an object's size, *create an object only if it
is absent*, and make a finished tree visible at one moment. `Store` names them; `LocalStore` gives them on a POSIX file system:

=============  =====================================================  =============================================================
operation      local                                                  an object store
=============  =====================================================  =============================================================
put_if_absent  temporary name, fsync, `link` (fails if it exists)     put with if-none-match / if-generation-match 0
publish        one `rename` of the directory; fails on a full target  upload files under content-keyed names, then put_if_absent
                                                                      the manifest: it alone makes the tree visible
set_aside      `rename` into the trash                                delete the manifest: nothing is an instance without one
=============  =====================================================  =============================================================

Readers follow the manifest only, so both columns look the same to them. `remote.RemoteStore` is the right-hand column.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol, runtime_checkable

from refinery_beam import locations
from refinery_beam.cache.stores.remote import RemoteStore
from refinery_beam.errors import StoreError
from refinery_beam.locations.space import is_full, no_space


@runtime_checkable
class Store(Protocol):
    """The operations that a store must offer to the cache. Paths are absolute in the store's own spelling."""

    def read(self, path: str) -> bytes | None:
        """The whole object, or None when there is none. Any other failure is a StoreError."""

    def size(self, path: str) -> int | None:
        """The size in bytes, or None when there is no object (a directory is none)."""

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Create the object with all of `data`, durably; or give False and change nothing if there is one. No reader sees a part of it."""

    def sizes(self, folder: str) -> dict[str, int]:
        """{relative path: size} of every file below a folder."""

    def publish(self, tree: str, target: str) -> bool:
        """Make the local, complete `tree` (manifest included) visible at `target` at one moment; False if something is there already."""

    def set_aside(self, target: str, trash: str) -> bool:
        """Take what is at `target` out of every reader's sight; False if it was gone already."""


def store_of(location: str) -> Store:
    """The store of a location."""
    return RemoteStore() if locations.is_url(location) else LocalStore()


class LocalStore:
    """A POSIX file system. Holds no state and no handles; ``durable`` False leaves out every fsync (for tests and throw-away caches)."""

    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable

    def read(self, path: str) -> bytes | None:
        try:
            return locations.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if locations.is_odd(path):
                raise odd_file(path) from error
            raise store_error(error, "read", path) from error

    def size(self, path: str) -> int | None:
        try:
            facts = os.stat(path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise store_error(error, "look at", path) from error
        # A link is no file of the instance: its target may change while the manifest stays.
        return facts.st_size if (facts.st_mode & 0o170000) == 0o100000 else None

    def put_if_absent(self, path: str, data: bytes) -> bool:
        folder = os.path.dirname(path)
        temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}-{os.urandom(4).hex()}")
        try:
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
                    file.flush()
                    if self.durable:
                        os.fsync(file.fileno())
                _link(temporary, path, data)
            except FileExistsError:
                return False
            finally:
                if os.path.lexists(temporary):
                    os.unlink(temporary)
            if self.durable:
                sync_directory(folder)
        except OSError as error:
            raise store_error(error, "create", path) from error
        return True

    def sizes(self, folder: str) -> dict[str, int]:
        from refinery_beam.cache.files import walk_files

        try:
            return walk_files(folder)
        except OSError as error:
            raise store_error(error, "list", folder) from error

    def publish(self, tree: str, target: str) -> bool:
        parent = os.path.dirname(target)
        try:
            made = _make_directories(parent)
            try:
                # POSIX: replaces an empty directory, refuses one with content. Nothing is ever overwritten.
                os.rename(tree, target)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) and os.path.lexists(target):
                    return False
                raise
            if self.durable:
                for folder in (parent, *made):
                    sync_directory(folder)
        except OSError as error:
            raise store_error(error, "publish", target) from error
        return True

    def set_aside(self, target: str, trash: str) -> bool:
        try:
            os.makedirs(os.path.dirname(trash), exist_ok=True)
            os.rename(target, trash)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise store_error(error, "move aside", target) from error
        return True


def sync_directory(path: str) -> None:
    """Make the names in a directory survive a power cut, where the file system can (some network ones say EINVAL)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sync_file(path: str) -> None:
    """Make the bytes of a file survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def odd_file(path: str) -> StoreError:
    """The StoreError for a link, a pipe, a socket or a device where an instance has a plain file."""
    return StoreError(f"{path} is neither a file nor a directory", code="odd-file", at=path)


def store_error(error: OSError, doing: str, path: str) -> StoreError:
    """The StoreError, with a remedy, for an OSError of the operating system.

    >>> store_error(OSError(28, "No space left on device"), "write", "/c").code
    'no-space'
    """
    if locations.is_url(path):
        return locations.fault(error, doing, path)
    reason = error.strerror or str(error)
    code = "store-io"
    if is_full(error):
        return no_space(error, path, doing)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        code = "cache-not-writable"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        code = "cache-not-a-directory"
    elif error.errno == errno.ENAMETOOLONG:
        code = "cache-path-too-long"
    return StoreError(f"cannot {doing} {path}: {reason}", code=code, at=path, value=reason)


def _link(temporary: str, path: str, data: bytes) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and some FUSE systems have no hard links. An exclusive create keeps "only if absent"; a crash may then leave a part, which in
        # an attempt is never read.
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _make_directories(path: str) -> list[str]:
    """Create `path` and its parents; gives the directories whose list of names has changed."""
    missing = []
    current = path
    while not os.path.isdir(current):
        missing.append(current)
        current = os.path.dirname(current)
    os.makedirs(path, exist_ok=True)
    return [os.path.dirname(folder) for folder in missing]
