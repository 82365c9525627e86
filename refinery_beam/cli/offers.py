"""What a shell is offered for the values of options and arguments. Paths are left to the shell, which knows how to quote them.

A function here takes the parsed part of the command line and the beginning of the word, and gives words. It never raises: a recipe that is
half written offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from refinery_beam.launch.options import LOG_LEVELS

RUNNERS = {
    "direct": "the local engine",
    "prism": "Beam's Go engine on this machine",
    "flink": "Apache Flink",
    "spark": "Apache Spark",
    "dataflow": "Google Cloud Dataflow",
}
MODES = {"auto": "by the number of records", "threads": "one process", "processes": "one process a worker"}
DIGESTS = {"auto": "the store's MD5 where every file has one", "sha256": "read every file"}

Offer = list[tuple[str, str]]


def words_of(known: Iterable[str] | dict[str, str]) -> Callable[[str], Offer]:
    """An offer of known words, with what they mean where that is known."""
    about = known if isinstance(known, dict) else dict.fromkeys(known, "")

    def offer(incomplete: str) -> Offer:
        return [(word, text) for word, text in about.items() if word.startswith(incomplete)]

    return offer


def overlays(ctx: Any, incomplete: str) -> Offer:
    """The overlays of the recipe that stands on the command line already."""
    recipe = _recipe(ctx)
    return [] if recipe is None else [(name, "") for name in recipe.model.overlays if name.startswith(incomplete)]


def pictures(ctx: Any, incomplete: str) -> Offer:
    """The Visualizations of the recipe, or of the recipe in the instance, that stands on the command line already."""
    recipe = _recipe(ctx)
    views = [] if recipe is None else [(view.name, view.op) for view in recipe.model.Visualizations]
    return [(name, op) for name, op in views if name.startswith(incomplete)]


def splits(ctx: Any, incomplete: str) -> Offer:
    """The splits of the recipe or instance that stands on the command line already."""
    recipe = _recipe(ctx)
    names = [] if recipe is None else [*(recipe.model.Splits.ratios or {}), *_partitions(recipe)]
    return [(name, "") for name in names if name.startswith(incomplete)]


def _partitions(recipe: Any) -> list[str]:
    return list(dict.fromkeys(s.partition for s in recipe.model.Input.sources if getattr(s, "partition", None)))


def _recipe(ctx: Any) -> Any:
    import os

    # Where the option that is completed has no value yet, the parser leaves the rest of the line as it is.
    named = [ctx.params[word] for word in ("recipe", "target", "instance", "one") if ctx.params.get(word)]
    path = next((os.fspath(word) for word in (*named, *ctx.args) if os.path.exists(word)), None)
    if path is None:
        return None
    try:
        from refinery_beam.recipe import load_recipe

        return load_recipe(os.path.join(path, "recipe.yaml") if os.path.isdir(path) else path)
    except Exception:
        # Whatever keeps a half-written recipe from being read: completion then offers nothing, and says nothing on somebody's prompt.
        return None


VALUES: dict[str, Callable[..., Offer]] = {
    "runner": words_of(RUNNERS),
    "mode": words_of(MODES),
    "digest": words_of(DIGESTS),
    "log_level": words_of(LOG_LEVELS),
    "overlays": overlays,
}
"""Offers for the options of the library, by name."""
