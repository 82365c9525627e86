"""The half of `locations` that speaks to object stores, through fsspec. Only `locations` imports this module, and only this module fsspec.

Listings are never taken from fsspec's own cache: another process may have written since. A file system object is asked for anew at each
call, which costs one lookup in fsspec's table of instances; that table knows about forks, a cache of ours would not.

Credentials and end points come from the environment: ``FSSPEC_<PROTOCOL>_<OPTION>``, or what the store's own library reads
(``AWS_ACCESS_KEY_ID``, ``GOOGLE_APPLICATION_CREDENTIALS``, ``~/.aws``, ...). Texts of errors are passed on without option values.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from refinery_beam.errors import StoreError
from refinery_beam.locations.faults import translated
from refinery_beam.locations.patience import patient


class Entry(NamedTuple):
    """One file of a listing: its posix path below the folder listed, its size, and the store's own checksum if it has one.

    ``checksum`` is (kind, digest): ``md5`` and ``crc32c`` are what their names say (GCS; an object composed of parts has only the latter);
    ``etag`` is S3's 32 hex digits, which are the MD5 of the bytes unless the bucket encrypts with KMS or customer keys, so it tells change
    but proves nothing. None for local files, for objects uploaded in parts to S3, and where a store says nothing.
    """

    path: str
    size: int
    checksum: tuple[str, bytes] | None = None


EXTRAS = {"gs": ("gcs", "gcsfs"), "gcs": ("gcs", "gcsfs"), "s3": ("s3", "s3fs"), "s3a": ("s3", "s3fs")}
"""The extra of this package, and the package it brings, by scheme."""

LOUD = ("gcsfs", "s3fs", "fsspec", "aiobotocore", "botocore")
"""Loggers of the libraries below."""

READ_AHEAD = 1 << 20
"""Bytes to read beyond the request. The libraries' own 5 to 50 MiB suit reading a whole file; rows are also read one by one."""

_MD5_TAG = re.compile(r"[0-9a-f]{32}")


@patient
def read(url: str) -> bytes:
    """The whole object."""
    with _asking(url) as (fs, path):
        data: bytes = fs.cat_file(path)
        return data


@patient
def download(url: str, local: str) -> None:
    """Write the whole object to a local file, piece by piece."""
    with _asking(url) as (fs, path):
        fs.get_file(path, local)


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A seekable file for reading. A little is read ahead: the columns of a Parquet file lie side by side."""
    with _asking(url) as (fs, path):
        file = fs.open(path, "rb", block_size=READ_AHEAD)
    with file:
        yield _Reader(file, url)


@patient
def size(url: str) -> int | None:
    """The bytes of an object, or None when there is none."""
    try:
        with _asking(url) as (fs, path):
            info = fs.info(path)
    except FileNotFoundError:
        return None
    return int(info["size"]) if info["type"] == "file" else None


def is_folder(url: str) -> bool:
    """Whether any object lies below."""
    return bool(names(url))


@patient
def names(url: str) -> list[str]:
    """The first names below a prefix, sorted."""
    try:
        with _asking(url) as (fs, path):
            listed = fs.ls(path, detail=False)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted({name.rstrip("/").rpartition("/")[2] for name in listed if name.rstrip("/") != path.rstrip("/")})


class Listed(NamedTuple):
    """One name directly below a prefix. ``version`` is a text that changes when the object does (ETag, generation), '' where a store has
    none; see `Entry` for ``checksum``."""

    name: str
    folder: bool
    size: int
    checksum: tuple[str, bytes] | None
    version: str


@patient
def list_children(url: str) -> list[Listed]:
    """What lies directly below a prefix, sorted by name. FileNotFoundError when there is nothing."""
    with _asking(url) as (fs, path):
        listed: Sequence[Mapping[str, Any]] = fs.ls(path, detail=True)
    base = path.rstrip("/") + "/"
    found = []
    for info in listed:
        name, folder = str(info["name"]), info["type"] == "directory"
        name = name.rstrip("/") if folder else name
        # An object that stands for a folder has the folder's name, or that name and a slash.
        if name.startswith(base) and "/" not in name[len(base) :] and len(name) > len(base):
            found.append(Listed(name[len(base) :], folder, int(info.get("size") or 0), checksum(info), _version(info)))
    return sorted(found)


def _version(info: Mapping[str, Any]) -> str:
    for name in ("generation", "ETag", "etag", "created", "LastModified"):
        if info.get(name):
            return f"{name} {info[name]}"
    return ""


@patient
def walk(url: str) -> list[Entry]:
    """Every object below a prefix, sorted by path; [] when there is none. Objects that stand for folders are left out."""
    try:
        with _asking(url) as (fs, path):
            listed: Mapping[str, Mapping[str, Any]] = fs.find(path, detail=True)
    except FileNotFoundError:
        return []
    base = path.rstrip("/") + "/"
    entries = (
        Entry(name[len(base) :], int(info["size"]), checksum(info))
        for name, info in listed.items()
        if info["type"] == "file" and name.startswith(base) and not name.endswith("/")
    )
    return sorted(entries)


def checksum(info: Mapping[str, Any]) -> tuple[str, bytes] | None:
    """What a store says of an object's bytes; see `locations.Entry`.

    >>> checksum({"ETag": '"9e107d9d372bb6826bd81d3542a419d6"'})[0], checksum({"ETag": '"9e107d9d372bb6826bd81d3542a419d6-2"'})
    ('etag', None)
    >>> checksum({"md5Hash": "nhB9nTcrtoJr2B01QqQZ1g=="})[1].hex()
    '9e107d9d372bb6826bd81d3542a419d6'
    """
    for name, kind in (("md5Hash", "md5"), ("crc32c", "crc32c")):
        if info.get(name):
            try:
                return kind, base64.b64decode(info[name], validate=True)
            except (binascii.Error, ValueError):
                return None
    tag = str(info.get("ETag", "")).strip('"')
    return ("etag", bytes.fromhex(tag)) if _MD5_TAG.fullmatch(tag) else None


def modified(url: str) -> datetime:
    """When the store last wrote an object, by the store's clock."""
    with _asking(url) as (fs, path):
        found: datetime = fs.modified(path)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def write(url: str, data: bytes) -> None:
    """Put an object over whatever is there."""
    with _asking(url) as (fs, path):
        fs.pipe_file(path, data)


