"""What a recipe file means, as one digest: ``recipe_digest`` in a manifest."""

from __future__ import annotations

from pathlib import Path

from refinery_beam.identity import value_digest
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.plugins.modules import PathCode
from refinery_beam.recipe.canonical import canonical
from refinery_beam.recipe.load import load_recipe


def digest_of_recipe(path: str | Path, *, code: tuple[PathCode, ...] = ()) -> str:
    """The digest of what a recipe file means, apart from where its sources lie. ``code`` are the plugin paths it needs."""
    recipe = load_recipe(path)
    return value_digest("recipe", canonical(recipe, find_plugin(recipe.model.plugin, paths=code)))
