"""Applies the steps that a manifest records to content again.

Readers apply some of them (the deferred tail, lazy augmentations, decoding of untouched source files), `Replay` all of them. A manifest
entry names the op, its version, its parameters, the file of its fitted statistics and the types around it; the op comes from the installed
plugin, and the code of runs applies it (`record.source`, `record.steps`). Another version of an op gives other bytes (versions exist for
that), so it is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest, lookup_at
from refinery_beam.errors import DataError, PluginError, StoreError, UsageError, did_you_mean
from refinery_beam.locations import StrPath
from refinery_beam.plugins.base import (
    ArrayType,
    AugmentOp,
    BadRecord,
    BoundOp,
    Content,
    Encoding,
    Kind,
    Loader,
    OpT,
    Plugin,
    TransformOp,
    Use,
)
from refinery_beam.plugins.discovery import find_plugin, read_plugin_paths
from refinery_beam.plugins.modules import PathCode
from refinery_beam.reading.faults import damaged, unreadable
from refinery_beam.record.source import Decoder
from refinery_beam.record.steps import BoundStep, LazyStep, augment_lazily, run


class Chain(NamedTuple):
    """Steps of one split; ``warnings`` is empty with ``strict``."""

    steps: tuple[BoundStep, ...] = ()
    warnings: tuple[str, ...] = ()


class Recorded:
    """An instance's manifest together with the plugin that made its rows. Cheap to make and to pickle: the plugin is found when it is
    needed, with the plugin paths of ``code``. Safe to use from several threads.
    """

    def __init__(self, manifest: Manifest, *, code: tuple[PathCode, ...] = ()) -> None:
        self.manifest = manifest
        self.code = code

    def __getstate__(self) -> dict[str, Any]:
        return {"manifest": self.manifest, "code": self.code}

    @cached_property
    def plugin(self) -> Plugin:
        """The plugin that the instance names, installed or of a plugin path. PluginError when there is none."""
        return find_plugin(str(self.manifest.raw.get("plugin", {}).get("name", "")), paths=self.code)

    @property
    def kind(self) -> Kind:
        """The kind of data."""
        return self.plugin.kind

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of its content. PluginError for an encoding that is not installed."""
        return self.plugin.encoding(self.manifest.encoding or "")

    # -- decoding ---------------------------------------------------------------------------------------------------------------

    @cached_property
    def decoder(self) -> Decoder:
        """The decode policy and the limits of the recipe."""
        settings: Mapping[str, Any] = self._replay.get("decode", {})
        limits = {name: value for name, value in settings.items() if name in self.kind.limits.model_fields}
        policy = {name: value for name, value in settings.items() if name not in limits}
        return Decoder(self.kind, {**self.kind.unrecorded, **policy}, limits)

    def decode(self, data: bytes, split: str, *, location: str, loader: Loader | None = None) -> Content:
        """The content of a file, decoded as runs do it for a split. DataError with the reason word as its code; ``location`` names the
        file.
        """
        entries = [entry for entry in self._entries(deferred=None) if split in entry.get("splits", [split])]
        hint = _type(entries[0]["out"]) if entries else None
        try:
            self.decoder.check_size(len(data))
            with self.plugin.named(location):
                return self.decoder.decode(data, loader=loader, hint=hint)
        except BadRecord as error:
            raise unusable(error, location) from error

    def accept(self, value: Any, *, location: str) -> Content:
        """The content of an image, an array, or whatever else the kind takes in place of a file. DataError as `decode` raises it."""
        try:
            with self.plugin.named(location):
                return self.decoder.accept(value)
        except BadRecord as error:
            raise unusable(error, location) from error

    def loader(self, source: str | None) -> Loader | None:
        """The third-party loader of a source, or None where the kind's own decoder reads it. UsageError, PluginError."""
        loaders: Mapping[str, str] = self._replay.get("loaders", {})
        if not loaders:
            return None
        if source is None and len(set(loaders.values())) > 1:
            raise UsageError(
                "the sources of this instance are decoded in different ways",
                code="source-needed",
                at=self.manifest.location,
                sources=sorted(loaders),
            )
        if source is not None and source not in loaders:
            raise UsageError(
                f"there is no source {source!r}",
                code="unknown-source",
                at=self.manifest.location,
                value=source,
                remedy=did_you_mean(source, loaders),
            )
        word = loaders[source] if source is not None else next(iter(loaders.values()))
        if word and word not in self.plugin.loaders:
            raise PluginError(
                f"plugin {self.plugin.name!r} has no loader for {word!r}, which this instance needs",
                code="unknown-loader",
                at=self.manifest.location,
                value=word,
                remedy="install the plugin that built the instance, or name its file with plugin_paths=",
            )
        return self.plugin.loaders[word] if word else None

    # -- steps ------------------------------------------------------------------------------------------------------------------

    def eager(self, split: str, *, strict: bool = True) -> Chain:
        """The steps that were applied before rows were stored; raises as `deferred` does."""
        return self._chain(self._entries(deferred=False), split, strict=strict)

    def deferred(self, split: str, *, strict: bool = True) -> Chain:
        """The steps that readers apply.

        Raises PluginError ``unknown-op`` and, when ``strict``, ``op-version``; StoreError ``damaged`` when the file of statistics
        differs from the manifest.
        """
        return self._chain(self._entries(deferred=True), split, strict=strict)

    def run(self, content: Content, chain: Chain, *, record: str) -> Content:
        """The content after the steps of a chain; ``record`` names it in errors. DataError for content that an op cannot take."""
        try:
            with self.plugin.named(record):
                return run(content, chain.steps, {})
        except BadRecord as error:
            raise unusable(error, record) from error

    def lazy(self, split: str) -> tuple[LazyStep, ...]:
        """The lazy augmentations of a split. PluginError for an op that is missing or of another version."""
        return tuple(
            LazyStep(self._bound(entry, AugmentOp, "read without an epoch")[0], entry["seed"])
            for entry in self.manifest.raw.get("augmentations", ())
            if entry["materialization"] == "lazy" and split in entry.get("splits", ())
        )

    def augment(self, content: Content, steps: tuple[LazyStep, ...], *, record_id: str, epoch: int) -> Content:
        """Content as it is in one epoch. DataError where an augmentation cannot take it."""
        try:
            with self.plugin.named(record_id):
                return augment_lazily(self.kind, steps, content, record_id=record_id, epoch=epoch)
        except BadRecord as error:
            raise DataError(
                f"{record_id} cannot be augmented by {error.op!r}: {error.detail}",
                code=error.reason,
                at=record_id,
                value=error.detail,
                rule=f"a lazy augmentation takes all {self.kind.noun} of its split",
                remedy=f"bring the {self.kind.noun} to one size in Transformations, or read without an epoch",
            ) from error

    def augment_again(self, content: Content, drawn: str) -> Content:
        """The stored content of a row from its un-augmented one (after the stored transformations) and the row's ``augmentation`` text.

        Draws nothing: the sampled parameters are in the text. PluginError for an op that is missing or of another version.
        """
        known = {entry["name"]: entry for entry in self.manifest.raw.get("augmentations", ())}
        for step in json.loads(drawn):
            entry = {**known[step["name"]], "version": step["version"]}
            bound, _ = self._bound(entry, AugmentOp, "read the stored row")
            content = bound.call(bound.op.apply, self.kind.plain(content), step["sampled"], bound.params)
        return self.kind.plain(content)

    def statistics(self, path: str) -> dict[str, Any]:
        """A fitted statistic, checked by the manifest: one changed byte would change all content."""
        return read_statistics(self.manifest, path)

    @property
    def _replay(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest.raw.get("replay", {})
        return found

    def _entries(self, *, deferred: bool | None) -> list[Mapping[str, Any]]:
        """The manifest's steps: of the stored part, of the deferred tail, or both."""
        eager = [] if deferred else self._replay.get("steps", [])
        return [*eager, *(self.manifest.raw.get("deferred", []) if deferred is not False else [])]

    def _chain(self, entries: Iterable[Mapping[str, Any]], split: str, *, strict: bool) -> Chain:
        steps, warnings = [], []
        for entry in entries:
            if split not in entry.get("splits", [split]):
                continue
            bound, other = self._bound(entry, TransformOp, "read with raw=True", strict=strict)
            warnings += other
            path = entry.get("statistics")
            steps.append(BoundStep(bound, _type(entry["out"]), None if path is None else self.statistics(path)))
        return Chain(tuple(steps), tuple(warnings))

    def _bound(
        self, entry: Mapping[str, Any], protocol: type[OpT], otherwise: str, *, strict: bool = True
    ) -> tuple[BoundOp[OpT], list[str]]:
        """The op of a manifest entry, and without ``strict`` a warning where it is of another version."""
        location = f"{self.manifest.location} ({entry['name']})"
        try:
            bound = self.plugin.bind(Use(entry["name"], entry["op"], entry["params"]), protocol)
        except PluginError as error:
            error.at, error.remedy = location, f"{error.remedy}, or {otherwise}"
            raise
        if bound.op.spec.version == entry["version"]:
            return bound, []
        message = f"{entry['op']} is version {bound.op.spec.version} here, the instance was built for version {entry['version']}"
        if not strict:
            return bound, [message]
        raise PluginError(message, code="op-version", at=location, value=bound.op.spec.version, alternative=otherwise)


def open_recorded(path: StrPath, *, plugin_paths: Sequence[str] | None = None) -> Recorded:
    """A finished instance by its directory or URL, or by its manifest.json. Checks that every listed file is there with its size.

    StoreError: ``instance-missing``, ``damaged``, ``manifest-contract``.
    """
    location = locations.absolute(os.fspath(path))
    if locations.basename(location) == "manifest.json":
        location = locations.parent(location)
    found = lookup_at(location)
    if found.manifest is not None:
        return Recorded(found.manifest, code=read_plugin_paths(plugin_paths))
    if found.damage is not None:
        raise StoreError(
            f"the instance cannot be trusted: {found.damage}",
            code="damaged",
            at=location,
            value=found.damage,
        )
    raise StoreError(
        f"there is no instance at {location}",
        code="instance-missing",
        at=location,
    )


def read_listed(manifest: Manifest, path: str) -> bytes:
    """A file of an instance, proved by its manifest. StoreError ``damaged``."""
    entry = manifest.file(path)
    location = locations.join(manifest.location, path)
    try:
        data = locations.read(location)
    except OSError as error:
        raise unreadable(location, error) from error
    if entry is None or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise damaged(location, "it is not the file that the manifest lists")
    return data


def read_statistics(manifest: Manifest, path: str) -> dict[str, Any]:
    """A fitted statistic of an instance, proved by its manifest. StoreError ``damaged``."""
    location = locations.join(manifest.location, path)
    try:
        value = json.loads(read_listed(manifest, path))
    except ValueError as error:
        raise damaged(location, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise damaged(location, "it is not a JSON object")
    return value


def unusable(error: BadRecord, location: str) -> DataError:
    """The DataError for a bad record."""
    return DataError(
        f"{location} cannot be used: {error.reason}: {error.detail}",
        code=error.reason,
        at=location,
        value=error.detail,
        rule="a record is decoded by the recipe's Input.decode and Input.limits, and is what its operations take",
        remedy="mend or leave out the file",
    )


def declared_type(manifest: Manifest) -> ArrayType | None:
    """The type of stored content; None if no content is stored, or if the schema does not state it."""
    if manifest.image_field is None:
        return None
    declared = manifest.schema.get(manifest.image_field, {})
    return _type(declared) if declared.get("shape") is not None else None


def _type(declared: Mapping[str, Any]) -> ArrayType:
    return ArrayType(str(declared["dtype"]), tuple(declared["shape"]))


def owned(content: Content) -> Any:
    """A copy of content that the caller may change: arrays of a decoder, and views of an op's argument, are read-only."""
    flags = getattr(content, "flags", None)
    return content.copy() if flags is not None and not flags.writeable else content
