"""Opening an instance by the recipe that made it: the key is computed as a run would, and nothing is built."""

from __future__ import annotations

import os

from refinery_beam import locations, reading
from refinery_beam.errors import StoreError, display
from refinery_beam.launch.options import Options, keywords
from refinery_beam.launch.own_recipe import instance_named
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.roots import note_use
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath


@keywords(Options)
def open_instance(path_or_recipe: StrPath, options: Options) -> reading.Instance:
    """Open a finished instance by its directory or URL (or its manifest.json), by a tag or the beginning of its key, or by the recipe that
    made it.

    For a recipe the key is computed as a run with the same options would (files are listed, contents only read where no hint says what
    they are) and looked up below ``cache_root``; nothing is built. The recipe in an instance stands for that instance.

    Checks that every listed file is there with its size. StoreError: ``instance-missing``, ``damaged``, ``manifest-contract``.

    ::

        data = open_instance("recipe.yaml", cache_root="cache")
        for row in data["train"]:
            row["image"], row["label"]
    """
    return opened(path_or_recipe, Settings.of(options))


def opened(path_or_recipe: StrPath, settings: Settings) -> reading.Instance:
    """`open_instance`, with the execution context of the call."""
    instance = reading.open_instance(location_of(path_or_recipe, settings), plugin_paths=settings.plugin_paths)
    note_use(settings, instance.path)
    return instance


def location_of(path_or_recipe: StrPath, settings: Settings) -> str:
    """The directory or URL of an instance, or its manifest.json, which is named by itself or by its recipe."""
    location = os.fspath(path_or_recipe)
    if os.path.basename(location) != "manifest.json":
        location = instance_named(location, settings) or (_of_recipe(location, settings) if os.path.isfile(location) else location)
    locations.use_options(settings.storage_options)
    return location


def _of_recipe(recipe: str, settings: Settings) -> str:
    """Where the finished instance of a recipe is."""
    prepared = prepare(recipe, settings)
    manifest = prepared.lookup().manifest
    if manifest is None:
        raise StoreError(
            f"there is no instance of it below {display(locations.absolute(settings.root))}",
            code="instance-missing",
            at=recipe,
            value=locations.absolute(settings.root),
            rule="reading never builds",
            remedy=f"refinery-beam --cache-root {settings.root} run {recipe}",
        )
    return manifest.location
