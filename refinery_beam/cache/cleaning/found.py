"""Gathers what of a cache root can be removed, with the facts that decide about it. Changes nothing."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from refinery_beam import locations
from refinery_beam.cache.address import staging_root
from refinery_beam.cache.attempts.leases import living_keys
from refinery_beam.cache.attempts.probes import dead_probes, time_there
from refinery_beam.cache.attempts.staging import ATTEMPT_NAME, PROBE, REMOVED, TRASH, YOUNG, is_living
from refinery_beam.cache.cleaning.policy import Item
from refinery_beam.cache.instances import list_instances, location_of
from refinery_beam.cache.manifest import MANIFEST_NAME, Manifest
from refinery_beam.cache.stores.home import home
from refinery_beam.errors import StoreError
from refinery_beam.resume.parts import files_of_parts

_KEY = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}--?\d+")
_DAY = timedelta(days=1)
_MOMENT = timedelta(minutes=10)

TEMPORARY = {"beam-pipeline-temp": _DAY, "refinery-beam-": 7 * _DAY}
"""Names that folders in ``$TMPDIR`` begin with, and how old they must be: Beam's are empty, ours are of workers that were killed."""


def find_items(root: str, names: Mapping[str, str], now: datetime) -> list[Item]:
    """Everything below a cache root that can be removed, in a fixed order. `names` are the recipes of instances by key name."""
    living = living_attempts(root)
    items = [
        Item(
            kind="instance",
            name=cached.key_name,
            location=cached.location,
            bytes=cached.bytes,
            recipe=names.get(cached.key_name, ""),
            built=cached.built,
            used=cached.used,
            tags=cached.tags,
            parents=parents_of(cached.manifest) if cached.manifest is not None else (),
            running=cached.key_name in living,
        )
        for cached in list_instances(root)
    ]
    items += _parts(root, living)
    items += _local_leftovers(home(root), now)
    if locations.is_url(root):
        items += _remote_leftovers(root, living, {item.name for item in items if item.kind == "instance"})
    return [*items, *_temporary(now)]


def living_attempts(root: str) -> set[str]:
    """The key names that runs are at work on: those of this machine, and on a store those of every machine."""
    folder = staging_root(home(root))
    found = {m[1] for name in locations.names(folder) if (m := ATTEMPT_NAME.fullmatch(name)) and is_living(os.path.join(folder, name))}
    return found | (living_keys(root) if locations.is_url(root) else set())


def parents_of(manifest: Manifest) -> tuple[str, ...]:
    """The key names of the instances that one borrows statistics from or was compared with. Those of older releases say so in their
    files of statistics.
    """
    stated = manifest.raw.get("parents")
    if isinstance(stated, list):
        return tuple(str(name) for name in stated)
    found = set()
    origins = [one.get("reference") for one in manifest.raw.get("expectations", ()) if isinstance(one, Mapping)]
    for entry in manifest.files:
        if entry.path.startswith("fitted_statistics/"):
            try:
                origins.append(json.loads(locations.read(locations.join(manifest.location, entry.path))).get("origin"))
            except (OSError, ValueError, AttributeError):
                continue
    for origin in origins:
        if isinstance(origin, Mapping) and {"recipe_hash", "input_hash", "seed"} <= origin.keys():
            found.add(f"{str(origin['recipe_hash'])[:16]}-{str(origin['input_hash'])[:16]}-{origin['seed']}")
    return tuple(sorted(found))


def _parts(root: str, living: set[str]) -> Iterator[Item]:
    top = locations.join(locations.absolute(root), "resume")
    for name in locations.names(top):
        if _KEY.fullmatch(name):
            folder = locations.join(top, name)
            size = _size(folder)
            if locations.is_url(root):
                kept, there = files_of_parts(folder), location_of(root, name)
                size += sum(entry.size for entry in locations.walk(there) if entry.path in kept)
            yield Item(kind="parts", name=name, location=folder, bytes=size, used=_newest_of(folder), running=name in living)


