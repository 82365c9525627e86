"""Statistics from another recipe's instance: found by that recipe's own key, copied, and part of the key of what uses them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refinery_beam import places
from refinery_beam.cache import Manifest
from refinery_beam.cache.stores.local import store_of
from refinery_beam.errors import RecipeError, StoreError, did_you_mean
from refinery_beam.planning.nodes import Imported
from refinery_beam.recipe import Recipe

if TYPE_CHECKING:
    from refinery_beam.launch.prepare import Settings

Above = tuple[tuple[str, tuple[str, ...]], ...]
"""The recipes that are being prepared: (real path, overlays) from the outermost in."""

_OWN = frozenset({"op", "version", "fit_source", "pinned", "origin"})


def resolve_imports(recipe: Recipe, settings: Settings, *, above: Above) -> dict[str, Imported]:
    """The imported statistics of a recipe by operation name.

    The sibling is prepared as a run of its own would be, without overlays and with its own seed, and looked up in the same cache. Raises
    RecipeError (``stats-no-instance``, ``stats-no-op``, ``stats-other-op``, ``stats-cycle``), what the sibling itself raises, or StoreError
    for damaged statistics.
    """
    found: dict[str, Imported] = {}
    here = (*above, (os.path.realpath(recipe.path), tuple(recipe.overlays)))
    for section in ("Transformations", "Featurizations"):
        for i, operation in enumerate(getattr(recipe.model, section)):
            wanted = operation.params.get("stats_from_instance")
            if isinstance(wanted, Mapping):
                place = recipe.place((section, i, "params", "stats_from_instance"))
                found[operation.name] = _import(recipe, operation, wanted, settings, here, place)
    return found


def _import(recipe: Recipe, operation: Any, wanted: Mapping[str, Any], settings: Settings, here: Above, place: str) -> Imported:
    from refinery_beam.launch.prepare import prepare

    sibling = recipe.resolve(wanted["recipe"])
    if (os.path.realpath(sibling), ()) in here:
        raise RecipeError(
            f"{operation.name!r} imports statistics from {wanted['recipe']!r}, which needs this recipe first",
            code="stats-cycle",
            place=place,
            value=wanted["recipe"],
            rule="imports of statistics never lead back",
            remedy="fit in one of the two recipes",
        )
    prepared = prepare(sibling, replace(settings, overlays=(), seed=None), above=here)
    manifest = prepared.look().manifest
    if manifest is None:
        raise RecipeError(
            f"the recipe {wanted['recipe']!r} has no instance in {places.absolute(settings.cache_root)}",
            code="stats-no-instance",
            place=place,
            value=wanted["recipe"],
            rule="statistics are imported from an instance that is there; reading never builds",
            remedy=f"refinery-beam --cache-root {settings.cache_root} run {sibling}",
        )
    body = _statistics(manifest, wanted["op_id"], operation, place)
    if (body.get("op"), body.get("version")) != (operation.op, prepared.plugin.ops[operation.op].spec.version):
        raise RecipeError(
            f"{wanted['op_id']!r} of {wanted['recipe']!r} is {body.get('op')} {body.get('version')}, {operation.name!r} is {operation.op}",
            code="stats-other-op",
            place=place,
            value=wanted["op_id"],
            rule="statistics are imported from the same op of the same version",
            remedy="name an op of the same kind",
        )
    key = prepared.key
    origin = {"recipe_hash": key.recipe_hash, "input_hash": key.input_hash, "seed": key.seed, "op_id": wanted["op_id"]}
    return Imported(statistics={k: v for k, v in body.items() if k not in _OWN}, origin=origin)


def _statistics(manifest: Manifest, op_id: str, operation: Any, place: str) -> dict[str, Any]:
    relative = f"fitted_statistics/{op_id}.json"
    entry = manifest.file(relative)
    if entry is None:
        names = [f.path.split("/")[1].removesuffix(".json") for f in manifest.files if f.path.startswith("fitted_statistics/")]
        raise RecipeError(
            f"{operation.name!r} imports the statistics of {op_id!r}, which the instance does not have",
            code="stats-no-op",
            place=place,
            value=op_id,
            rule="op_id is the name of a fitted operation of the other recipe",
            remedy=did_you_mean(op_id, names) if names else "the other recipe fits nothing",
        )
    path = places.join(manifest.place, relative)
    data = store_of(path).read(path) or b""
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise StoreError(
            f"{path} is not the file that its manifest lists",
            code="damaged",
            place=path,
            rule="an instance is as its manifest says",
            remedy="run the other recipe again: damaged instances are rebuilt",
        )
    body: dict[str, Any] = json.loads(data)
    return body
