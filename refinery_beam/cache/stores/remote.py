"""A cache root on an object store. `LocalStore` relies on renames; this module relies on the order of puts.

An instance on a store is the objects that its manifest lists, below the location that its key names. Until the manifest is there,
readers ignore every other object there. So files are put first, in any order, and the manifest last and only if absent;
that one request makes the instance, and the store decides which of many writers made it.

No run overwrites another run's bytes: shards are named for their content, and every other file is created only if absent, then compared.
Different bytes mean non-determinism, because the files of dead runs were cleared before (see `leases`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Set

from refinery_beam import locations
from refinery_beam.cache.attempts.probes import probe
from refinery_beam.cache.manifest import MANIFEST_NAME
from refinery_beam.errors import EngineError, StoreError

BATCH = 500
"""How many objects to remove at a time."""

UPLOADS = 8
"""How many files to put at a time: small files wait for the network, not for this machine."""


class RemoteStore:
    """The operations of `stores.Store` on every URL that `locations` reaches. Has no state."""

    def read(self, path: str) -> bytes | None:
        """The whole object, or None."""
        try:
            return locations.read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise locations.fault(error, "read", path) from error

    def size(self, path: str) -> int | None:
        """The size, or None when there is no object."""
        try:
            return locations.size(path)
        except OSError as error:
            raise locations.fault(error, "look at", path) from error

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Create the object, or give False and change nothing if there is one: one conditional request."""
        try:
            return locations.put_if_absent(path, data)
        except OSError as error:
            raise locations.fault(error, "create", path) from error

    def sizes(self, folder: str) -> dict[str, int]:
        """{relative path: size} of every object below a URL, from one listing."""
        try:
            return {entry.path: entry.size for entry in locations.walk(folder)}
        except OSError as error:
            raise locations.fault(error, "list", folder) from error

    def publish(self, tree: str, target: str) -> bool:
        """Put the files of a local tree below `target` and its manifest last; False if a manifest is there already.

        EngineError ``nondeterminism`` when another file of the tree is there with other bytes.
        """
        from concurrent.futures import ThreadPoolExecutor

        from refinery_beam.cache.files import walk_files

        if self.size(locations.join(target, MANIFEST_NAME)) is not None:
            return False
        files = sorted(walk_files(tree).keys() - {MANIFEST_NAME})
        with ThreadPoolExecutor(UPLOADS) as pool:
            for _ in pool.map(lambda path: self._put_or_compare(tree, target, path), files):
                pass
        with open(os.path.join(tree, MANIFEST_NAME), "rb") as file:
            return self.put_if_absent(locations.join(target, MANIFEST_NAME), file.read())

    def set_aside(self, target: str, trash: str) -> bool:
        """Remove the manifest at `target`, and with it the instance; `trash` is not used, since nothing can be moved."""
        manifest = locations.join(target, MANIFEST_NAME)
        if self.size(manifest) is None:
            return False
        self.remove([manifest])
        return True

    def remove(self, paths: list[str]) -> None:
        """Remove objects; an object that is gone already is no error."""
        try:
            locations.remove_all(paths)
        except OSError as error:
            raise locations.fault(error, "remove", paths[0]) from error

    def clear(self, target: str, *, keep: Set[str] = frozenset(), allowed: Callable[[], bool] = lambda: True) -> None:
        """Remove everything below a URL but the paths to `keep`, a manifest first: an instance must not keep its manifest while it loses
        files.

        Stops as soon as `allowed()` is false: the lease may have been lost meanwhile.
        """
        paths = [locations.join(target, path) for path in self.sizes(target) if path not in keep]
        if allowed():
            self.set_aside(target, "")
        for start in range(0, len(paths), BATCH):
            if allowed():
                self.remove(paths[start : start + BATCH])

    def _put_or_compare(self, tree: str, target: str, path: str) -> None:
        with open(os.path.join(tree, *path.split("/")), "rb") as file:
            data = file.read()
        location = locations.join(target, path)
        if self.put_if_absent(location, data) or self.read(location) == data:
            return
        raise EngineError(
            f"two builds of one key differ: {path} has other bytes on the store",
            code="nondeterminism",
            at=location,
            value=path,
            remedy="another run of this recipe is going on in another environment: let it end, then run again",
        )


def prepare_remote_root(root: str) -> str:
    """Prove that a URL can be written to and that the store refuses to create an object twice; gives the absolute URL.

    StoreError ``store-missing``, ``store-permission``, ``store-unreachable``, ``store-extra``, ..., or ``store-create-only``.
    """
    location = locations.absolute(root)
    try:
        with probe(locations.join(location, "staging")) as (path, text):
            first, second = locations.put_if_absent(path, text), locations.put_if_absent(path, b"again\n")
    except OSError as error:
        raise locations.fault(error, "prepare the cache root", location) from error
    if not first or second:
        raise StoreError(f"{location} overwrites objects that were to be created only if absent", code="store-create-only", at=location)
    return location
