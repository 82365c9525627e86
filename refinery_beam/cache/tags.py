"""Names for instances: ``<root>/tags/<name>/<number>.json``.

A tag is a row of files that are created and never overwritten, on a disk and on a store alike: each says which instance the name is from
then on, or that it is no name any more, and the highest number counts. Of two who move a tag at once exactly one creates the next file; the
other one gets an error. So a tag is its own history.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from refinery_beam import locations
from refinery_beam.cache.stores.local import store_error, store_of
from refinery_beam.errors import StoreError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_FILE = re.compile(r"(\d{8})\.json")
_PATHS = (".yaml", ".yml", ".json")
PREFIX = "tag:"
"""Stands before the name of a tag where a path of that name is there too."""


@dataclass(frozen=True)
class TagState:
    """What a tag is: the number of its newest file (0: none), and the key name of its instance; None for no name of anything."""

    number: int = 0
    key_name: str | None = None


def is_tag_name(text: str) -> bool:
    """Whether a text can be the name of a tag: letters, digits, dots, underscores and hyphens, a letter or digit first, 80 at most, and
    nothing that looks like the file of a recipe.

    >>> [is_tag_name(t) for t in ("train-v3", "2024.1", "a/b", "-x", "recipe.yaml", "")]
    [True, True, False, False, False, False]
    """
    return bool(_NAME.fullmatch(text)) and not text.endswith(_PATHS)


def check_tag_name(text: str) -> str:
    """The name, or UsageError ``tag-name``."""
    name = text.removeprefix(PREFIX)
    if not is_tag_name(name):
        raise UsageError(f"{name!r} cannot be the name of a tag", code="tag-name", value=name)
    return name


def read_tag(root: str, name: str) -> TagState:
    """What a tag is now. Two requests on a store."""
    folder = locations.join(_folder(root), name)
    return _state(folder, _names(folder))


def read_tags(root: str) -> dict[str, str]:
    """{tag: key name} of all living tags of a cache root, sorted by name."""
    folder = _folder(root)
    found = {}
    for name in _names(folder):
        state = read_tag(root, name) if is_tag_name(name) else TagState()
        if state.key_name is not None:
            found[name] = state.key_name
    return found


def no_such_tag(name: str, known: Sequence[str]) -> UsageError:
    """The error of a name that is none of the `known` tags."""
    remedy = None if known else "there is none yet: refinery-beam tag TARGET NAME gives an instance a name"
    return UsageError(f"there is no tag {name!r}", code="tag-missing", value=name, known=sorted(known), remedy=remedy)


def write_tag(root: str, name: str, key_name: str | None, *, after: TagState) -> None:
    """Make a tag the name of an instance, or with None of nothing, where it still is as it was read.

    StoreError ``tag-moved``: somebody else changed it meanwhile, and nothing was changed here.
    """
    folder = locations.join(_folder(root), name)
    location = locations.join(folder, f"{after.number + 1:08d}.json")
    body = json.dumps({"contract": 1, "tag": name, "key": key_name}, sort_keys=True) + "\n"
    if not locations.is_url(folder):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise store_error(error, "write the tag", folder) from error
    if not store_of(folder).put_if_absent(location, body.encode()):
        raise StoreError(f"the tag {name!r} was changed by somebody else just now", code="tag-moved", at=location, value=name)


def _state(folder: str, names: Sequence[str]) -> TagState:
    numbers = sorted(int(match[1]) for name in names if (match := _FILE.fullmatch(name)))
    if not numbers:
        return TagState()
    location = locations.join(folder, f"{numbers[-1]:08d}.json")
    data = store_of(folder).read(location)
    try:
        body = json.loads(data or b"")
        key_name = body["key"]
        if key_name is not None and not isinstance(key_name, str):
            raise ValueError("its key is no text")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"the tag at {location} cannot be read: {error}", code="tag-damaged", at=location) from error
    return TagState(numbers[-1], key_name)


def _names(folder: str) -> list[str]:
    try:
        return locations.names(folder)
    except OSError as error:
        raise store_error(error, "list", folder) from error


def _folder(root: str) -> str:
    return locations.join(locations.absolute(root), "tags")
