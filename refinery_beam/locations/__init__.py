"""Where bytes lie: a folder of this machine, or a URL of an object store (``s3://bucket/prefix``, ``gs://...``, whatever fsspec knows).

Both have one set of small functions, so that no room asks which it is. A location is a string. A local location is a path of the operating
system. Everything with a scheme is a URL and goes to `objects`, which imports fsspec: a run on local disks does not pay for that import.

Promises for both:

* a file appears whole or not at all (local: a temporary name and a rename; stores show an object only when its upload is complete);
* `put_if_absent` lets exactly one of many writers win;
* failures are OSErrors, whatever library they came from: FileNotFoundError, PermissionError and FileExistsError mean what they say.
  `fault` turns any of them into a StoreError with a remedy. (A missing package and an unknown scheme raise StoreError at once.)

What differs: a store has no folders (`make_folder` does nothing there), no rename and no lock.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from io import BufferedReader
from typing import Any, TypeAlias

from refinery_beam.errors import UsageError
from refinery_beam.locations import objects
from refinery_beam.locations.faults import fault
from refinery_beam.locations.objects import Entry, Listed
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.locations.storage_options import use_options
from refinery_beam.masking import holds_user, mask, remember_variable

__all__ = [
    "Entry",
    "Listed",
    "StrPath",
    "absolute",
    "basename",
    "expand",
    "fault",
    "is_folder",
    "is_url",
    "join",
    "list_children",
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
    "split_list",
    "use_options",
    "walk",
    "write",
    "written",
]

StrPath: TypeAlias = str | os.PathLike[str]
"""A location as callers give it."""

VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}(?=/|\Z)")
"""How a location begins whose first part is the value of an environment variable."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(location: str) -> bool:
    """Whether a location is on a store. ``file://`` is not: `absolute` makes a path of it.

    >>> is_url("s3://bucket/a"), is_url("/data"), is_url("file:///data"), is_url("a:b")
    (True, False, False, False)
    """
    return bool(_SCHEME.match(location)) and not location.startswith("file://")


def absolute(location: str) -> str:
    """A location that means the same in every process: an absolute path, or a URL without a slash at its end.

    UsageError for a URL with user info in it, be it a password or a user alone: URLs are printed and stored. (In abfss://container@account
    the word before the @ is none.)

    >>> absolute("s3://bucket/a/"), absolute("file:///data/x")
    ('s3://bucket/a', '/data/x')
    """
    if location.startswith("file://"):
        return os.path.abspath(location[len("file://") :])
    if not is_url(location):
        return os.path.abspath(location)
    if holds_user(location):
        shown = mask(location)
        raise UsageError(f"{shown} was given with user info", code="secret-in-url", at=shown)
    scheme, _, rest = location.partition("://")
    return f"{scheme}://{rest.strip('/')}"


def expand(location: str) -> str:
    """A location with the value of the variable that it begins with, where it begins with ``${env:NAME}``. UsageError
    ``variable-missing`` where the variable is not set, ``variable-form`` where it stands anywhere else.

    >>> os.environ["DOC_DATA"] = "/data"
    >>> expand("${env:DOC_DATA}/cache"), expand("cache")
    ('/data/cache', 'cache')
    """
    if "${" not in location:
        return location
    match = VARIABLE.match(location)
    if match is None or location.count("${") > 1:
        raise UsageError(f"{location!r} is not of the form ${{env:NAME}}/sub", code="variable-form", value=location)
    value = os.environ.get(match[1])
    if not value:
        state = "not set" if value is None else "empty"
        raise UsageError(f"the environment variable {match[1]} is {state}", code="variable-missing", value=location, name=match[1])
    remember_variable(match[1], value if is_url(value) else os.path.abspath(value))
    return value + location[match.end() :]


def split_list(text: str) -> tuple[str, ...]:
    """The locations in a variable, with colons between them. The colon of a URL or of ``${env:NAME}`` parts nothing.

    >>> split_list("/a:gs://bucket/b::${env:TEAM}/c")
    ('/a', 'gs://bucket/b', '${env:TEAM}/c')
    """
    return tuple(part for part in re.split(r"(?<!\$\{env):(?!//)", text) if part)


def join(location: str, *parts: str) -> str:
    """The location of something below another location. Parts may hold several names with slashes between them.

    >>> join("s3://bucket/a", "b/c", "d"), join("/data", "b/c")
    ('s3://bucket/a/b/c/d', '/data/b/c')
    """
    if is_url(location):
        return "/".join([location.rstrip("/"), *(part.strip("/") for part in parts if part)])
    return os.path.join(location, *(name for part in parts for name in part.split("/")))


def parent(location: str) -> str:
    """The folder of a location.

    >>> parent("s3://bucket/a/b"), parent("/data/x")
    ('s3://bucket/a', '/data')
    """
    return location.rstrip("/").rpartition("/")[0] if is_url(location) else os.path.dirname(location)


