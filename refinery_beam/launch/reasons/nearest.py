"""Which instance a miss is compared with: one of a recipe of the same name, of which the fewest parts of the key differ, the newest of
those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.instances import CachedInstance, list_instances
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.errors import RefineryError
from refinery_beam.launch.cached import name_of
from refinery_beam.launch.prepare import Prepared
from refinery_beam.launch.reasons.difference import Difference
from refinery_beam.launch.reasons.recipes import recipe_differences
from refinery_beam.launch.roots import readable_roots
from refinery_beam.recipe import canonical, load_recipe

WEIGHED = 8
"""Of how many instances that are equally near the recipes are compared field by field."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An instance to compare with. ``differences`` are those of its recipe; where the recipe cannot be read, ``problem`` says why."""

    cached: CachedInstance
    manifest: Manifest
    differences: tuple[Difference, ...] = ()
    problem: str = ""


def find_nearest(prepared: Prepared) -> Stored | None:
    """The instance to compare a recipe with, of all cache roots; None where there is none at all."""
    settings = prepared.settings
    roots = (settings.root, *readable_roots(settings))
    whole = [c for root in roots for c in list_instances(root) if c.manifest is not None]
    if not whole:
        return None

    def distance(cached: CachedInstance) -> tuple[bool, int]:
        assert cached.manifest is not None
        return name_of(cached) != prepared.recipe.name, len(differing_parts(cached.manifest, prepared))

    distances = {id(c): distance(c) for c in whole}
    least = min(distances.values())
    near = sorted((c for c in whole if distances[id(c)] == least), key=_newest_first)[:WEIGHED]
    stored = [read_stored(c, prepared) for c in near]
    # `min` keeps the first of equals, which is the newest.
    return min(stored, key=lambda s: (bool(s.problem), len(s.differences)))


def differing_parts(manifest: Manifest, prepared: Prepared) -> list[str]:
    """The parts of the key in which an instance differs from a recipe, as far as its manifest alone tells."""
    raw, plan, key = manifest.raw, prepared.plan, prepared.key
    if manifest.recipe_hash == key.recipe_hash:
        parts: list[tuple[str, Any, Any]] = []
    else:
        plugin = raw.get("plugin", {})
        parts = [
            ("recipe", raw.get("recipe_digest"), prepared.recipe_digest),
            ("ops", raw.get("op_versions"), dict(plan.op_versions)),
            ("codecs", raw.get("codec_fingerprint") if _decodes(prepared) else None, prepared.fingerprint if _decodes(prepared) else None),
            ("plugin", (plugin.get("version"), plugin.get("sources")), (plan.plugin_version, _plain(plan.plugin_sources))),
        ]
    parts += [("input", manifest.input_hash, key.input_hash), ("seed", manifest.seed, key.seed)]
    found = [name for name, theirs, mine in parts if theirs != mine]
    # Something else than what a manifest states, such as the version of how rows become files.
    return found if found or manifest.recipe_hash == key.recipe_hash else ["release"]


def read_stored(cached: CachedInstance, prepared: Prepared) -> Stored:
    """An instance with the differences of its recipe from the one that is prepared."""
    assert cached.manifest is not None
    if cached.manifest.raw.get("recipe_digest") == prepared.recipe_digest:
        return Stored(cached=cached, manifest=cached.manifest)
    path = locations.join(cached.location, RECIPE_NAME)
    try:
        recipe = load_recipe(path, text=locations.read(path).decode())
        before = canonical(recipe, prepared.plugin)
    except (OSError, ValueError, RefineryError) as error:
        first = error.errors()[0].message if isinstance(error, RefineryError) else str(error)
        return Stored(cached=cached, manifest=cached.manifest, problem=f"the recipe in the instance cannot be read here: {first}")
    found = recipe_differences(before, canonical(prepared.recipe, prepared.plugin), prepared.recipe)
    return Stored(cached=cached, manifest=cached.manifest, differences=tuple(found))


def _newest_first(cached: CachedInstance) -> float:
    return -cached.built.timestamp() if cached.built is not None else 0.0


def _decodes(prepared: Prepared) -> bool:
    return prepared.plan.decodes or prepared.plan.selects_by_files


def _plain(sources: Any) -> dict[str, dict[str, Any]]:
    pairs: Iterable[tuple[str, Any]] = sources.items()
    return {name: dict(origin) for name, origin in pairs}
