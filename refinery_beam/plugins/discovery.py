"""Where plugins are found. One is built in; others will come from installed entry points and an explicit path, never from a recipe."""

from __future__ import annotations

from refinery_beam.errors import PluginError, did_you_mean
from refinery_beam.plugins.base import Plugin

_BUILT_IN = ("image_classification",)
_PLANNED = frozenset({"tabular", "text"})


def plugin_names() -> tuple[str, ...]:
    """The names `find_plugin` knows, sorted.

    >>> plugin_names()
    ('image_classification',)
    """
    return tuple(sorted(_BUILT_IN))


def find_plugin(name: str) -> Plugin:
    """The plugin of that name.

    Raises PluginError (code ``unknown-plugin``, or ``not-executed-yet`` for a name of the language that this release has no ops for).

    >>> find_plugin("image_classification").name
    'image_classification'
    """
    if name in _BUILT_IN:
        from refinery_beam.plugins.image_classification import PLUGIN

        return PLUGIN
    if name in _PLANNED:
        raise PluginError(
            f"plugin {name!r} is not executed by this release",
            code="not-executed-yet",
            value=name,
            rule="plugin is one of: " + ", ".join(plugin_names()),
            remedy="use image_classification",
        )
    raise PluginError(
        f"unknown plugin {name!r}",
        code="unknown-plugin",
        value=name,
        rule="plugin is one of: " + ", ".join(plugin_names()),
        remedy=did_you_mean(name, plugin_names()),
    )
