"""How an attempt becomes an instance: count, check, manifest last, one rename.

Order matters, because the power may go at every line:

1. every listed file is in the attempt with its listed size, nothing unlisted is, and what is cheap to hash has its listed digest;
2. files and their directories are made durable;
3. the manifest is created, create-only, inside the attempt;
4. the attempt's ``instance/`` is renamed to its final location. A rename on one file system is atomic and refuses a directory with
   content, so one of many runs wins.

Before 4 there is no instance; after it there is a whole one. A run that loses compares: equal digests are a hit, other digests are
an error (non-determinism). A valid instance is never removed or replaced here; a damaged one is moved into the trash.

On an object store (see `remote`) the shards are at their final location already, and step 1 counts them there. Step 4 uploads the other
files and then the manifest, only if there is none. Everything else is the same.
The first run that puts an annex there has put it for all: the others take it over, since a manifest lists the bytes that are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from refinery_beam import locations
from refinery_beam.cache.address import InstanceKey, find, instance_dir, lookup_at, staging_root
from refinery_beam.cache.attempts.locks import take
from refinery_beam.cache.attempts.remote_staging import RemoteStaging
from refinery_beam.cache.attempts.staging import Staging, trash_path
from refinery_beam.cache.files import compute_annexes, file_sha256, walk_files
from refinery_beam.cache.listed import sink_entries
from refinery_beam.cache.manifest import (
    ANNEXES,
    CONTRACT,
    FORMAT,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    manifest_bytes,
    sealed,
    self_check,
)
from refinery_beam.cache.stores.local import LocalStore, Store, store_error, sync_directory, sync_file
from refinery_beam.cache.stores.remote import RemoteStore
from refinery_beam.errors import EngineError, StoreError
from refinery_beam.rows import files_digest, logical_digest

Attempt = Staging | RemoteStaging
"""An attempt at an instance, on a local disk or on a store."""

SMALL_BYTES = 1 << 20


def open_attempt(root: str, key: InstanceKey) -> Attempt:
    """Start an attempt below a cache root, local or on a store. Raises StoreError when it cannot be written to."""
    return RemoteStaging.open(root, key) if locations.is_url(root) else Staging.open(root, key)


def promote(
    staging: Attempt, manifest_body: Mapping[str, Any], *, recheck: bool = False, durable: bool = True
) -> tuple[Literal["built", "hit"], Manifest]:
    """Make the attempt the instance of its key, or find that an equal one is already there.

    ``manifest_body`` is the whole manifest; ``contract``, ``format``, ``recipe_hash``, ``input_hash``, ``seed``, ``files_digest`` and
    ``logical_digest`` are filled in when absent and must agree otherwise; ``annexes`` and ``manifest_digest`` are always made here.
    ``recheck`` hashes every file again, not only those of at most 1 MiB. ``durable`` False leaves out every fsync: a power cut may then
    leave an instance that `find` calls damaged.

    Gives ("built", manifest) or ("hit", manifest of the winner), the manifest read back from its final location. Raises EngineError
    ``incomplete-output`` (files do not agree with the manifest), ``manifest-inconsistent``, ``nondeterminism`` (exit code 4), and
    StoreError. The caller closes the attempt: use it as a context manager.
    """
    if isinstance(staging, RemoteStaging):
        _share_annexes(staging)
    body = complete_body(staging, manifest_body)
    files = tuple(FileEntry(**entry) for entry in body["files"])
    local = LocalStore(durable=durable)
    store: Store = local if isinstance(staging, Staging) else staging.store
    try:
        every = (*files, *sink_entries(staging.instance, files), *(FileEntry(**entry) for entry in body["annexes"]))
        check_files(staging.instance, every, recheck=recheck, output=staging.output)
        _step("checked")
        if durable and isinstance(staging, Staging):
            _sync_tree(staging.instance, every)
        _step("synced")
    except OSError as error:
        raise store_error(error, "check", staging.instance) from error
    text = manifest_bytes(body)
    if not local.put_if_absent(os.path.join(staging.instance, MANIFEST_NAME), text):
        raise EngineError(
            f"{staging.instance} has a {MANIFEST_NAME} already",
            code="manifest-inconsistent",
            at=staging.instance,
            rule="an attempt is promoted once",
        )
    _step("manifest")
    target = instance_dir(staging.root, staging.key)
    status = _publish(store, staging, target, Manifest(body, staging.instance))
    _step("published")
    # The run succeeds only if its manifest can be read back from the final location.
    found = find(staging.root, staging.key)
    if found.manifest is None:
        raise StoreError(
            f"the instance just promoted cannot be read back: {found.damage or 'it is gone'}",
            code="promotion-lost",
            at=target,
            remedy="look for a cleaning job or a failing disk, then run again",
        )
    return status, found.manifest


def complete_body(staging: Attempt, manifest_body: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest to write: identity and digests filled in, files sorted, contradictions refused."""
    body = dict(manifest_body)
    body["files"] = sorted((dict(entry) for entry in body.get("files", ())), key=lambda entry: str(entry.get("path")))
    key = staging.key
    computed = {"contract": CONTRACT, "format": FORMAT, "recipe_hash": key.recipe_hash, "input_hash": key.input_hash, "seed": key.seed}
    for name, value in computed.items():
        if body.setdefault(name, value) != value:
            raise _inconsistent(f"{name} is {body[name]!r}, the attempt is for {value!r}", staging)
    try:
        body.setdefault("files_digest", files_digest(body["files"]))
        body.setdefault("logical_digest", logical_digest(body["files"], body.get("splits", [])))
    except (KeyError, TypeError) as error:
        raise _inconsistent(f"a file entry lacks or misnames {error}", staging) from error
    body["annexes"] = compute_annexes(staging.instance)
    problems = self_check(body)
    if problems:
        raise _inconsistent("; ".join(problems), staging)
    return sealed(body)


