"""Finds the other instances that a recipe names: it borrows statistics from some, and its assertions compare with others.

Both are found before the recipe's own key is known, because their keys are a part of it. If a recipe names another recipe, that one is
prepared first, by the caller's function `prepare` and with an `Asking`, which lists the recipes that wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from refinery_beam import locations
from refinery_beam.cache import Found, InstanceKey, Manifest, lookup_at
from refinery_beam.errors import RecipeError, did_you_mean
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.nodes import Borrowed, Plan
from refinery_beam.plugins.base import Plugin
from refinery_beam.reading.recorded import read_statistics
from refinery_beam.recipe import Recipe


@dataclass(frozen=True)
class Asking:
    """The recipes that wait for the one that is being prepared, from the outermost in, as (real path, overlays); `comparing` are the real
    paths of those that compare themselves with an instance. Empty for the recipe of a call.
    """

    recipes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    comparing: tuple[str, ...] = ()

    def also(self, recipe: Recipe, *, comparing: bool = False) -> Asking:
        """The same, with one more recipe that waits."""
        path = os.path.realpath(recipe.path)
        return Asking((*self.recipes, (path, tuple(recipe.overlays))), (*self.comparing, path) if comparing else self.comparing)

    def waits(self, location: str) -> bool:
        """Whether this recipe waits already. Recipes that are named by others have no overlays."""
        return (os.path.realpath(location), ()) in self.recipes


NOBODY = Asking()
"""Asks for the recipe of a call."""


class Sibling(Protocol):
    """The parts of another prepared recipe that this module needs."""

    @property
    def plugin(self) -> Plugin: ...

    @property
    def key(self) -> InstanceKey: ...

    def lookup(self) -> Found: ...


class Prepare(Protocol):
    """`launch.prepare.prepare`."""

    def __call__(self, source: str, settings: Settings, *, asking: Asking) -> Sibling: ...


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One split of a finished instance that an assertion compares with. Its identity is the instance's full key, not its location.

    `at` is its position in the recipe.
    """

    manifest: Manifest
    split: str
    at: str

    def identity(self) -> dict[str, Any]:
        """What enters the key and the manifest of the instance that is compared with it."""
        return {
            "recipe_hash": self.manifest.recipe_hash,
            "input_hash": self.manifest.input_hash,
            "seed": self.manifest.seed,
            "split": self.split,
        }


def find_borrowed(recipe: Recipe, settings: Settings, prepare: Prepare, asking: Asking) -> dict[str, Borrowed]:
    """The borrowed statistics of a recipe by operation name.

    The other recipe is prepared as a run of its own would be, without overlays and with its own seed, and looked up in the same cache.
    Raises RecipeError (``stats-no-instance``, ``stats-no-op``, ``stats-other-op``, ``stats-cycle``), what the other recipe itself raises,
    or StoreError for damaged statistics.
    """
    found: dict[str, Borrowed] = {}
    for section in ("Transformations", "Featurizations"):
        for i, operation in enumerate(getattr(recipe.model, section)):
            wanted = operation.params.get("stats_from_instance")
            if isinstance(wanted, Mapping):
                at = recipe.at((section, i, "params", "stats_from_instance"))
                found[operation.name] = _borrow(recipe, operation, wanted, settings, prepare, asking.also(recipe), at)
    return found


# Keys of a file of statistics that describe the step, not its statistics.
_ABOUT_THE_STEP = frozenset({"op", "version", "fit_source", "pinned", "origin"})


