"""Opening an instance by the recipe that made it: the key is computed as a run would, and nothing is built."""

from __future__ import annotations

import os
from collections.abc import Sequence

from refinery_beam import locations, reading
from refinery_beam.errors import StoreError
from refinery_beam.launch.prepare import resolve


def open_instance(
    path_or_recipe: str | os.PathLike[str],
    *,
    cache_root: str | os.PathLike[str] | None = None,
    plugin_paths: Sequence[str] = (),
    digest: str = "auto",
) -> reading.Instance:
    """Open a finished instance by its directory or URL (or its manifest.json), or by the recipe that made it.

    For a recipe the key is computed as a run would (files are listed, contents only read where no hint says what they are) and looked up
    below ``cache_root``, by default REFINERY_BEAM_CACHE_ROOT, else ``cache``; nothing is built.

    ``plugin_paths`` name the files of third-party plugins that are not installed, as ``--plugin-path`` did for the run; ``digest`` is what
    ``--digest`` was.

    Checks that every listed file is there with its size. StoreError: ``instance-missing``, ``damaged``, ``manifest-contract``.

    ::

        instance = open_instance("recipe.yaml", cache_root="cache")
        for row in instance.split("train"):
            row["image"], row["label"]
    """
    location = os.fspath(path_or_recipe)
    if os.path.isfile(location) and os.path.basename(location) != "manifest.json":
        location = _of_recipe(location, cache_root, plugin_paths, digest)
    return reading.open_instance(location, plugin_paths=plugin_paths)


def _of_recipe(recipe: str, cache_root: str | os.PathLike[str] | None, plugin_paths: Sequence[str], digest: str) -> str:
    root = os.fspath(cache_root) if cache_root is not None else os.environ.get("REFINERY_BEAM_CACHE_ROOT", "cache")
    location = resolve(recipe, cache_root=root, plugin_paths=plugin_paths, digest=digest)
    if location is None:
        raise StoreError(
            f"{recipe} has no instance below {locations.absolute(root)}",
            code="instance-missing",
            at=recipe,
            value=locations.absolute(root),
            rule="reading never builds",
            remedy=f"refinery-beam --cache-root {root} run {recipe}",
        )
    return location
