"""Removes one thing of a cache root, after looking once more whether anybody needs it by now."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from refinery_beam import locations
from refinery_beam.cache.address import lookup_at, staging_root
from refinery_beam.cache.attempts.leases import Lease
from refinery_beam.cache.attempts.locks import take
from refinery_beam.cache.attempts.staging import remove_dead, removed_path
from refinery_beam.cache.cleaning.found import living_attempts
from refinery_beam.cache.cleaning.policy import Item
from refinery_beam.cache.instances import location_of
from refinery_beam.cache.stores.home import home
from refinery_beam.cache.stores.local import LocalStore, store_error
from refinery_beam.cache.stores.remote import RemoteStore
from refinery_beam.cache.tags import read_tags
from refinery_beam.cache.used import forget_used, last_used
from refinery_beam.errors import StoreError
from refinery_beam.resume.parts import discard, files_of_parts


def remove_item(root: str, item: Item) -> str:
    """Remove an item; gives '' when it is gone, else why it stays. Raises StoreError where the root cannot be changed."""
    if item.kind == "instance":
        return _instance(root, item)
    if item.kind == "parts":
        return _parts(root, item)
    if item.kind == "trash" and locations.is_url(item.location):
        RemoteStore().remove([item.location])
        return ""
    if locations.is_url(item.location):
        return _objects(root, item)
    if item.kind == "attempt":
        return "" if remove_dead(home(root), item.location) else "a run of it is at work"
    if item.kind == "temporary" and not item.name.startswith("refinery-beam-"):
        with suppress(OSError):
            os.rmdir(item.location)  # what is not empty is somebody's
    else:
        shutil.rmtree(item.location, ignore_errors=True)
        with suppress(OSError):
            os.unlink(item.location)
    return "it cannot be removed" if os.path.lexists(item.location) else ""


def _instance(root: str, item: Item) -> str:
    if locations.is_url(root):
        return _on_a_store(root, item)
    # The lock of healing: nobody else moves instances.
    os.makedirs(staging_root(root), exist_ok=True)
    try:
        lock = take(os.path.join(staging_root(root), "heal.lock"), wait=True)
    except OSError as error:
        raise store_error(error, "lock", root) from error
    if lock is None:
        return "another run is moving instances"
    try:
        if reason := _needed(root, item):
            return reason
        store, aside = LocalStore(), removed_path(root, item.name)
        store.set_aside(item.location, aside)
        reason = _needed(root, item)
        # Somebody opened it, or gave it a name, in the meantime: it comes back, unless it was built again.
        if reason and (store.publish(aside, item.location) or lookup_at(item.location).manifest is not None):
            shutil.rmtree(aside, ignore_errors=True)
            return reason
    finally:
        lock.release()
    shutil.rmtree(aside, ignore_errors=True)
    _forget_empty(root, item)
    forget_used(root, item.name)
    return ""


def _needed(root: str, item: Item) -> str:
    """Why an instance is needed by now, though it was not when the facts were gathered."""
    if item.name in living_attempts(root):
        return "a run of it is at work"
    if tags := [tag for tag, name in read_tags(root).items() if name == item.name]:
        return f"it has the tag {', '.join(tags)}"
    used = last_used(root).get(item.name)
    return "it was used just now" if used is not None and (item.used is None or used > item.used) else ""


def _on_a_store(root: str, item: Item) -> str:
    """Nothing can be moved there: the manifest goes first, so that nobody opens it any more, while no run of the key begins."""
    gone: list[str] = []

    def clear() -> None:
        reason = _needed_on_a_store(root, item)
        if reason:
            gone.append(reason)
            return
        RemoteStore().clear(item.location, allowed=lambda: not lease.lost)
        gone.append("")

    lease = _lease(root, item.name)
    _in_a_lease(lease, clear)
    if gone == [""]:
        forget_used(root, item.name)
        return ""
    return gone[0] if gone else "a run of it is at work"


def _needed_on_a_store(root: str, item: Item) -> str:
    if tags := [tag for tag, name in read_tags(root).items() if name == item.name]:
        return f"it has the tag {', '.join(tags)}"
    used = last_used(root).get(item.name)
    return "it was used just now" if used is not None and (item.used is None or used > item.used) else ""


def _parts(root: str, item: Item) -> str:
    if not locations.is_url(root):
        if item.name in living_attempts(root):
            return "a run of it is at work"
        discard(item.location)
        return "it cannot be removed" if os.path.lexists(item.location) else ""
    done: list[bool] = []

    def clear() -> None:
        there = location_of(root, item.name)
        named = files_of_parts(item.location)
        discard(item.location)
        if lookup_at(there).manifest is None:
            RemoteStore().remove([locations.join(there, path) for path in sorted(named)])
        done.append(True)

    _in_a_lease(_lease(root, item.name), clear)
    return "" if done else "a run of it is at work"


def _objects(root: str, item: Item) -> str:
    """What dead runs left at the location of an instance that is none, and their folders: what the next run of the key would clear."""
    done: list[bool] = []
    lease = _lease(root, item.name)

    def clear() -> None:
        there = location_of(root, item.name)
        if lookup_at(there).manifest is None:
            kept = files_of_parts(locations.join(locations.absolute(root), "resume", item.name))
            RemoteStore().clear(there, keep=kept, allowed=lambda: not lease.lost)
        done.append(True)

    _in_a_lease(lease, clear)
    return "" if done else "a run of it is at work"


def _lease(root: str, key_name: str) -> Lease:
    return Lease(staging_root(root), key_name, os.urandom(4).hex())


def _in_a_lease(lease: Lease, clear: object) -> None:
    """Call `clear` where the law of leases allows it; dead attempts of the key go too. Raises StoreError."""
    assert callable(clear)
    try:
        for folder in lease.begin(clear):
            RemoteStore().clear(folder)
    except OSError as error:
        raise locations.fault(error, "clean", lease.folder) from error
    finally:
        with suppress(OSError, StoreError):
            lease.release()


def _forget_empty(root: str, item: Item) -> None:
    """Remove the folders above an instance that is gone, as far as nothing else is in them."""
    above = os.path.dirname(item.location)
    for _ in range(2):
        with suppress(OSError):
            os.rmdir(above)
        above = os.path.dirname(above)
