"""Keeps one part, finds it again, and proves it: files by size and SHA-256, rows by a digest of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.amounts import size_in_words
from refinery_beam.errors import StoreError

RECORD = "part.json"
INSTANCE, FACTS = "instance", "facts"
"""The two folders that files of a part lie in: that of the attempt's instance, and that of its facts."""

READS = 16
"""Parts to read at a time from a store."""


class PartFile(NamedTuple):
    """A file of a part: `home` is `INSTANCE` or `FACTS`, `path` its path there."""

    home: str
    path: str
    bytes: int
    sha256: str


class Parts:
    """The finished parts of one key, below `folder` ('' keeps and finds nothing). `homes` are the folders of the attempt at work, by name,
    `others` the folders of other keys on the same disk, whose parts may be the same. `by` names the job at work: it finds the parts of
    other jobs only, so that work which an engine repeats is done again, and shows whether it gives the same bytes.

    Keeping never fails a run: a part that cannot be kept (no hard links, no room) is made again by the next run.
    """

    def __init__(self, folder: str, homes: Mapping[str, str], *, others: Sequence[str] = (), by: str = "") -> None:
        self._folder = folder
        self._by = by
        self._others = tuple(others)
        self._homes = dict(homes)
        self._linked = bool(folder) and not locations.is_url(folder)

    def keep(self, name: str, body: Mapping[str, Any], files: Iterable[PartFile]) -> bool:
        """Keep a part whose files are whole; False where that is impossible. What is there under its name is replaced."""
        if not self._folder:
            return False
        listed = [*files]
        try:
            for file in listed:
                self._put(name, file)
            where = locations.join(self._folder, name)
            locations.make_folder(where)
            locations.write(locations.join(where, RECORD), _sealed({"by": self._by, "files": [list(f) for f in listed], "body": body}))
        except (OSError, StoreError):
            return False
        return True

    def find(self, name: str) -> tuple[dict[str, Any], list[PartFile]] | None:
        """The body and the files of a part, its files now in the attempt; None where there is no part, or one that does not hold."""
        folders = (self._folder, *self._others) if self._folder else ()
        return next((found for folder in folders if (found := self._find_in(folder, name)) is not None), None)

    def _find_in(self, folder: str, name: str) -> tuple[dict[str, Any], list[PartFile]] | None:
        taken: list[str] = []
        try:
            found = read_part(locations.join(folder, name, RECORD))
            if found is None:
                return None
            by, body, files = found
            if self._by and by == self._by:
                return None
            contents = [self._proved(locations.join(folder, name), file) for file in files]
            for file, take in zip(files, contents, strict=True):
                target = locations.join(self._homes[file.home], file.path)
                take(target)
                taken.append(target)
        except (OSError, StoreError, ValueError, KeyError, TypeError):
            for target in taken:
                with suppress(OSError, StoreError):
                    locations.remove(target)
            return None
        return body, files

    def _put(self, name: str, file: PartFile) -> None:
        source = locations.join(self._homes[file.home], file.path)
        target = locations.join(self._folder, name, file.home, file.path)
        if self._linked:
            link(source, target)
        elif file.home != INSTANCE:
            locations.write(target, locations.read(source))

    def _proved(self, part: str, file: PartFile) -> Callable[[str], None]:
        """What puts the file where it is wanted. Raises ValueError unless it has its size and digest."""
        if not self._linked and file.home == INSTANCE:
            source = locations.join(self._homes[INSTANCE], file.path)
            if locations.size(source) != file.bytes or _sha256(source) != file.sha256:
                raise ValueError("other bytes")
            return lambda target: None
        source = locations.join(part, file.home, file.path)
        if self._linked:
            if locations.size(source) != file.bytes or _sha256(source) != file.sha256:
                raise ValueError("other bytes")
            return lambda target: link(source, target)
        data = locations.read(source)
        if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
            raise ValueError("other bytes")
        return lambda target: _write(target, data)


