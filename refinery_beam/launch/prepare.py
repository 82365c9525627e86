"""Everything before the cache look-up: load, check, list, digest, key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Found, InstanceKey, Manifest, home, instance_dir, refuse_inside_sources
from refinery_beam.errors import PluginError, RecipeError, RefineryError, raise_all
from refinery_beam.identity import LAW_VERSION, value_digest
from refinery_beam.index import Index, build_index
from refinery_beam.index.digests.digest_files import HashersFor
from refinery_beam.launch.own_recipe import OwnRecipe, find_own
from refinery_beam.launch.related import NOBODY, Asking, Comparison, find_borrowed, find_comparisons
from refinery_beam.launch.remote_digests import digest_remote
from refinery_beam.launch.roots import find_in_roots
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.planning.build import build_plan
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import Plugin
from refinery_beam.plugins.discovery import find_plugin, read_plugin_paths
from refinery_beam.recipe import (
    CheckResult,
    Recipe,
    canonical,
    complete,
    decode_limits,
    decode_policy,
    load_recipe,
    refuse_unexecuted,
    run_checks,
)
from refinery_beam.runners.options import check_locations, read_options

STORAGE_VERSION = 3
"""How rows become files (names, row groups, compression, digests). Part of every recipe hash; see docs/determinism.md."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A recipe with its key: enough for a hit, and the start of a build."""

    recipe: Recipe
    plugin: Plugin
    plan: Plan
    index: Index
    key: InstanceKey
    recipe_digest: str
    fingerprint: str
    measures: str | None
    """The fingerprint of what facts are measured of; None where nothing is measured."""
    checks: tuple[CheckResult, ...]
    settings: Settings
    comparisons: Mapping[int, Comparison] = field(default_factory=dict)
    own: Manifest | None = None
    """The instance in whose folder the recipe lies, if it is that of this key."""

    @property
    def location(self) -> str:
        """The absolute directory or URL where a run puts the instance, there or not."""
        return instance_dir(self.settings.root, self.key) if self.own is None else self.own.location

    def codec_parts(self) -> dict[str, str]:
        """What the codecs' fingerprint is the digest of, by part; empty for a kind that does not say."""
        parts = getattr(self.plugin.kind, "codec_parts", None)
        return {} if parts is None else dict(parts(decode_policy(self.recipe, self.plugin), decode_limits(self.recipe, self.plugin)))

    def lookup(self) -> Found:
        """What the cache roots hold under this key; the manifest says where it lies."""
        return find_in_roots(self.settings, self.key) if self.own is None else Found(self.own, None)


@dataclass(frozen=True, kw_only=True)
class GivenText:
    """The text of a recipe, for one that is not read from its file: relative paths count from where the file was. ``variables`` are those
    of `Recipe`.
    """

    text: str
    variables: Mapping[str, str] = field(default_factory=dict)


def check_recipe(
    source: StrPath, settings: Settings, own: OwnRecipe | None = None, given: GivenText | None = None
) -> tuple[Recipe, Plugin, tuple[CheckResult, ...], list[RefineryError]]:
    """Load a recipe and run every check that needs no listing: the static checks, what is not executed yet, and the plan's own. `own` is
    the instance that the recipe lies in, `given` a text that is not that of the file.
    """
    variables = given.variables if given is not None else own.variables if own is not None else None
    text = given.text if given is not None else None
    recipe = load_recipe(source, overlays=settings.overlays, seed=settings.seed, text=text, variables=variables)
    return check_loaded(recipe, settings)


def check_loaded(recipe: Recipe, settings: Settings) -> tuple[Recipe, Plugin, tuple[CheckResult, ...], list[RefineryError]]:
    """`check_recipe` of a recipe that is loaded."""
    plugin = _plugin_of(recipe, settings.plugin_paths)
    checks = run_checks(recipe, plugin, cache_root=settings.root)
    errors = [e for c in checks if c.status == "fail" for e in c.errors]
    later = refuse_unexecuted(recipe, plugin)
    planned = not errors and not later and not _splits_from_layout(recipe)
    if planned:
        try:
            build_plan(recipe, plugin, roots=[""] * len(recipe.model.Input.sources))
        except RefineryError as error:
            later, planned = list(error.errors()), False
    return recipe, plugin, complete(checks, later, planned=planned), [*errors, *later]


def _plugin_of(recipe: Recipe, plugin_paths: Sequence[str]) -> Plugin:
    """The recipe's plugin. Adds the recipe's position to errors about a plugin that this release does not have."""
    try:
        return find_plugin(recipe.model.plugin, paths=read_plugin_paths(plugin_paths))
    except PluginError as error:
        if error.at:
            raise  # the plugin's own file is at fault
        error.at = recipe.at(("plugin",))
        if error.code != "not-executed-yet":
            raise
        raise RecipeError(error.message, code=error.code, at=error.at, value=error.value, rule=error.rule, remedy=error.remedy) from error


