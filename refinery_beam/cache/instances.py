"""The instances of a cache root, with what a person or a cleaner wants to know of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from refinery_beam import locations
from refinery_beam.cache.address import lookup_at
from refinery_beam.cache.manifest import MANIFEST_NAME, Manifest
from refinery_beam.cache.stores.local import store_error, store_of
from refinery_beam.cache.tags import read_tags
from refinery_beam.cache.used import last_used
from refinery_beam.errors import StoreError

_HASH = re.compile(r"[0-9a-f]{16}")
_SEED = re.compile(r"-?\d+")
_KEY = re.compile(r"(?P<recipe>[0-9a-f]{6,16})(?:-(?P<input>[0-9a-f]{6,16})(?:-(?P<seed>-?\d+))?)?")


@dataclass(frozen=True, kw_only=True)
class CachedInstance:
    """One instance of a cache root.

    ``key_name`` is the name of its key, ``<recipe>-<input>-<seed>`` with 16 hex digits each. Where ``manifest`` is None, ``damage`` says
    why. ``bytes`` are those of all listed files and the manifest (of a damaged instance: of what lies there). ``built`` is the time of its
    manifest, ``used`` that of its last noted use, else ``built``; both are UTC, None where unknown.
    """

    key_name: str
    location: str
    manifest: Manifest | None
    damage: str | None
    bytes: int
    built: datetime | None
    used: datetime | None
    tags: tuple[str, ...] = ()


def list_instances(root: str) -> list[CachedInstance]:
    """Every instance below a cache root, in the order of their key names; [] where there is none, or no such root.

    Reads each manifest, and checks that its files are there with their sizes. StoreError where the root cannot be listed.
    """
    used = last_used(root)
    tags: dict[str, list[str]] = {}
    for tag, key_name in read_tags(root).items():
        tags.setdefault(key_name, []).append(tag)
    found = []
    for key_name, location in instance_locations(root):
        try:
            manifest, damage = lookup_at(location)
        except StoreError as error:
            if error.code != "manifest-contract":
                raise
            manifest, damage = None, error.message
        if manifest is None and damage is None:
            continue  # an empty folder, or objects of a run that goes on
        built = _time(locations.join(location, MANIFEST_NAME))
        found.append(
            CachedInstance(
                key_name=key_name,
                location=location,
                manifest=manifest,
                damage=damage,
                bytes=_bytes(location, manifest),
                built=built,
                used=max((t for t in (used.get(key_name), built) if t is not None), default=None),
                tags=tuple(tags.get(key_name, ())),
            )
        )
    return found


def instance_locations(root: str) -> Iterator[tuple[str, str]]:
    """(key name, location) of everything that has the address of an instance, sorted. Opens nothing; whatever else lies there is left
    out.
    """
    top = locations.join(locations.absolute(root), "instances")
    for recipe in _names(top, _HASH):
        for given in _names(locations.join(top, recipe), _HASH):
            for seed in _names(locations.join(top, recipe, given), _SEED):
                yield f"{recipe}-{given}-{seed}", locations.join(top, recipe, given, seed)


def location_of(root: str, key_name: str) -> str:
    """Where the instance of a key name lies below a cache root.

    >>> location_of("/c", "abababababababab-cdcdcdcdcdcdcdcd-7")
    '/c/instances/abababababababab/cdcdcdcdcdcdcdcd/7'
    """
    recipe, given, seed = key_name.split("-", 2)
    return locations.join(locations.absolute(root), "instances", recipe, given, seed)


def key_name_of(location: str) -> tuple[str, str] | None:
    """(cache root, key name) of an instance's location; None for a copy that lies elsewhere.

    >>> key_name_of("/c/instances/abababababababab/cdcdcdcdcdcdcdcd/7"), key_name_of("/copies/ds")
    (('/c', 'abababababababab-cdcdcdcdcdcdcdcd-7'), None)
    """
    root, _, rest = location.rpartition("/instances/")
    parts = rest.split("/")
    if not root or len(parts) != 3 or not (_HASH.fullmatch(parts[0]) and _HASH.fullmatch(parts[1]) and _SEED.fullmatch(parts[2])):
        return None
    return root, "-".join(parts)


def keys_like(root: str, text: str) -> list[str]:
    """The key names below a root that a shortened one can mean: its parts are beginnings of at least six digits; [] for another text.

    >>> keys_like("/no/such/cache", "abababab-cdcdcd")
    []
    """
    match = _KEY.fullmatch(text)
    if match is None:
        return []
    found = []
    for key_name, _ in instance_locations(root):
        recipe, given, seed = key_name.split("-", 2)
        if recipe.startswith(match["recipe"]) and given.startswith(match["input"] or "") and match["seed"] in (None, seed):
            found.append(key_name)
    return found


def short_key(key_name: str) -> str:
    """A key name as people read it: eight digits of each hash.

    >>> short_key("abababababababab-cdcdcdcdcdcdcdcd-7")
    'abababab-cdcdcdcd-7'
    """
    recipe, given, seed = key_name.split("-", 2)
    return f"{recipe[:8]}-{given[:8]}-{seed}"


def _names(folder: str, pattern: re.Pattern[str]) -> list[str]:
    try:
        return [name for name in locations.names(folder) if pattern.fullmatch(name)]
    except OSError as error:
        raise store_error(error, "list", folder) from error


def _time(location: str) -> datetime | None:
    try:
        return locations.modified(location)
    except OSError:
        return None


def _bytes(location: str, manifest: Manifest | None) -> int:
    if manifest is not None:
        size = store_of(location).size(locations.join(location, MANIFEST_NAME)) or 0
        return size + sum(entry.bytes for entry in (*manifest.files, *manifest.annexes))
    if locations.is_url(location):
        return sum(store_of(location).sizes(location).values())
    # Whatever lies there: a damaged instance may hold links and sockets.
    return sum(os.lstat(os.path.join(above, name)).st_size for above, _, names in os.walk(location) for name in names)
