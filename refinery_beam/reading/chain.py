"""A recorded chain of operations, ready to be applied again: the deferred tail for readers, the whole chain for `replay`.

A manifest entry names the op, its version, its parameters, the file of its fitted statistics and the types around it. The op itself
comes from the installed plugin. Another version of an op gives other bytes (that is what its version means), so it is refused
rather than applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam import places
from refinery_beam.cache import Manifest
from refinery_beam.errors import PluginError, StoreError
from refinery_beam.plugins.base import ArrayType, Plugin
from refinery_beam.plugins.modules import PathCode

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Step(NamedTuple):
    """One operation with everything it needs."""

    name: str
    op: Any
    params: Any
    fitted: Mapping[str, Any] | None
    out: ArrayType


class Chain:
    """Operations in order. Safe to use from several threads; ``warnings`` is empty unless it was loaded with ``strict`` off."""

    def __init__(self, steps: Iterable[Step], warnings: Iterable[str] = ()) -> None:
        self.steps = tuple(steps)
        self.warnings = tuple(warnings)

    def run(self, pixels: Any) -> Any:
        """What comes out of the last step: a Pillow image or an array; `pixels` itself when there is no step."""
        for step in self.steps:
            pixels = step.op.apply(pixels, step.params, step.fitted, step.out)
        return pixels


def load_chain(
    manifest: Manifest, entries: Iterable[Mapping[str, Any]], split: str, *, strict: bool = True, code: Sequence[PathCode] = ()
) -> Chain:
    """The steps of `entries` (the manifest's ``deferred`` or ``replay.steps``) that apply to a split.

    Raises PluginError ``unknown-op`` and, when ``strict``, ``op-version``; StoreError ``damaged`` when statistics are not those of the
    manifest.
    """
    wanted = [entry for entry in entries if split in entry.get("splits", [split])]
    if not wanted:
        return Chain(())
    plugin = plugin_of(manifest, code)
    warnings: list[str] = []
    steps = []
    for entry in wanted:
        op: Any = plugin.op(entry["op"])
        place = f"{manifest.place} ({entry['name']})"
        if op is None:
            raise PluginError(
                f"plugin {plugin.name!r} has no op {entry['op']!r}, which this instance needs",
                code="unknown-op",
                place=place,
                value=entry["op"],
                remedy="install the plugin that built the instance or name its file with plugin_paths=, or read with raw=True",
            )
        if op.spec.version != entry["version"]:
            message = f"{entry['op']} is version {op.spec.version} here, the instance was built for version {entry['version']}"
            if strict:
                raise PluginError(
                    message,
                    code="op-version",
                    place=place,
                    value=op.spec.version,
                    rule="another version of an op gives other bytes",
                    remedy="install the release that built the instance, run the recipe again, or read with raw=True",
                )
            warnings.append(message)
        path = entry.get("statistics")
        fitted = None if path is None else read_statistics(manifest, path)
        out = ArrayType(entry["out"]["dtype"], tuple(entry["out"]["shape"]))
        steps.append(Step(entry["name"], op, op.spec.params.model_validate(dict(entry["params"])), fitted, out))
    return Chain(steps, warnings)


def plugin_of(manifest: Manifest, code: Sequence[PathCode] = ()) -> Plugin:
    """The plugin that an instance names, installed or of a plugin path. PluginError when there is none."""
    from refinery_beam.plugins import discovery

    return discovery.find_plugin(str(manifest.raw.get("plugin", {}).get("name", "")), paths=code)


def read_statistics(manifest: Manifest, path: str) -> dict[str, Any]:
    """A fitted statistic, proved by the manifest: a changed byte here would change every pixel served."""
    entry = manifest.file(path)
    place = places.join(manifest.place, path)
    try:
        data = places.read(place)
    except OSError as error:
        raise unreadable(place, error) from error
    if entry is None or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise damaged(place, "it is not the file that the manifest lists")
    try:
        value = json.loads(data)
    except ValueError as error:
        raise damaged(place, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise damaged(place, "it is not a JSON object")
    return value


def unreadable(place: str, error: Exception) -> StoreError:
    """The StoreError for a file that could not be read: damaged, unless it is the store that could not be reached or asked."""
    if places.is_url(place) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return places.fault(error, "read", place)
    return damaged(place, (error.strerror if isinstance(error, OSError) else None) or str(error))


def damaged(place: str, problem: str) -> StoreError:
    """The StoreError for a file of an instance that cannot be trusted."""
    return StoreError(
        f"{place} cannot be read: {problem}",
        code="damaged",
        place=place,
        value=problem,
        rule="an instance is as its manifest says",
        remedy="run `refinery-beam verify` on the instance, then run the recipe again: damaged instances are rebuilt",
    )


def as_array(pixels: Any) -> Array:
    """An op's result as an array in C order, as the pipeline stores it."""
    import numpy as np

    if isinstance(pixels, np.ndarray):
        return np.ascontiguousarray(pixels)
    from refinery_beam.plugins.image_classification.pixels import as_array as of_image

    return np.ascontiguousarray(of_image(pixels))
