"""refinery-beam: one YAML recipe in, one prepared, cached, provable image dataset out.

    import refinery_beam as rb

    result = rb.run("recipe.yaml", cache_root="cache")
    for row in rb.open_instance(result.path).split("train"):
        row["image"], row["label"]

Importing the package imports nothing heavy: each public name loads its room when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from refinery_beam.launch.opening import open_instance
    from refinery_beam.launch.run import plan_recipe, run
    from refinery_beam.reading.replay import Replay
    from refinery_beam.recipe import load_recipe

_HOMES = {
    "load_recipe": "refinery_beam.recipe",
    "open_instance": "refinery_beam.launch.opening",
    "plan_recipe": "refinery_beam.launch",
    "Replay": "refinery_beam.reading.replay",
    "run": "refinery_beam.launch",
}

__all__ = ["Replay", "__version__", "load_recipe", "open_instance", "plan_recipe", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'refinery_beam' has no attribute {name!r}")
