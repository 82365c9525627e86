"""Attempts: the only folders with unfinished work.

::

    <root>/staging/<recipe16>-<input16>-<seed>-<attempt>/
        lock                    locked while the run lives
        rows/                   what the pipeline reports about itself; never promoted
        instance/               becomes the instance by one rename
            dataset/  fitted_statistics/  report/
    <root>/staging/trash/       broken files; any run may delete them

An attempt whose lock can be taken belongs to a dead run. A new attempt is made under a name beginning with a dot, locked, and only then
renamed: at no moment does a living attempt of the right name lack a lock.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from types import TracebackType

from refinery_beam.cache.address import InstanceKey, prepare_root, staging_root
from refinery_beam.cache.attempts.locks import Lock, take
from refinery_beam.cache.manifest import MANIFEST_NAME
from refinery_beam.cache.stores.local import store_error
from refinery_beam.errors import StoreError

_LOCK = "lock"
_ATTEMPT = re.compile(r"[0-9a-f]{8}")
_NAMED = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-(-?\d+)-[0-9a-f]{8}")

ATTEMPT_NAME = re.compile(r"([0-9a-f]{16}-[0-9a-f]{16}--?\d+)-[0-9a-f]{8}")
"""The name of an attempt's folder: the name of its key, and eight digits of its own."""

REMOVED = ".removed-"
YOUNG = ".new-"
PROBE = ".probe-"
TRASH = "trash"
"""The folder of broken and removed things below ``staging/``."""
_YOUNG_SECONDS = 60.0
_OLD_SECONDS = 86_400.0
"""So old must a dead attempt of another key be, unless its instance is there: the next run of that key wants to know what it died on."""


class Staging:
    """One attempt of one run at one instance, alive as long as this object holds its lock.

    A context manager: leaving it, in whatever way, removes what is left of the attempt. All paths are absolute.

    >>> import tempfile
    >>> key = InstanceKey("ab" * 32, "cd" * 32, 7)
    >>> with tempfile.TemporaryDirectory() as root, Staging.open(root, key) as staging:
    ...     sorted(os.listdir(staging.instance)), os.path.basename(staging.dir)[:-8]
    (['dataset', 'fitted_statistics', 'report'], 'abababababababab-cdcdcdcdcdcdcdcd-7-')
    """

    def __init__(self, root: str, key: InstanceKey, attempt: str, lock: Lock) -> None:
        self.root = os.path.abspath(root)
        self.key = key
        self.attempt = attempt
        self._lock: Lock | None = lock

    @classmethod
    def open(cls, root: str, key: InstanceKey) -> Staging:
        """Start an attempt; creates the cache root if absent and sweeps what dead runs of the same key left.

        Raises StoreError when the root cannot be written to.
        """
        root = prepare_root(root)
        sweep(root, key)
        folder = staging_root(root)
        for _ in range(16):
            # Random on purpose: two runs of one key must never share a directory. It names a directory that is gone before anything is
            # hashed, and enters the journal, never an instance.
            attempt = os.urandom(4).hex()
            final = os.path.join(folder, f"{key.name}-{attempt}")
            young = os.path.join(folder, f".new-{key.name}-{attempt}")
            lock: Lock | None = None
            try:
                if os.path.lexists(final):
                    continue
                os.mkdir(young)
                lock = take(os.path.join(young, _LOCK))
                if lock is None:
                    continue
                for name in ("rows", "instance", "instance/dataset", "instance/fitted_statistics", "instance/report"):
                    os.mkdir(os.path.join(young, name))
                os.rename(young, final)
            except FileNotFoundError:
                # This run began so slowly that another run's sweep removed the attempt: begin again under another name.
                if lock is not None:
                    lock.release()
                continue
            except OSError as error:
                if lock is not None:
                    lock.release()
                shutil.rmtree(young, ignore_errors=True)
                raise store_error(error, "start an attempt in", folder) from error
            lock.path = os.path.join(final, _LOCK)
            return cls(root, key, attempt, lock)
        raise StoreError(
            f"cannot start an attempt in {folder}: its directories keep disappearing",
            code="store-io",
            at=folder,
            rule="nothing but refinery-beam works in the staging directory",
            remedy="look for a cleaning job there",
        )

    @property
    def dir(self) -> str:
        """The attempt's own directory."""
        return os.path.join(staging_root(self.root), f"{self.key.name}-{self.attempt}")

    @property
    def instance(self) -> str:
        """The directory that becomes the instance."""
        return os.path.join(self.dir, "instance")

    @property
    def output(self) -> str:
        """Where workers put their files: the same directory."""
        return self.instance

    @property
    def rows_dir(self) -> str:
        """Where the pipeline's own rows (refs, shard facts) go; never part of the instance."""
        return os.path.join(self.dir, "rows")

    @property
    def shared_rows_dir(self) -> str:
        """The same directory, for workers in other processes or on other machines."""
        return self.rows_dir

    @property
    def alive(self) -> bool:
        """Whether this attempt still holds its lock."""
        return self._lock is not None

    def close(self) -> None:
        """Remove what is left of the attempt and give the lock back. Never fails: a later run sweeps what cannot be removed now.

        Sweeps dead attempts once more: a run that was killed just before this one began may still have had its lock then, and the next runs
        may all be hits, which sweep nothing.
        """
        if self._lock is not None:
            lock, self._lock = self._lock, None
            _discard(self.root, self.dir)
            lock.release()
            _sweep_dead(self.root, self.key)

    def abandon(self) -> None:
        """The same as `close`, for callers that gave up."""
        self.close()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def sweep(root: str, key: InstanceKey) -> list[str]:
    """Remove the attempts of dead runs of this key, those of other keys whose instance is there or that are a day old, half-born ones and
    probes older than a minute, and the trash; gives their names.

    Living attempts, of this key or another, are never touched, and nothing below ``resume/`` is. Never fails: a later run removes what
    cannot be removed now. Where nothing is left behind it costs two listings.
    """
    removed = _sweep_dead(root, key)
    trash = os.path.join(staging_root(root), "trash")
    for name in _names(trash):
        _remove(os.path.join(trash, name))
    return removed


