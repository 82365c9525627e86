"""Augmentation where it is read: the lazy policy of an epoch, and what was drawn for stored variants, applied again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.cache import Manifest
from refinery_beam.errors import DataError, PluginError
from refinery_beam.identity import Stream, record_key
from refinery_beam.plugins.base import ArrayType
from refinery_beam.plugins.image_classification.pixels import BadImage
from refinery_beam.reading.chain import as_array, plugin_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

DOMAIN = "epoch"
"""Sets a reader's draws apart from those of a run."""


class Lazy(NamedTuple):
    """One lazy augmentation with everything it needs."""

    name: str
    seed: int
    op: Any
    params: Any


class Policy:
    """The lazy augmentations of one split, in order. Safe to use from several threads."""

    def __init__(self, steps: tuple[Lazy, ...]) -> None:
        self.steps = steps

    def apply(self, array: Array, record_id: str, epoch: int) -> Array:
        """The pixels of a record as they are in one epoch: a function of the seeds, the names, the record and the epoch alone."""
        key = record_key(record_id) if self.steps else b""
        pixels: Any = array
        for step in self.steps:
            stream = Stream(seed=step.seed, op=step.name, key=key, replica=epoch, domain=DOMAIN)
            pixels = as_array(pixels)
            try:
                sampled = step.op.draw(stream, step.params, ArrayType(str(pixels.dtype), pixels.shape))
                pixels = step.op.apply(pixels, sampled, step.params)
            except BadImage as error:
                raise DataError(
                    f"{record_id} cannot be augmented by {step.name!r}: {error.detail}",
                    code=error.reason,
                    place=record_id,
                    value=error.detail,
                    rule="a lazy augmentation takes every image of its split",
                    remedy="bring the images to one size in Transformations, or read without an epoch",
                ) from error
        done = as_array(pixels)
        # A mirrored array may be a read-only view of what an op was given; a row owns its image.
        return done if done.flags.writeable else done.copy()


def load_policy(manifest: Manifest, split: str) -> Policy:
    """The lazy augmentations that a manifest holds for a split. PluginError for an op that is missing or of another version."""
    entries = [
        entry for entry in manifest.raw.get("augmentations", ()) if entry["materialization"] == "lazy" and split in entry.get("splits", ())
    ]
    return Policy(tuple(Lazy(entry["name"], entry["seed"], *_resolved(manifest, entry)) for entry in entries))


def replay_augmentation(manifest: Manifest, pixels: Any, drawn: str) -> Array:
    """The stored image of a row from its un-augmented one (after the stored transformations) and the row's ``augmentation`` text.

    Nothing is drawn: what was drawn is in the text. PluginError for an op that is missing or of another version.
    """
    known = {entry["name"]: entry for entry in manifest.raw.get("augmentations", ())}
    for step in json.loads(drawn):
        op, params = _resolved(manifest, {**known[step["name"]], "version": step["version"]})
        pixels = op.apply(as_array(pixels), step["sampled"], params)
    return as_array(pixels)


def _resolved(manifest: Manifest, entry: Mapping[str, Any]) -> tuple[Any, Any]:
    op: Any = plugin_of(manifest).op(entry["op"])
    place = f"{manifest.place} ({entry['name']})"
    if op is None or not hasattr(op, "draw"):
        raise PluginError(
            f"the installed plugin has no augmentation {entry['op']!r}, which this instance needs",
            code="unknown-op",
            place=place,
            value=entry["op"],
            remedy="install the plugin release that built the instance, or read without an epoch",
        )
    if op.spec.version != entry["version"]:
        raise PluginError(
            f"{entry['op']} is version {op.spec.version} here, the instance was built for version {entry['version']}",
            code="op-version",
            place=place,
            value=op.spec.version,
            rule="another version of an op gives other bytes",
            remedy="install the release that built the instance, run the recipe again, or read without an epoch",
        )
    return op, op.spec.params.model_validate(dict(entry["params"]))
