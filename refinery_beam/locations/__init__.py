"""Where bytes lie: a folder of this machine, or a URL of an object store (``s3://bucket/prefix``, ``gs://...``, whatever fsspec knows).

One set of small functions for both, so that no room asks which it is. A place is a string. Local ones are paths of the operating system;
everything with a scheme is a URL and goes to `objects`, which imports fsspec: nobody who stays on local disks pays for that.

What holds of both:

* a file appears whole or not at all (local: a temporary name and a rename; stores show an object only when its upload is complete);
* `put_if_absent` lets exactly one of many writers win;
* failures are OSErrors, whatever library they came from: FileNotFoundError, PermissionError and FileExistsError mean what they say.
  `fault` makes a StoreError with a remedy of any of them. (Two are StoreErrors at once: a missing package, an unknown scheme.)

What does not: a store has no folders (`make_folder` does nothing there), no rename and no lock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeAlias

from refinery_beam.errors import UsageError
from refinery_beam.locations import objects
from refinery_beam.locations.faults import fault
from refinery_beam.locations.objects import Child, Entry
from refinery_beam.locations.storage_options import use_options

__all__ = [
    "Child",
    "Entry",
    "StrPath",
    "absolute",
    "basename",
    "children",
    "fault",
    "is_folder",
    "is_url",
    "join",
    "make_folder",
    "modified",
    "names",
    "opened",
    "parent",
    "put_file",
    "put_if_absent",
    "put_in_words",
    "read",
    "remove",
    "remove_all",
    "scratch",
    "size",
    "use_options",
    "walk",
    "write",
    "written",
]

StrPath: TypeAlias = str | os.PathLike[str]
"""A location as callers give it."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USER_INFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s@:]*:[^/\s@]*@")


def is_url(location: str) -> bool:
    """Whether a place is on a store. ``file://`` is not: `absolute` makes a path of it.

    >>> is_url("s3://bucket/a"), is_url("/data"), is_url("file:///data"), is_url("a:b")
    (True, False, False, False)
    """
    return bool(_SCHEME.match(location)) and not location.startswith("file://")


def absolute(location: str) -> str:
    """A place that means the same in every process: an absolute path, or a URL without a slash at its end.

    UsageError for a URL with a password in it: URLs are printed.

    >>> absolute("s3://bucket/a/"), absolute("file:///data/x")
    ('s3://bucket/a', '/data/x')
    """
    if location.startswith("file://"):
        return os.path.abspath(location[len("file://") :])
    if not is_url(location):
        return os.path.abspath(location)
    if _USER_INFO.match(location):
        shown = re.sub(r"://[^/]*@", "://***@", location)
        raise UsageError(f"{shown} holds a password", code="secret-in-url", at=shown)
    scheme, _, rest = location.partition("://")
    return f"{scheme}://{rest.strip('/')}"


def join(location: str, *parts: str) -> str:
    """The place of something below another. Parts may hold several names with slashes between them.

    >>> join("s3://bucket/a", "b/c", "d"), join("/data", "b/c")
    ('s3://bucket/a/b/c/d', '/data/b/c')
    """
    if is_url(location):
        return "/".join([location.rstrip("/"), *(part.strip("/") for part in parts if part)])
    return os.path.join(location, *(name for part in parts for name in part.split("/")))


def parent(location: str) -> str:
    """The folder a place is in.

    >>> parent("s3://bucket/a/b"), parent("/data/x")
    ('s3://bucket/a', '/data')
    """
    return location.rstrip("/").rpartition("/")[0] if is_url(location) else os.path.dirname(location)


def basename(location: str) -> str:
    """The last name of a place."""
    return location.rstrip("/").rpartition("/")[2] if is_url(location) else os.path.basename(location)


def inside(location: str, folder: str) -> bool:
    """Whether a place is a folder or lies in it. Local ones are compared after symbolic links are followed; a local one and one on a store
    never meet.

    >>> inside("gs://bucket/photos/cache", "gs://bucket/photos/"), inside("/photos-2", "/photos"), inside("gs://bucket/a", "/a")
    (True, False, False)
    """
    if is_url(location) != is_url(folder):
        return False
    one, other = (absolute(p) if is_url(p) else os.path.realpath(absolute(p)) for p in (location, folder))
    return one == other or one.startswith(other.rstrip("/") + "/")


def read(location: str) -> bytes:
    """The whole file. Safe to call from many threads at once."""
    if is_url(location):
        return objects.read(location)
    with open(location, "rb") as file:
        return file.read()