def _borrow(
    recipe: Recipe, operation: Any, wanted: Mapping[str, Any], settings: Settings, prepare: Prepare, asking: Asking, at: str
) -> Borrowed:
    location = recipe.resolve(wanted["recipe"])
    if asking.waits(location):
        raise RecipeError(
            f"{operation.name!r} imports statistics from {wanted['recipe']!r}, which needs this recipe first",
            code="stats-cycle",
            at=at,
            value=wanted["recipe"],
        )
    other = prepare(location, replace(settings, overlays=(), seed=None), asking=asking)
    manifest = other.lookup().manifest
    if manifest is None:
        raise RecipeError(
            f"the recipe {wanted['recipe']!r} has no instance in {locations.absolute(settings.root)}",
            code="stats-no-instance",
            at=at,
            value=wanted["recipe"],
            root=settings.root,
            recipe=location,
        )
    body = _statistics(manifest, wanted["op_id"], operation, at)
    if (body.get("op"), body.get("version")) != (operation.op, other.plugin.ops[operation.op].spec.version):
        raise RecipeError(
            f"{wanted['op_id']!r} of {wanted['recipe']!r} is {body.get('op')} {body.get('version')}, {operation.name!r} is {operation.op}",
            code="stats-other-op",
            at=at,
            value=wanted["op_id"],
        )
    key = other.key
    origin = {"recipe_hash": key.recipe_hash, "input_hash": key.input_hash, "seed": key.seed, "op_id": wanted["op_id"]}
    return Borrowed(statistics={k: v for k, v in body.items() if k not in _ABOUT_THE_STEP}, origin=origin)


def _statistics(manifest: Manifest, op_id: str, operation: Any, at: str) -> dict[str, Any]:
    path = f"fitted_statistics/{op_id}.json"
    if manifest.file(path) is None:
        names = [f.path.split("/")[1].removesuffix(".json") for f in manifest.files if f.path.startswith("fitted_statistics/")]
        raise RecipeError(
            f"{operation.name!r} imports the statistics of {op_id!r}, which the instance does not have",
            code="stats-no-op",
            at=at,
            value=op_id,
            remedy=did_you_mean(op_id, names) if names else "the other recipe fits nothing",
        )
    return read_statistics(manifest, path)


def find_comparisons(recipe: Recipe, plan: Plan, settings: Settings, prepare: Prepare, asking: Asking) -> dict[int, Comparison]:
    """The comparisons of a plan's assertions, by the position of the assertion. Raises RecipeError ``contract-reference``."""
    found: dict[int, Comparison] = {}
    for i, step in enumerate(plan.contracts):
        if not step.compares:
            continue
        written = getattr(recipe.model, step.section)[step.index].assertion["reference"]
        at = recipe.at((step.section, step.index, "assertion", "reference", "instance"))
        manifest = _manifest(recipe, str(written["instance"]), settings, prepare, asking, at)
        split = str(written["split"])
        if split not in manifest.splits:
            raise refuse_comparison(f"has no split {split!r}", written["instance"], at, did_you_mean(split, manifest.splits))
        known = [name for name in ("record_id", *manifest.schema) if step.on_content == (name == manifest.image_field)]
        if step.field not in known:
            problem = f"has no field {step.field!r} to compare with"
            raise refuse_comparison(problem, written["instance"], at, did_you_mean(step.field or "", known))
        stored = manifest.schema[step.field or ""]["dtype"] if step.on_content else "uint8"
        if stored != "uint8":
            raise refuse_comparison(f"stores {stored} content", written["instance"], at, "compare with an instance that stores uint8")
        found[i] = Comparison(manifest=manifest, split=split, at=at)
    return found


def _manifest(recipe: Recipe, written: str, settings: Settings, prepare: Prepare, asking: Asking, at: str) -> Manifest:
    """The manifest of a named instance, or of the instance of a named recipe."""
    location = recipe.resolve(written)
    if os.path.isfile(location):
        asking = asking.also(recipe, comparing=True)
        if os.path.realpath(location) in asking.comparing or asking.waits(location):
            raise refuse_comparison("compares itself with this one, directly or by way of others", written, at, "name another")
        manifest = prepare(location, replace(settings, overlays=(), seed=None), asking=asking).lookup().manifest
    else:
        manifest = lookup_at(location).manifest if locations.is_folder(location) else None
    if manifest is None:
        remedy = f"refinery-beam run {written}, or name an instance's directory"
        raise refuse_comparison("has no finished instance", written, at, remedy)
    return manifest


def refuse_comparison(problem: str, value: Any, at: str, remedy: str) -> RecipeError:
    """The error of a comparison that cannot be made."""
    return RecipeError(f"the reference {value} {problem}", code="contract-reference", at=at, value=value, remedy=remedy)
