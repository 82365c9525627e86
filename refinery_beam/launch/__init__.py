"""From a recipe to an answer: the only room that knows all the others. Each verb of the command line is a function here.

``options``    what a caller may say, every option once
``settings``   the execution context: the options, checked, and what this package adds
``prepare``    everything before the cache look-up; imports neither Beam, NumPy nor PyArrow
``related``    other instances that a recipe names
``run``        look in the cache, and build what is not there
``plan``, ``validate``, ``status`` (and ``verify``), ``init`` (and ``schema``), ``opening``    the other verbs
``pictures``   what ``Visualizations`` asks for, and ``draw``
``build/``     everything behind a miss
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinery_beam.launch.prepare import Prepared
    from refinery_beam.launch.run import RunResult
    from refinery_beam.launch.settings import Settings

__all__ = ["Prepared", "RunResult", "Settings"]

_HOMES = {"Prepared": "prepare", "RunResult": "run", "Settings": "settings"}


def __getattr__(name: str) -> Any:
    # Loaded when first used: the options of the command line are in this package, and its help shows them without the rest.
    if name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(f"refinery_beam.launch.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'refinery_beam.launch' has no attribute {name!r}")