def opened(location: str) -> AbstractContextManager[Any]:
    """What pyarrow reads Parquet from, closed afterwards: the path itself, or a seekable file of the store."""
    return objects.opened(location) if is_url(location) else nullcontext(location)


def size(location: str) -> int | None:
    """The bytes of a file, or None when there is no such file (a folder is none, and neither is a link)."""
    if is_url(location):
        return objects.size(location)
    try:
        facts = os.stat(location, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_size if (facts.st_mode & 0o170000) == 0o100000 else None


def is_folder(location: str) -> bool:
    """Whether there is a folder; on a store, whether any object lies below the place."""
    return objects.is_folder(location) if is_url(location) else os.path.isdir(location)


def names(folder: str) -> list[str]:
    """The names of files and folders directly below, sorted; [] when there is nothing."""
    if is_url(folder):
        return objects.names(folder)
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def children(url: str) -> list[Child]:
    """What lies directly below a URL, sorted by name; FileNotFoundError when there is nothing. One listing, never a cached one."""
    return objects.children(url)


def walk(folder: str) -> list[Entry]:
    """Every file below a folder, at any depth, sorted by path. On a store it is one listing, with the store's checksums."""
    if is_url(folder):
        return objects.walk(folder)
    found = []
    for current, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(current, name)
            found.append(Entry(os.path.relpath(path, folder).replace(os.sep, "/"), os.stat(path).st_size))
    return sorted(found)


def modified(location: str) -> datetime:
    """When a file was last written, by the clock of what keeps it, which need not agree with this machine's."""
    if is_url(location):
        return objects.modified(location)
    return datetime.fromtimestamp(os.stat(location).st_mtime, UTC)


def make_folder(location: str) -> None:
    """Make a folder and those above it where there are folders."""
    if not is_url(location):
        os.makedirs(location, exist_ok=True)


def write(location: str, data: bytes) -> None:
    """Write a whole file over whatever is there. Nobody ever sees a part of it. The local folder must be there."""
    if is_url(location):
        objects.write(location, data)
        return
    temporary = _beside(location)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, location)
    except BaseException:
        _forget(temporary)
        raise


def put_if_absent(location: str, data: bytes) -> bool:
    """Create a file, or leave alone what is there and give False. What must survive a power cut: `cache.LocalStore`."""
    if is_url(location):
        return objects.put_if_absent(location, data)
    temporary = _beside(location)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.link(temporary, location)
    except FileExistsError:
        return False
    finally:
        _forget(temporary)
    return True


def put_file(local: str, location: str) -> None:
    """Move a finished local file to its place, over whatever is there: a rename, or an upload (and `local` is gone afterwards)."""
    if is_url(location):
        objects.upload(local, location)
        os.unlink(local)
    else:
        os.replace(local, location)


def remove(location: str) -> None:
    """Remove a file; one that is gone already is no error."""
    if is_url(location):
        objects.remove([location])
    else:
        _forget(location)


def remove_all(locations: Iterable[str]) -> None:
    """`remove` for many; on a store they go in as few requests as it allows."""
    every = list(locations)
    urls = [location for location in every if is_url(location)]
    if urls:
        objects.remove(urls)
    for location in every:
        if not is_url(location):
            _forget(location)


@contextmanager
def written(location: str) -> Iterator[str]:
    """The local path to write a file to: the place itself, or a temporary file that is uploaded when the block ends well."""
    if not is_url(location):
        yield location
        return
    with scratch(location) as folder:
        local = os.path.join(folder, "file")
        yield local
        put_file(local, location)


@contextmanager
def scratch(folder: str) -> Iterator[str]:
    """A local folder for files that are not finished yet: `folder` itself where it is local, else a temporary one, removed afterwards."""
    if is_url(folder):
        import tempfile

        with tempfile.TemporaryDirectory(prefix="refinery-beam-") as temporary:
            yield temporary
    else:
        yield folder


@contextmanager
def put_in_words() -> Iterator[None]:
    """Inside, a failure of a store that nobody has put in words yet leaves as the StoreError of `fault`. Local failures are not touched."""
    try:
        yield
    except OSError as error:
        location = str(error.filename or "")
        if not is_url(location):
            raise
        raise fault(error, "use", location) from error


def _beside(location: str) -> str:
    # A name of its own, because two processes may write one file at a time; it is gone before the call ends.
    folder, name = os.path.split(location)
    return os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
