"""The recipe that lies in an instance: it stands for that instance, wherever the instance was copied.

Its locations are variables (`recipe.effective`). Their values come from the environment, else from the journal of the cache, which knows
where the newest run of the same key found its files. Where neither helps, or nothing is there any more, the raw data are gone, and what was
made of them is still whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from refinery_beam import locations
from refinery_beam.cache import InstanceKey, Manifest, lookup_at
from refinery_beam.cache.journal.ask import newest_variables
from refinery_beam.cache.manifest import MANIFEST_NAME, RECIPE_NAME
from refinery_beam.errors import RefineryError
from refinery_beam.launch.roots import named_in_roots
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath

_GONE = frozenset(
    {
        *("env-missing", "path-missing", "path-not-a-folder", "source-path", "no-class-folder", "no-images", "label-table"),
        *("contract-reference", "stats-no-instance"),
    }
)
"""Codes of errors that a recipe's own data are not there, or not all of them."""


@dataclass(frozen=True, kw_only=True)
class OwnRecipe:
    """The instance in whose folder a recipe lies, and the values of the recipe's variables, as far as they are known."""

    manifest: Manifest
    variables: Mapping[str, str] = field(default_factory=dict)


def find_own(recipe: StrPath, settings: Settings) -> OwnRecipe | None:
    """The instance whose recipe this is; None for every other file, for one that was edited, and where options change what it means."""
    path = os.path.abspath(os.fspath(recipe))
    folder, name = os.path.split(path)
    if name != RECIPE_NAME or settings.overlays or settings.seed is not None or not os.path.isfile(os.path.join(folder, MANIFEST_NAME)):
        return None
    manifest = lookup_at(folder).manifest
    listed = None if manifest is None else manifest.file(RECIPE_NAME)
    if manifest is None or listed is None or hashlib.sha256(locations.read(path)).hexdigest() != listed.sha256:
        return None
    return OwnRecipe(manifest=manifest, variables=known_variables(manifest, settings))


def instance_named(target: StrPath, settings: Settings) -> str | None:
    """The directory or URL of an instance, where a verb is given one, its tag, the beginning of its key, or the recipe in it; None for
    every other recipe. Raises as `named_in_roots`.
    """
    location = os.fspath(target)
    named = named_in_roots(location, settings) if isinstance(target, str) else None
    if named is not None:
        return named
    if locations.is_url(location) or os.path.isdir(location):
        locations.use_options(settings.storage_options)
        return locations.absolute(location)
    own = find_own(target, settings)
    return None if own is None else own.manifest.location


def is_gone(error: RefineryError) -> bool:
    """Whether an error says that a recipe's data are not there."""
    return all(one.code in _GONE for one in error.errors())


def known_variables(manifest: Manifest, settings: Settings) -> dict[str, str]:
    """What the journals say of where the data of an instance lie: that of the cache root, and that of the cache the instance lies in."""
    roots = [settings.root]
    parts = manifest.location.split(os.sep)
    if parts[-4:-3] == ["instances"]:
        roots.append(os.sep.join(parts[:-4]))
    for root in dict.fromkeys(map(locations.absolute, roots)):
        found = newest_variables(root, InstanceKey(manifest.recipe_hash, manifest.input_hash, manifest.seed).name)
        if found:
            return found
    return {}