def put_if_absent(url: str, data: bytes) -> bool:
    """Create an object, or give False: if-none-match on S3, if-generation-match 0 on GCS. Decided by the store, in one request."""
    try:
        with _asking(url) as (fs, path):
            fs.pipe_file(path, data, mode="create")
    except FileExistsError:
        return False
    return True


def upload(local: str, url: str) -> None:
    """Put a local file, and compare the size and (where there is one) the MD5 that the store states with those of the file."""
    with _asking(url) as (fs, path):
        fs.put_file(local, path)
        info = fs.info(path)
    with open(local, "rb") as file:
        mine = os.fstat(file.fileno()).st_size
        stated = checksum(info)
        wrong = int(info["size"]) != mine
        if not wrong and stated is not None and stated[0] == "md5":
            wrong = hashlib.file_digest(file, "md5").digest() != stated[1]
    if wrong:
        raise OSError(errno.EIO, f"the store holds {info['size']} other bytes than the {mine} that were sent", url)


@patient
def remove(urls: Sequence[str]) -> None:
    """Remove objects of one store; those that are gone are passed over."""
    with _asking(urls[0]) as (fs, _):
        paths = [str(fs._strip_protocol(url)) for url in urls]
        # One request for many, but fsspec would take these characters for patterns.
        plain = [path for path in paths if not set(path) & set("*?[")]
        single = [path for path in paths if set(path) & set("*?[")]
        if len(plain) > 1:
            try:
                fs.rm(plain)
            except FileNotFoundError:
                single += plain
        else:
            single += plain
        for path in single:
            try:
                fs.rm_file(path)
            except FileNotFoundError:
                continue


class _Reader:
    """An open object; a failing read raises OSError with a clean text, like every function here."""

    def __init__(self, file: Any, url: str) -> None:
        self._file, self._url = file, url

    def read(self, size: int = -1) -> bytes:
        with translated(self._url):
            data: bytes = self._file.read(size)
            return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _asking(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the URL as fsspec spells it; inside, failures are raised as `faults.translated` says."""
    with translated(url):
        fs = _filesystem(url)
        yield fs, str(fs._strip_protocol(url))


def _filesystem(url: str) -> Any:
    scheme = url.partition("://")[0]
    extra, package = EXTRAS.get(scheme, ("", ""))
    if importlib.util.find_spec(package or "fsspec") is None:
        raise _lacking(url, scheme, extra, package or "fsspec")
    import logging

    import fsspec

    for name in LOUD:
        logger = logging.getLogger(name)
        if not logger.handlers:
            # Without a handler Python prints their log lines: the traceback of an error that we raise in words ourselves.
            logger.addHandler(logging.NullHandler())
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        raise _lacking(url, scheme, extra, getattr(error, "name", "") or str(error)) from None
    except ValueError as error:
        if "not known" not in str(error):
            raise
        raise StoreError(f"nothing here reads {scheme}://", code="store-scheme", at=url, value=scheme) from None


def _lacking(url: str, scheme: str, extra: str, package: str) -> StoreError:
    return StoreError(
        f"{scheme}:// needs the Python package {package}, which is not installed",
        code="store-extra",
        at=url,
        value=package,
        remedy=f"pip install 'refinery-beam[{extra}]'" if extra else f"pip install {package}",
    )
