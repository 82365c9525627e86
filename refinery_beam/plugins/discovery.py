"""Where plugins are found: built in, installed (entry points ``refinery_beam.plugins``), named with ``--plugin-path``; never by a recipe.

Driver, workers and readers all call `find_plugin`. Its result depends on its arguments and on the installed packages, never on earlier
calls: callers pass in the plugin paths that they need. A third-party `Plugin` is a kind of data of its own; an
`Extension` adds words to an existing one. Every installed plugin is imported, because only its code says what it extends. A plugin
that does not import stops the run with its name; skipping it could change the meaning of a recipe.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import PluginError, closest, did_you_mean
from refinery_beam.plugins.base import (
    PROTOCOLS,
    AssertionSpec,
    DatasetAssertion,
    Encoding,
    Extension,
    Kind,
    Loader,
    OpSpec,
    Origin,
    Plugin,
    RecordAssertion,
    misfit,
)
from refinery_beam.plugins.compression import PATTERN, RULE
from refinery_beam.plugins.modules import PLUGIN_PATH_VARIABLE, PathCode, import_error, load_path, package_digest, read_path

GROUP = "refinery_beam.plugins"
_BUILT_IN = ("image_classification",)
_PLANNED = frozenset({"tabular", "text"})


@dataclass(frozen=True)
class _Found:
    """A third-party plugin or extension, where it was found, and the digest of its source."""

    value: Plugin | Extension
    location: str
    digest: str


def plugin_names(paths: Sequence[PathCode] = ()) -> tuple[str, ...]:
    """The names that `find_plugin` accepts, sorted."""
    return tuple(sorted(_registry(tuple(paths))))


def read_plugin_paths(paths: Iterable[str] | None) -> tuple[PathCode, ...]:
    """The code of plugin paths, each once, in order; of those in the environment where `paths` is None. Raises PluginError, and UsageError
    for a variable that is not set.
    """
    if paths is None:
        paths = locations.split_list(os.environ.get(PLUGIN_PATH_VARIABLE, ""))
    return tuple(dict.fromkeys(read_path(locations.expand(path)) for path in paths))


def find_plugin(name: str, *, paths: Sequence[PathCode] = ()) -> Plugin:
    """The plugin of that name with everything that extends it.

    Raises PluginError: ``unknown-plugin``, ``not-executed-yet`` (a name of the language that this release has no ops for),
    ``plugin-import``, ``plugin-duplicate``, ``plugin-protocol``, ``plugin-path``.

    >>> find_plugin("image_classification").name
    'image_classification'
    """
    registry = _registry(tuple(paths))
    if name in registry:
        return registry[name]
    known = tuple(sorted(registry))
    if name in _PLANNED:
        raise PluginError(
            f"plugin {name!r} is not executed by this release",
            code="not-executed-yet",
            value=name,
            rule="plugin is one of: " + ", ".join(known),
            remedy="use image_classification",
        )
    raise PluginError(
        f"unknown plugin {name!r}",
        code="unknown-plugin",
        value=name,
        remedy=did_you_mean(name, known) + ("" if closest(name, known) else "; install it, or name its file with --plugin-path"),
        known=known,
    )


def plugin_of_plan(plan: Any) -> Plugin:
    """The plugin of a plan in this process, after a check that its code is that of the plan.

    Raises PluginError ``plugin-differs`` where this machine has another release of a third-party plugin installed.
    """
    plugin = find_plugin(plan.plugin, paths=plan.plugin_code)
    have = {o.name: o for o in (*plugin.origins.values(), *([plugin.origin] if plugin.origin else ()))}
    for name, want in plan.plugin_sources.items():
        if name not in have or have[name].digest != want["digest"]:
            raise PluginError(
                f"the plugin {name!r} of this machine is not the one the run began with",
                code="plugin-differs",
                value=have[name].digest[:16] if name in have else None,
            )
    return plugin


_lock = threading.RLock()
_registries: dict[tuple[PathCode, ...], Mapping[str, Plugin]] = {}


def _registry(paths: tuple[PathCode, ...]) -> Mapping[str, Plugin]:
    """Every plugin by name for these paths; made once for each set of paths, by one thread."""
    with _lock:
        if paths not in _registries:
            found = list(_installed())
            for code in paths:
                found += [_Found(_value(value, location), location, code.digest) for value, location in load_path(code)]
            made = assemble(found)
            _registries[paths] = {n: replace(plugin, code=paths) for n, plugin in made.items()} if paths else made
        return _registries[paths]


@cache
def _installed() -> tuple[_Found, ...]:
    """What the entry points of installed distributions give. Raises the PluginError of the first that does not load."""
    return tuple(_load(point) for point in _points())


def installed_points() -> list[tuple[Any, PluginError | None]]:
    """Every entry point of an installed plugin, with the error of one that does not load."""
    found: list[tuple[Any, PluginError | None]] = []
    for point in _points():
        try:
            _load(point)
            found.append((point, None))
        except PluginError as error:
            found.append((point, error))
    return found


def _points() -> list[Any]:
    from importlib.metadata import entry_points

    return sorted(set(entry_points(group=GROUP)), key=lambda p: (p.name, p.value))


def _load(point: Any) -> _Found:
    """The value of an entry point. Raises PluginError ``plugin-import`` and ``plugin-protocol``."""
    from importlib import import_module

    location = f"{point.value} (entry point {point.name!r}" + (f" of {point.dist.name})" if point.dist is not None else ")")
    try:
        value = point.load()
        module = import_module(point.module)
    except Exception as error:
        raise import_error(location, error) from error
    file = getattr(module, "__file__", None)
    return _Found(_value(value, file or location), file or location, package_digest(module))


def assemble(found: Sequence[_Found]) -> dict[str, Plugin]:
    """Plugins by name: the built-in ones, the third-party ones, and both with their extensions. Raises PluginError."""
    from refinery_beam.plugins.image_classification import PLUGIN

    plugins: dict[str, Plugin] = {PLUGIN.name: PLUGIN}
    locations = dict.fromkeys((*_BUILT_IN, *_PLANNED), "refinery-beam itself")
    for item in found:
        name = item.value.name
        if name in locations:
            raise _duplicate("plugin", name, locations[name], item.location)
        locations[name] = item.location
        if isinstance(item.value, Plugin):
            _check_words(item.value.ops.values(), item.value.encodings.values(), item.value.loaders.values(), item.location)
            _check_plugin(item.value, item.location)
            plugins[name] = replace(item.value, origin=Origin(name, item.value.version, item.digest))
    for item in found:
        if isinstance(item.value, Extension):
            if item.value.extends not in plugins:
                raise _protocol(
                    item.location, f"extends {item.value.extends!r}, which is no plugin", did_you_mean(item.value.extends, plugins)
                )
            plugins[item.value.extends] = _extended(plugins[item.value.extends], item)
    return plugins


def _check_plugin(plugin: Plugin, location: str) -> None:
    if not isinstance(plugin.kind, Kind) or isinstance(plugin.kind, type):
        raise _protocol(location, "has a kind that is not a Kind", "kind is a value, with every method of plugins.kind.Kind")
    listed = [("op", word, op.spec.name) for word, op in plugin.ops.items()]
    listed += [("encoding", word, encoding.name) for word, encoding in plugin.encodings.items()]
    listed += [("assertion", word, _assertion_kind(assertion, location)) for word, assertion in plugin.assertions.items()]
    for what, word, name in listed:
        if word != name:
            raise _protocol(location, f"lists the {what} {name!r} as {word!r}", f"list every {what} by its own name")


def _extended(plugin: Plugin, item: _Found) -> Plugin:
    extension = item.value
    assert isinstance(extension, Extension)
    _check_words(extension.ops, extension.encodings, extension.loaders, item.location)
    ops, known, loaders, origins = dict(plugin.ops), dict(plugin.known), dict(plugin.loaders), dict(plugin.origins)
    assertions, encodings = dict(plugin.assertions), dict(plugin.encodings)
    origin = Origin(extension.name, extension.version, item.digest)
    for op in extension.ops:
        if op.spec.name in ops or op.spec.name in known:
            owner = origins.get(f"op:{op.spec.name}")
            raise _duplicate("op", op.spec.name, owner.name if owner else plugin.name, item.location)
        ops[op.spec.name] = op
        origins[f"op:{op.spec.name}"] = origin
    for encoding in extension.encodings:
        if encoding.name in encodings:
            raise _duplicate("encoding", encoding.name, plugin.name, item.location)
        encodings[encoding.name] = encoding
        origins[f"encoding:{encoding.name}"] = origin
    for loader in extension.loaders:
        if loader.source_type in plugin.source_types or loader.source_type in loaders:
            raise _duplicate("source type", loader.source_type, plugin.name, item.location)
        loaders[loader.source_type] = loader
        origins[f"loader:{loader.source_type}"] = origin
    for assertion in extension.assertions:
        kind = _assertion_kind(assertion, item.location)
        if kind in assertions:
            raise _duplicate("assertion", kind, plugin.name, item.location)
        assertions[kind] = assertion
        origins[f"assertion:{kind}"] = origin
    return replace(
        plugin,
        ops=ops,
        assertions=assertions,
        encodings=encodings,
        loaders=loaders,
        origins=origins,
        sections=plugin.sections | {op.spec.section for op in extension.ops},
    )


def _assertion_kind(assertion: Any, location: str) -> str:
    spec = getattr(assertion, "spec", None)
    if not isinstance(spec, AssertionSpec) or not isinstance(assertion, RecordAssertion | DatasetAssertion):
        raise _protocol(location, f"has an assertion that is none: {type(assertion).__name__}", "see docs/plugins.md for its methods")
    if not isinstance(spec.version, int) or isinstance(spec.version, bool) or spec.version < 1:
        raise _protocol(location, f"has the assertion {spec.kind!r} with version {spec.version!r}", "a version is a whole number from 1 on")
    return spec.kind


def _value(value: Any, location: str) -> Plugin | Extension:
    if isinstance(value, Plugin | Extension):
        return value
    raise _protocol(location, f"offers {type(value).__name__}, not a Plugin or an Extension")


def _check_words(ops: Iterable[Any], encodings: Iterable[Any], loaders: Iterable[Any], location: str) -> None:
    names: set[str] = set()
    for op in ops:
        spec = getattr(op, "spec", None)
        if not isinstance(spec, OpSpec):
            raise _protocol(location, f"has an op without an OpSpec: {type(op).__name__}")
        if spec.name in names:
            raise _duplicate("op", spec.name, location, location)
        names.add(spec.name)
        if not isinstance(spec.version, int) or isinstance(spec.version, bool) or spec.version < 1:
            raise _protocol(location, f"has the op {spec.name!r} with version {spec.version!r}", "a version is a whole number from 1 on")
        if spec.section not in PROTOCOLS:
            raise _protocol(location, f"has the op {spec.name!r} in section {spec.section!r}", "sections: " + ", ".join(PROTOCOLS))
        if lacks := misfit(op):
            raise _protocol(location, f"has the op {spec.name!r}, which is not a {lacks}", "see docs/plugins.md for its methods")
    for encoding in encodings:
        if not isinstance(encoding, Encoding):
            raise _protocol(
                location, f"has an encoding that is not an Encoding: {type(encoding).__name__}", "see docs/plugins.md for its methods"
            )
        word = getattr(encoding, "compression", "lz4")
        if not isinstance(word, str) or not re.fullmatch(PATTERN, word):
            raise _protocol(location, f"has the encoding {encoding.name!r} with compression {word!r}", RULE)
    for loader in loaders:
        if not isinstance(loader, Loader):
            raise _protocol(location, f"has a loader that is not a Loader: {type(loader).__name__}")


def _duplicate(what: str, name: str, first: str, second: str) -> PluginError:
    return PluginError(
        f"the {what} {name!r} of {second} exists already: {first}", code="plugin-duplicate", at=second, value=name, what=what
    )


def _protocol(location: str, problem: str, remedy: str | None = None) -> PluginError:
    return PluginError(f"the plugin {location} {problem}", code="plugin-protocol", at=location, remedy=remedy)
