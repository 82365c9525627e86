"""Maps the three parts of an instance's identity to its location, and reads the instance at a location.

Nothing here imports NumPy, PyArrow or Beam: a cache hit needs nothing else of the cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.cache.manifest import MANIFEST_NAME, Manifest, ManifestDamage, parse_manifest
from refinery_beam.cache.stores.local import store_error, store_of
from refinery_beam.cache.stores.remote import prepare_remote_root
from refinery_beam.errors import StoreError, UsageError

_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class InstanceKey:
    """The identity of an instance: the work (recipe_hash), its input (input_hash), its random numbers (seed).

    Both hashes are full SHA-256 in lower-case hex; anything else is a ValueError, because a shortened hash would name a directory and be
    compared with nothing.

    >>> key = InstanceKey("ab" * 32, "cd" * 32, 7)
    >>> key.name
    'abababababababab-cdcdcdcdcdcdcdcd-7'
    """

    recipe_hash: str
    input_hash: str
    seed: int

    def __post_init__(self) -> None:
        for name in ("recipe_hash", "input_hash"):
            if not _HEX64.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} must be 64 lower-case hex digits, not {getattr(self, name)!r}")

    @property
    def parts(self) -> tuple[str, str, str]:
        """The three directory names: 16 hex, 16 hex, the seed in decimal."""
        return (self.recipe_hash[:16], self.input_hash[:16], str(self.seed))

    @property
    def name(self) -> str:
        """The parts in one word, as staging directories are called."""
        return "-".join(self.parts)


class Found(NamedTuple):
    """The state of an instance's location: a complete manifest, or nothing (both None), or something broken (`damage` says what)."""

    manifest: Manifest | None
    damage: str | None


def instance_dir(root: str, key: InstanceKey) -> str:
    """The absolute directory, or URL, of an instance below a cache root.

    >>> instance_dir("/c", InstanceKey("ab" * 32, "cd" * 32, 7))
    '/c/instances/abababababababab/cdcdcdcdcdcdcdcd/7'
    >>> instance_dir("gs://bucket/c/", InstanceKey("ab" * 32, "cd" * 32, 7))
    'gs://bucket/c/instances/abababababababab/cdcdcdcdcdcdcdcd/7'
    """
    return locations.join(locations.absolute(root), "instances", *key.parts)


def staging_root(root: str) -> str:
    """The folder of unfinished attempts."""
    return locations.join(locations.absolute(root), "staging")


def resume_dir(root: str, key: InstanceKey) -> str:
    """The folder of what is finished of a key before its instance is: no sweep of attempts touches it, whoever sweeps.

    >>> resume_dir("/c", InstanceKey("ab" * 32, "cd" * 32, 7))
    '/c/resume/abababababababab-cdcdcdcdcdcdcdcd-7'
    """
    return locations.join(locations.absolute(root), "resume", key.name)


def lookup(root: str, key: InstanceKey) -> Manifest | None:
    """The manifest of a complete instance of exactly this key, or None: the cache hit.

    Raises StoreError: ``prefix-clash`` when another full digest lives under the same 16-hex names, ``manifest-contract`` when a newer
    release wrote it, and others when the location cannot be read at all. A broken instance is a miss; `find` says why.
    """
    return find(root, key).manifest


def find(root: str, key: InstanceKey) -> Found:
    """Like `lookup`, with the reason if the location holds something broken.

    Costs one read and one stat a listed file, or one listing on a store; no file is hashed (that is `verify`).
    """
    location = instance_dir(root, key)
    found = lookup_at(location)
    if found.manifest is not None:
        _refuse_clash(location, key, found.manifest)
    return found


def lookup_at(location: str) -> Found:
    """The state of a directory, whatever its key. Readers use it: they have a path and no key."""
    try:
        text = store_of(location).read(locations.join(location, MANIFEST_NAME))
    except StoreError as error:
        if error.code != "odd-file":
            raise
        return Found(None, error.message)
    if text is None:
        # On a store a living or dead run has put objects without a manifest: no instance and no damage.
        if locations.is_url(location) or not os.path.lexists(location):
            return Found(None, None)
        if not os.path.isdir(location):
            return Found(None, f"{location} is not a directory")
        # A rename needs an empty directory, and a crash between mkdir and rename leaves one: nothing is damaged.
        return Found(None, f"{location} has no {MANIFEST_NAME}" if _has_entries(location) else None)
    try:
        manifest = parse_manifest(text, location=location)
        check_complete(manifest)
    except ManifestDamage as damage:
        return Found(None, str(damage))
    return Found(manifest, None)


def check_complete(manifest: Manifest) -> None:
    """Every listed file exists with its listed size, or `ManifestDamage` names the first that does not. Stat only, nothing is read."""
    store = store_of(manifest.location)
    listed = store.sizes(manifest.location) if locations.is_url(manifest.location) else None
    for entry in (*manifest.files, *manifest.annexes):
        size = listed.get(entry.path) if listed is not None else store.size(os.path.join(manifest.location, entry.path))
        if size is None:
            raise ManifestDamage(f"{manifest.location} lacks {entry.path}")
        if size != entry.bytes:
            raise ManifestDamage(f"{entry.path} in {manifest.location} has {size} bytes, its manifest says {entry.bytes}")


def prepare_root(root: str) -> str:
    """Create the cache root when it is absent and prove that it can be written to; gives the absolute path.

    Raises StoreError (``cache-not-a-directory``, ``cache-not-writable``, ``no-space``, ...) that says which.
    """
    if locations.is_url(root):
        return prepare_remote_root(root)
    location = os.path.abspath(root)
    if os.path.lexists(location) and not os.path.isdir(location):
        raise StoreError(
            f"the cache root {location} is not a directory", code="cache-not-a-directory", at=location, remedy="name another --cache-root"
        )
    staging = staging_root(location)
    # The name is ours alone, so that runs that start together do not meet; a probe is the only honest answer on network file systems.
    probe = os.path.join(staging, f".probe-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        os.makedirs(staging, exist_ok=True)
        try:
            with open(probe, "wb") as file:
                file.write(b"refinery-beam\n")
        finally:
            # A full disk has the name, and no room for the text.
            locations.remove(probe)
    except OSError as error:
        raise store_error(error, "prepare the cache root", location) from error
    return location


def refuse_inside_sources(root: str, source_roots: Iterable[str]) -> None:
    """UsageError when the cache would be listed as input, or an instance directory is itself the input."""
    for source in source_roots:
        if locations.inside(root, source):
            raise UsageError(f"the cache root {root} lies inside the source {source}", code="output-inside-source", at=root, value=root)
        if any(locations.inside(source, locations.join(root, name)) for name in ("instances", "staging")):
            raise UsageError(f"the source {source} lies inside the cache {root}", code="source-inside-cache", at=source, value=source)


def _has_entries(location: str) -> bool:
    try:
        with os.scandir(location) as entries:
            return any(True for _ in entries)
    except OSError as error:
        raise store_error(error, "look into", location) from error


def _refuse_clash(location: str, key: InstanceKey, manifest: Manifest) -> None:
    for name, mine, theirs in (
        ("recipe_hash", key.recipe_hash, manifest.recipe_hash),
        ("input_hash", key.input_hash, manifest.input_hash),
        ("seed", str(key.seed), str(manifest.seed)),
    ):
        if mine != theirs:
            raise StoreError(
                f"{location} belongs to another {name}: {theirs}, this run has {mine}", code="prefix-clash", at=location, value=theirs
            )
