"""The cache roots of a call: the own one, and those that are only read (a team's cache).

The own one is looked up first: it is the nearer one, and a hit there needs nobody else. A hit in another is opened where it lies; nothing
is ever written to it, no note of use, no journal and no picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from refinery_beam import locations
from refinery_beam.cache import Found, InstanceKey, find
from refinery_beam.cache.instances import key_name_of, keys_like, location_of, short_key
from refinery_beam.cache.tags import PREFIX, is_tag_name, no_such_tag, read_tag, read_tags
from refinery_beam.cache.used import note_used, only_read
from refinery_beam.errors import StoreError, UsageError
from refinery_beam.launch.settings import Settings


def find_in_roots(settings: Settings, key: InstanceKey) -> Found:
    """What the own root holds under a key; where that is no whole instance, the first whole one of the other roots.

    A root that is only read and cannot be read at all gives a warning, and is passed over.
    """
    own = find(settings.root, key)
    if own.manifest is not None:
        return own
    for root in readable_roots(settings):
        try:
            found = find(root, key)
        except StoreError as error:
            settings.warn(f"the cache root {root} is passed over: {error.message}")
            continue
        if found.manifest is not None:
            return found
        if found.damage:
            settings.warn(f"the cache root {root} has a damaged instance of this key: {found.damage}")
    return own


def readable_roots(settings: Settings) -> Iterator[str]:
    """The roots that are only read, as far as they are there; a warning for each folder that is not."""
    for root in settings.read_roots:
        if locations.is_url(root) or os.path.isdir(root):
            yield root
        else:
            settings.warn(f"the cache root {root} {locations.why_absent(root)}; nothing is looked up there")


def is_own(settings: Settings, location: str) -> bool:
    """Whether files may be written beside an instance: it lies in no root that is only read."""
    return not any(locations.inside(location, root) for root in settings.read_roots)


def note_use(settings: Settings, location: str) -> None:
    """Note the use of an instance by its location, where it lies in a root that may be written. Never fails."""
    at = key_name_of(location)
    if at is not None:
        (note_used if is_own(settings, location) else only_read)(*at)


def named_in_roots(word: str, settings: Settings) -> str | None:
    """Where the instance lies that a word names: a tag, ``tag:NAME``, or the beginning of a key as `ls` shows it. None for any other word.

    UsageError ``tag-missing``, ``ambiguous-target`` where a path of that name is there too, ``ambiguous-key``; StoreError
    ``instance-missing`` for a tag whose instance is gone.
    """
    name, asked = word.removeprefix(PREFIX), word.startswith(PREFIX)
    if not asked and not is_tag_name(name):
        return None
    locations.use_options(settings.storage_options)
    for root in (settings.root, *readable_roots(settings)):
        key_name = read_tag(root, name).key_name if is_tag_name(name) else None
        if key_name is None:
            continue
        if not asked and os.path.lexists(word):
            raise UsageError(f"{word!r} is a tag, and there is a path of that name", code="ambiguous-target", value=word)
        return _existing(root, key_name, name)
    if asked:
        raise no_such_tag(name, sorted({tag for root in (settings.root, *settings.read_roots) for tag in read_tags(root)}))
    if os.path.lexists(word):
        return None
    for root in (settings.root, *readable_roots(settings)):
        keys = keys_like(root, word)
        if len(keys) > 1:
            some = [short_key(k) for k in keys[:5]]
            raise UsageError(f"{word} begins {len(keys)} keys", code="ambiguous-key", value=word, known=some)
        if keys:
            return location_of(root, keys[0])
    return None


def _existing(root: str, key_name: str, tag: str) -> str:
    """The location of a tagged instance; a tag outlives an instance that somebody deleted by hand."""
    location = location_of(root, key_name)
    if not locations.is_folder(location):
        raise StoreError(f"the instance that the tag {tag!r} names is gone", code="instance-missing", at=location, value=key_name)
    return location
