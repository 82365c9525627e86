"""Whether a cache root can be used, found out by doing what a run does: writing, and creating only what is absent. Leaves nothing."""

from __future__ import annotations

import os
import tempfile
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.cache.stores.local import LocalStore, store_error
from refinery_beam.cache.stores.remote import prepare_remote_root
from refinery_beam.errors import StoreError


class Probe(NamedTuple):
    """What was found: where the probe was written, and whether the root itself is there already."""

    folder: str
    exists: bool


def probe_root(root: str) -> Probe:
    """Prove that a cache root can be written to and that it refuses to create a file twice. A local root that is not there yet is not made:
    the closest folder above it is tried in its stead. Raises StoreError, which says what is wrong.
    """
    if locations.is_url(root):
        return Probe(prepare_remote_root(root), True)
    location = os.path.abspath(root)
    if os.path.lexists(location) and not os.path.isdir(location):
        raise StoreError(
            f"the cache root {location} is not a directory", code="cache-not-a-directory", at=location, remedy="name another --cache-root"
        )
    folder = location
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    try:
        # Below a folder of its own: listings of others never show it, and it is gone whatever happens in between.
        with tempfile.TemporaryDirectory(prefix=".refinery-beam-probe-", dir=folder) as scratch:
            path = os.path.join(scratch, "probe")
            store = LocalStore()
            if not store.put_if_absent(path, b"refinery-beam\n") or store.put_if_absent(path, b"again\n"):
                raise StoreError(f"{folder} overwrites files that were to be created only if absent", code="store-create-only", at=folder)
    except OSError as error:
        raise store_error(error, "prepare the cache root", location) from error
    return Probe(folder, folder == location)