def link(source: str, target: str) -> None:
    """Give a local file a second name, and replace what has it. Raises OSError where the file system has no hard links."""
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    # A name of its own, because two runs may link at one time; it is gone before the call ends.
    temporary = os.path.join(folder, f".link-{os.getpid()}-{os.urandom(4).hex()}")
    os.link(source, temporary)
    try:
        os.replace(temporary, target)
    finally:
        # Two names of one file: the rename has then done nothing.
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def read_part(location: str) -> tuple[str, dict[str, Any], list[PartFile]] | None:
    """The job, the body and the files that a part's record states; None where there is no record. Raises ValueError for one that does not
    hold.
    """
    try:
        data = locations.read(location)
    except FileNotFoundError:
        return None
    stated, _, text = data.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != stated:
        raise ValueError("the record of a part is damaged")
    record = json.loads(text)
    files = [PartFile(*entry) for entry in record["files"]]
    if any(file.home not in (INSTANCE, FACTS) or not _below(file.path) for file in files):
        raise ValueError("a part names files elsewhere")
    return record["by"], record["body"], files


def files_of_parts(folder: str) -> set[str]:
    """The paths below an instance's location that the parts of a key name."""
    found: set[str] = set()
    for _, files in each_part(folder):
        found.update(file.path for file in files if file.home == INSTANCE)
    return found


def each_part(folder: str) -> Iterator[tuple[str, list[PartFile]]]:
    """(name, files) of every part of a key that holds."""
    from concurrent.futures import ThreadPoolExecutor

    def one(name: str) -> tuple[str, list[PartFile]] | None:
        try:
            found = read_part(locations.join(folder, name, RECORD))
        except (ValueError, KeyError, TypeError):
            return None
        return (name, found[2]) if found is not None else None

    names = locations.names(folder)
    if not locations.is_url(folder):
        yield from (found for found in map(one, names) if found is not None)
        return
    with ThreadPoolExecutor(READS) as pool:
        yield from (found for found in pool.map(one, names) if found is not None)


def kept_for_next(folder: str) -> str:
    """What of a key is finished and kept, in a sentence; '' where that is nothing. Never fails."""
    with suppress(OSError, StoreError):
        names = locations.names(folder)
        shards, fits = (sum(name.startswith(kind) for name in names) for kind in ("dataset-", "fit-"))
        if shards or fits:
            size = f", {size_in_words(sum(entry.size for entry in locations.walk(folder)))}" if not locations.is_url(folder) else ""
            what = f"{shards:,} finished shard{'s' * (shards != 1)}" if shards else "finished statistics"
            return f"{what} are kept in {folder}{size}: the next run with this key goes on from there, and clean removes them"
    return ""


def folders_of_other_inputs(folder: str) -> tuple[str, ...]:
    """The folders of parts of the same recipe and seed over other files, where a folder of parts lies on a disk.

    A file that was mended, added or removed makes another key; shards that do not hold it may be the same. On a store the files of parts
    lie at the location of their own instance, and nothing is taken from there.
    """
    if locations.is_url(folder):
        return ()
    above, name = os.path.split(folder)
    recipe, _, rest = name.partition("-")
    seed = rest.partition("-")[2]
    same = re.compile(rf"{re.escape(recipe)}-[0-9a-f]+-{re.escape(seed)}")
    with suppress(OSError):
        return tuple(os.path.join(above, other) for other in locations.names(above) if other != name and same.fullmatch(other))
    return ()


def discard(folder: str) -> None:
    """Remove the parts of a key. Never fails: `clean` removes what cannot be removed now."""
    with suppress(OSError, StoreError):
        if locations.is_url(folder):
            locations.remove_all([locations.join(folder, entry.path) for entry in locations.walk(folder)])
        elif os.path.lexists(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def quietly() -> Iterator[None]:
    """Inside, what a store or a disk refuses is passed over: parts save work, and must never cost a run."""
    with suppress(OSError, StoreError):
        yield


def to_text(data: bytes) -> str:
    """Bytes as text for the body of a part."""
    return base64.b64encode(data).decode()


def from_text(text: str) -> bytes:
    """The bytes of `to_text`."""
    return base64.b64decode(text, validate=True)


def _below(path: str) -> bool:
    return not path.startswith("/") and all(name not in ("", ".", "..") for name in path.split("/"))


def _write(target: str, data: bytes) -> None:
    locations.make_folder(locations.parent(target))
    locations.write(target, data)


def _sealed(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def _sha256(location: str) -> str:
    hashed = hashlib.sha256()
    if not locations.is_url(location):
        with locations.open_plain(location) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    with locations.opened(location) as source:
        while piece := source.read(8 << 20):
            hashed.update(piece)
    return hashed.hexdigest()