def _sweep_dead(root: str, key: InstanceKey) -> list[str]:
    folder = staging_root(root)
    removed = []
    for name in _names(folder):
        path = os.path.join(folder, name)
        if name.startswith(PROBE):
            dead = _older(path, _YOUNG_SECONDS)
            if dead:
                _remove(path)
        elif name.startswith(YOUNG):
            # Its lock may be a moment away, hence the age. Taking a living one by mistake is harmless: `open` begins again.
            dead = _older(path, _YOUNG_SECONDS) and _sweep_attempt(root, path)
        elif _is_attempt_of(name, key.name):
            dead = _sweep_attempt(root, path)
        else:
            dead = _is_forgotten(root, name) and _sweep_attempt(root, path)
        if dead:
            removed.append(name)
    return removed


def _is_attempt_of(name: str, key: str) -> bool:
    return name.startswith(f"{key}-") and bool(_ATTEMPT.fullmatch(name[len(key) + 1 :]))


def _is_forgotten(root: str, name: str) -> bool:
    """Whether an attempt of another key, if it is dead, tells nobody anything any more."""
    parts = _NAMED.fullmatch(name)
    if parts is None:
        return False
    instance = os.path.join(root, "instances", *parts.groups())
    return os.path.lexists(os.path.join(instance, MANIFEST_NAME)) or _older(os.path.join(staging_root(root), name), _OLD_SECONDS)


def dead_attempts(root: str, key: InstanceKey) -> Iterator[str]:
    """The ``rows`` folders of dead runs of this key, each locked while the caller reads it. Their files may be half written."""
    folder = staging_root(root)
    for name in _names(folder):
        path = os.path.join(folder, name)
        if not _is_attempt_of(name, key.name):
            continue
        try:
            lock = take(os.path.join(path, _LOCK), create=False)
        except OSError:
            continue
        if lock is not None:
            try:
                yield os.path.join(path, "rows")
            finally:
                lock.release()


def is_living(path: str) -> bool:
    """Whether the run of an attempt's folder is alive. Where nobody can tell, it is."""
    try:
        lock = take(os.path.join(path, _LOCK), create=False)
    except OSError:
        return True
    if lock is not None:
        lock.release()
        return False
    return os.path.lexists(os.path.join(path, _LOCK))


def remove_dead(root: str, path: str) -> bool:
    """Remove the folder of an attempt whose run is dead; False where it lives."""
    return _sweep_attempt(root, path)


def trash_path(root: str, name: str) -> str:
    """A new path in the trash for something called `name`."""
    return os.path.join(staging_root(root), "trash", f"{name}-{os.urandom(4).hex()}")


def removed_path(root: str, name: str) -> str:
    """A new path beside the trash for an instance that is about to be removed, and may have to come back: no sweep touches it."""
    return os.path.join(staging_root(root), f"{REMOVED}{name}-{os.urandom(4).hex()}")


def _sweep_attempt(root: str, path: str) -> bool:
    try:
        lock = take(os.path.join(path, _LOCK), create=False)
    except OSError:
        return False
    if lock is None:
        if os.path.lexists(os.path.join(path, _LOCK)):
            return False
        # No lock at all under a final name: a sweep died half-way through this one.
        _discard(root, path)
        return not os.path.lexists(path)
    try:
        _discard(root, path)
    finally:
        lock.release()
    return not os.path.lexists(path)


def _discard(root: str, path: str) -> None:
    # First renamed, then removed: no run ever finds half an attempt under its name.
    trash = trash_path(root, os.path.basename(path).lstrip("."))
    try:
        os.makedirs(os.path.dirname(trash), exist_ok=True)
        os.rename(path, trash)
    except OSError:
        trash = path
    _remove(trash)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        try:
            os.unlink(path)
        except OSError:
            pass


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _older(path: str, seconds: float) -> bool:
    try:
        return time.time() - os.stat(path).st_mtime > seconds
    except OSError:
        return False