def _local_leftovers(root: str, now: datetime) -> Iterator[Item]:
    folder = staging_root(root)
    for name in locations.names(folder):
        path = os.path.join(folder, name)
        if name == TRASH:
            for inside in locations.names(path):
                at = os.path.join(path, inside)
                yield Item(kind="trash", name=inside, location=at, bytes=_size(at), used=_time(at))
        elif name.startswith((REMOVED, YOUNG, PROBE)):
            # Half made, or half removed: whoever does that needs a moment.
            if (at_last := _time(path)) is None or now - at_last > _MOMENT:
                yield Item(kind="trash", name=name, location=path, bytes=_size(path), used=at_last)
        elif (named := ATTEMPT_NAME.fullmatch(name)) is not None:
            alive = is_living(path)
            yield Item(kind="attempt", name=named[1], location=path, bytes=0 if alive else _size(path), used=_time(path), running=alive)


def _remote_leftovers(root: str, living: set[str], instances: set[str]) -> Iterator[Item]:
    folder = staging_root(root)
    names = locations.names(folder)
    now = time_there(folder) if any(name.startswith(PROBE) for name in names) else datetime.now(UTC)
    for at in dead_probes(folder, names, now):
        yield Item(kind="trash", name=locations.basename(at), location=at, bytes=locations.size(at) or 0, used=_time(at))
    for name in names:
        if (named := ATTEMPT_NAME.fullmatch(name)) is not None:
            at = locations.join(folder, name)
            yield Item(kind="attempt", name=named[1], location=at, bytes=_size(at), running=named[1] in living)
    top = locations.join(locations.absolute(root), "instances")
    sizes: dict[str, int] = {}
    for entry in locations.walk(top):
        parts = entry.path.split("/")
        key = "-".join(parts[:3])
        if len(parts) > 3 and _KEY.fullmatch(key) and key not in instances:
            sizes[key] = sizes.get(key, 0) + (entry.size if parts[3] != MANIFEST_NAME else 0)
    for key, size in sorted(sizes.items()):
        kept = files_of_parts(locations.join(locations.absolute(root), "resume", key))
        size -= sum(entry.size for entry in locations.walk(location_of(root, key)) if entry.path in kept)
        if size > 0:
            yield Item(kind="objects", name=key, location=location_of(root, key), bytes=size, running=key in living)


def _temporary(now: datetime) -> Iterator[Item]:
    """Folders of this user in ``$TMPDIR`` that killed runs left: Beam's are removed only where they are empty."""
    folder = tempfile.gettempdir()
    for name in locations.names(folder):
        age = next((age for prefix, age in TEMPORARY.items() if name.startswith(prefix)), None)
        path = os.path.join(folder, name)
        try:
            facts = os.lstat(path)
        except OSError:
            continue
        used = datetime.fromtimestamp(facts.st_mtime, UTC)
        mine = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
        if age is not None and mine and os.path.isdir(path) and not os.path.islink(path) and now - used > age:
            yield Item(kind="temporary", name=name, location=path, bytes=_size(path), used=used)


def _size(location: str) -> int:
    try:
        if locations.is_url(location):
            return sum(entry.size for entry in locations.walk(location))
        if not os.path.isdir(location):
            return os.lstat(location).st_size
        # Hard links of one file, as between an attempt and its parts, count once here and once there: what is freed is known afterwards.
        return sum(os.lstat(os.path.join(above, name)).st_size for above, _, files in os.walk(location) for name in files)
    except (OSError, StoreError):
        return 0


def _newest_of(folder: str) -> datetime | None:
    if locations.is_url(folder):
        names = locations.names(folder)
        return _time(locations.join(folder, names[-1], "part.json")) if names else None
    times = [time for name in ("", *locations.names(folder)) if (time := _time(os.path.join(folder, name))) is not None]
    return max(times, default=None)


def _time(location: str) -> datetime | None:
    try:
        return locations.modified(location)
    except (OSError, StoreError):
        return None