def check_files(folder: str, files: Iterable[FileEntry], *, recheck: bool = False, output: str = "") -> None:
    """EngineError ``incomplete-output`` unless the folder holds exactly the listed files, with their sizes and (if small) digests.

    ``recheck`` hashes the large ones too. Files that workers put at another location, ``output``, count too. Workers have hashed them and
    compared them with what the store received, so they are not read again; other files there may belong to another run.
    """
    listed = {entry.path: entry for entry in files}
    present = walk_files(folder)
    put: dict[str, int] = {}
    if output and output != folder:
        there = RemoteStore().sizes(output)
        put = {path: there[path] for path in there.keys() & listed.keys() - present.keys()}
        present |= put
    for path in sorted(listed.keys() | present.keys()):
        if path not in present:
            raise _incomplete(f"{path} was reported but never written", folder)
        if path not in listed:
            raise _incomplete(f"{path} was written but never reported", folder)
        entry, size = listed[path], present[path]
        if size != entry.bytes:
            raise _incomplete(f"{path} has {size} bytes, {entry.bytes} were reported", folder)
        if path in put and not recheck:
            continue
        if (recheck or size <= SMALL_BYTES) and file_sha256(locations.join(output if path in put else folder, path)) != entry.sha256:
            raise _incomplete(f"{path} does not hold the bytes that were reported", folder)


def first_difference(mine: Manifest, theirs: Manifest) -> str:
    """The first difference between two instances of one key, in words; '' if their files and rows are the same."""
    if (mine.files_digest, mine.logical_digest) == (theirs.files_digest, theirs.logical_digest):
        return ""
    a, b = (_by_role(m) for m in (mine, theirs))
    for role in sorted(a.keys() | b.keys()):
        left, right = a.get(role), b.get(role)
        if left == right:
            continue
        if left is None or right is None:
            side = "the instance in the cache" if left is None else "this run"
            return f"{(left or right).path} exists only in {side}"  # type: ignore[union-attr]
        if left.rows_digest is not None:
            what = "the same rows in other bytes" if left.rows_digest == right.rows_digest else "other rows"
            return f"{left.path} in this run and {right.path} in the cache hold {what}"
        return f"{left.path} has other bytes ({left.sha256[:12]} in this run, {right.sha256[:12]} in the cache)"
    return "the order of splits differs"


def _share_annexes(staging: RemoteStaging) -> None:
    """Put the annexes at the instance's location, or take over those that another run has put there."""
    for path in ANNEXES:
        mine, shared = os.path.join(staging.instance, path), locations.join(staging.output, path)
        if os.path.lexists(mine) and not staging.store.put_if_absent(shared, locations.read(mine)):
            locations.write(mine, locations.read(shared))


def _publish(store: Store, staging: Attempt, target: str, mine: Manifest) -> Literal["built", "hit"]:
    # More than a few rounds mean that some other process keeps putting broken files there.
    for _ in range(8):
        if isinstance(staging, RemoteStaging):
            staging.check_alive()
        if store.publish(staging.instance, target):
            return "built"
        _step("lost")
        found = find(staging.root, staging.key)
        if found.manifest is not None:
            difference = first_difference(mine, found.manifest)
            if difference:
                raise EngineError(f"two builds of one key differ: {difference}", code="nondeterminism", at=target, value=difference)
            return "hit"
        if found.damage is not None:
            if isinstance(staging, Staging):
                _heal(store, staging, target)
            elif staging.no_other_run():
                # The damage came while this run worked. No other run is about to promote: a run that begins now has yet to build.
                store.set_aside(target, "")
    raise StoreError(f"cannot put an instance at {target}: something broken keeps appearing there", code="promotion-lost", at=target)


def _heal(store: Store, staging: Staging, target: str) -> None:
    """Move a damaged instance out of the way, and never a valid one.

    Two runs could both find the damage, and the slower one would then remove what the faster one has just promoted. So only a run with the
    lock of the whole cache moves it, after checking the damage again. Because locks may be weak, it checks what it moved once more.
    """
    try:
        lock = take(os.path.join(staging_root(staging.root), "heal.lock"), wait=True)
    except OSError as error:
        raise store_error(error, "lock", staging.root) from error
    if lock is None:
        return
    try:
        if lookup_at(target).damage is None:
            return
        trash = trash_path(staging.root, staging.key.name)
        if not store.set_aside(target, trash):
            return
        _step("aside")
        if os.path.isdir(trash) and lookup_at(trash).manifest is not None and not os.path.lexists(target):
            store.publish(trash, target)
    finally:
        lock.release()


def _by_role(manifest: Manifest) -> dict[tuple[str, ...], FileEntry]:
    """Files by their role. The name of a shard holds its digest, so the role of a shard is its split and number."""
    roles: dict[tuple[str, ...], FileEntry] = {}
    for entry in manifest.files:
        role = (entry.path,) if entry.split is None else ("dataset", entry.split, f"{entry.shard:08d}")
        roles[role] = entry
    return roles


def _sync_tree(folder: str, files: Iterable[FileEntry]) -> None:
    for entry in files:
        sync_file(os.path.join(folder, entry.path))
    for current, _, _ in os.walk(folder, topdown=False):
        sync_directory(current)


def _incomplete(message: str, folder: str) -> EngineError:
    return EngineError(message, code="incomplete-output", at=folder)


def _inconsistent(message: str, staging: Attempt) -> EngineError:
    return EngineError(f"the manifest does not agree with itself: {message}", code="manifest-inconsistent", at=staging.dir)


def _step(name: str) -> None:
    """Does nothing. Tests replace it to stop a run at this point."""