def prepare(
    source: StrPath,
    settings: Settings,
    *,
    asking: Asking = NOBODY,
    given: GivenText | None = None,
    own: OwnRecipe | None = None,
    hashers: HashersFor | None = None,
) -> Prepared:
    """Load, check, list, digest and key a recipe. Raises the first kind of error found, all of that kind at once.

    Reads file contents only where no hint has their digest. `asking` are the recipes that name this one, and wait for it;
    `given` is the recipe's text where it is not that of its file, `own` the instance that it lies in, where the caller knows it.
    `hashers` are those of `index.build_index`.
    """
    if not asking.recipes:
        settings.check()
    locations.use_options(settings.storage_options)
    own = own or (find_own(source, settings) if given is None else None)
    recipe, plugin, checks, errors = check_recipe(source, settings, own, given)
    raise_all(errors)
    roots = [recipe.resolve(str(s.path)) for s in recipe.model.Input.sources]
    if not asking.recipes:
        engine = read_options(settings.runner, settings.beam_options)
        check_locations(engine, cache_root=settings.root, sources=roots, shared_files=settings.shared_files)
    refuse_inside_sources(settings.root, roots)
    hints = hints_path(settings.root)
    index = build_index(
        recipe,
        plugin,
        hints_path=hints,
        threads=settings.workers or os.cpu_count() or 1,
        digest=settings.digest,
        remote=partial(digest_remote, settings=settings, scratch=os.path.dirname(hints)),
        hashers=hashers,
    )
    partitions = [s.partition for s in recipe.model.Input.sources if s.partition]
    found = sorted(set(index.facts.partitions) - set(partitions))
    borrowed = find_borrowed(recipe, settings, prepare, asking)
    plan = build_plan(recipe, plugin, partitions=found, roots=roots, borrowed=borrowed)
    fingerprint = plugin.kind.fingerprint(decode_policy(recipe, plugin), decode_limits(recipe, plugin))
    identity = canonical(recipe, plugin)
    recipe_digest = value_digest("recipe", identity)
    comparisons = find_comparisons(recipe, plan, settings, prepare, asking)
    kind = plugin.kind
    measures = kind.measures.fingerprint() if plan.output.facts and plan.decodes and kind.measures is not None else None
    side = recipe_side(identity, plan, fingerprint, measures)
    if comparisons:
        side["references"] = {str(i): comparison.identity() for i, comparison in comparisons.items()}
    recipe_hash = value_digest("recipe-side", side)
    key = InstanceKey(recipe_hash=recipe_hash, input_hash=index.input_hash, seed=recipe.seed)
    return Prepared(
        recipe=recipe,
        plugin=plugin,
        plan=plan,
        index=index,
        key=key,
        recipe_digest=recipe_digest,
        fingerprint=fingerprint,
        measures=measures,
        checks=checks,
        settings=settings,
        comparisons=comparisons,
        own=own.manifest if own is not None and own.manifest.is_of(key.recipe_hash, key.input_hash, key.seed) else None,
    )


@contextmanager
def at_the_rule(recipe: Recipe) -> Iterator[None]:
    """Inside, errors about a split say where the recipe speaks of it: at its ratio, or where Splits stands."""
    try:
        yield
    except RefineryError as error:
        for one in error.errors():
            if one.code == "empty-split" and not one.at:
                ratios = recipe.model.Splits.ratios or {}
                one.at = recipe.at(("Splits", "ratios", str(one.value)) if one.value in ratios else ("Splits",))
        raise


def recipe_side(identity: dict[str, Any], plan: Plan, fingerprint: str, measures: str | None) -> dict[str, Any]:
    """The facts for the recipe's part of the key: the recipe itself, the versions of its ops and other words, and the fingerprints of
    codecs and of measures.

    A recipe that never decodes keeps its key when a codec changes. Label derivation and the plugin have versions as the ops do. Third-party
    code is covered by the digest of its source files, where the recipe uses it: an installed plugin it does not use changes no key.
    """
    return {
        "law": LAW_VERSION,
        "storage": STORAGE_VERSION,
        "plugin": plan.plugin,
        "plugin_version": plan.plugin_version,
        "recipe": identity,
        "ops": dict(plan.op_versions),
        "codecs": fingerprint if plan.decodes or plan.selects_by_files else None,
        "measures": measures,
        "plugins": {name: dict(origin) for name, origin in plan.plugin_sources.items()},
        "loaders": dict(plan.loader_versions),
        "imports": plan.borrowed(),
    }


def hints_path(cache_root: str) -> str:
    """The hint cache of a cache root: in it, or for one on a store in its folder on this machine."""
    return os.path.join(home(cache_root), "hints.sqlite")


def _splits_from_layout(recipe: Recipe) -> bool:
    """Whether a ``{split}`` layout makes the splits, which are then known only after listing."""
    return any(s.layout and "{split}" in s.layout for s in recipe.model.Input.sources)