def basename(location: str) -> str:
    """The last name of a location."""
    return location.rstrip("/").rpartition("/")[2] if is_url(location) else os.path.basename(location)


def inside(location: str, folder: str) -> bool:
    """Whether a location is a folder or lies in it. Local paths are compared after symbolic links are followed; a local path never lies in
    a URL.

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
    descriptor = _open_plain(location)
    try:
        parts: list[bytes] = []
        # One byte more than a file says, so that a file that has not grown is read by two calls.
        while part := os.read(descriptor, min(os.fstat(descriptor).st_size + 1, 1 << 30) if not parts else 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def open_plain(path: str) -> BufferedReader:
    """A local file, opened for reading. OSError for what is no plain file: a pipe that nobody writes to would keep a run for ever."""
    return os.fdopen(_open_plain(path), "rb")


def _open_plain(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, f"it is no plain file but {_kind(mode)}", path)
        return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def is_odd(path: str) -> bool:
    """Whether something is at a local path that is neither a plain file nor a folder: a pipe, a socket, a device."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _kind(mode: int) -> str:
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def download(url: str, local: str) -> None:
    """Write a whole object of a store to a local file, piece by piece, and replace what is there."""
    objects.download(url, local)


def opened(location: str) -> AbstractContextManager[Any]:
    """The source that pyarrow reads Parquet from, closed afterwards: the path itself, or a seekable file of the store."""
    if is_url(location):
        return objects.opened(location)
    if is_odd(location):
        open_plain(location).close()
    return nullcontext(location)


def size(location: str) -> int | None:
    """The bytes of a file, or None when there is no such file (a folder is none, and neither is a link)."""
    if is_url(location):
        return objects.size(location)
    try:
        facts = os.stat(location, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_size if (facts.st_mode & 0o170000) == 0o100000 else None


def why_absent(path: str) -> str:
    """Why there is nothing to find at a local path, in words that go on after its name.

    >>> why_absent("/no/such/folder")
    'does not exist'
    """
    try:
        os.stat(path)
    except PermissionError:
        above = [path]
        while os.path.dirname(above[-1]) != above[-1]:
            above.append(os.path.dirname(above[-1]))
        closed = next((folder for folder in reversed(above) if not os.access(folder, os.X_OK)), above[-1])
        return f"cannot be seen: this user may not look into {closed}"
    except OSError:
        pass
    return "does not exist"


def is_folder(location: str) -> bool:
    """Whether there is a folder; on a store, whether any object lies below the URL."""
    return objects.is_folder(location) if is_url(location) else os.path.isdir(location)


def names(folder: str) -> list[str]:
    """The names of files and folders directly below, sorted; [] when there is nothing."""
    if is_url(folder):
        return objects.names(folder)
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def list_children(url: str) -> list[Listed]:
    """What lies directly below a URL, sorted by name; FileNotFoundError when there is nothing. One listing, never a cached one."""
    return objects.list_children(url)


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
    """When a file was last written, by the clock of its file system or store, which need not agree with this machine's."""
    if is_url(location):
        return objects.modified(location)
    return datetime.fromtimestamp(os.stat(location).st_mtime, UTC)


def make_folder(location: str) -> None:
    """Make a folder and its parents. Does nothing on a store, which has no folders."""
    if not is_url(location):
        os.makedirs(location, exist_ok=True)


def write(location: str, data: bytes) -> None:
    """Write a whole file and replace what is there. No reader sees a part of it. The local folder must exist."""
    if is_url(location):
        objects.write(location, data)
        return
    temporary = temporary_name(location)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, location)
    except BaseException:
        _forget(temporary)
        raise


def put_if_absent(location: str, data: bytes) -> bool:
    """Create a file, or give False and change nothing if one is there. For files that must survive a power cut use `cache.LocalStore`."""
    if is_url(location):
        return objects.put_if_absent(location, data)
    temporary = temporary_name(location)
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
    """Move a finished local file to its location and replace what is there: a rename, or an upload (`local` is gone afterwards)."""
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
    """`remove` for many files; on a store in as few requests as it allows."""
    every = list(locations)
    urls = [location for location in every if is_url(location)]
    if urls:
        objects.remove(urls)
    for location in every:
        if not is_url(location):
            _forget(location)


@contextmanager
def written(location: str) -> Iterator[str]:
    """The local path to write a file to: the location itself, or a temporary file that is uploaded when the block ends well."""
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
    """Inside, an OSError of a store is raised again as the StoreError of `fault`, and a full disk as StoreError ``no-space``. Other local
    failures are not touched.
    """
    try:
        yield
    except OSError as error:
        location = str(error.filename or "")
        if is_url(location):
            raise fault(error, "use", location) from error
        if is_full(error):
            raise no_space(error, location or os.getcwd()) from error
        raise


def temporary_name(location: str) -> str:
    """A new hidden name beside a local file, for what is renamed to it when it is whole: ``.NAME....tmp``."""
    # A name of its own, because two processes may write one file at a time; it is gone before the call ends.
    folder, name = os.path.split(location)
    return os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
