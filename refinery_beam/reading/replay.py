"""The recipe's chain on one file, as a model server needs it: what is served equals what was prepared, byte for byte.

No Beam is imported, and nothing but JSON is read from the instance: the manifest and the fitted statistics.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.errors import DataError, EnvironmentFault, UsageError, did_you_mean
from refinery_beam.locations import StrPath
from refinery_beam.plugins.base import BadRecord, Content, Encoding
from refinery_beam.reading.recorded import Recorded, declared_type, open_recorded, owned, unusable

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


@runtime_checkable
class SupportsRead(Protocol):
    """A file object."""

    def read(self, size: int, /) -> Any: ...


Replayed: TypeAlias = "bytes | bytearray | memoryview | StrPath | SupportsRead | Image.Image | np.ndarray[Any, Any]"
"""What `Replay` takes."""


class Replay:
    """Decode, the stored steps, then the deferred tail, on one file at a time. Safe to use from several threads.

    ::

        replay = Replay.from_instance("cache/instances/0123456789abcdef/fedcba9876543210/42")
        pixels = replay("photo.jpg")            # what split("train")[i]["image"] gives for that file
    """

    def __init__(
        self,
        recorded: Recorded,
        *,
        split: str | None = None,
        strict: bool = True,
        source: str | None = None,
    ) -> None:
        manifest = recorded.manifest
        if manifest.image_field is None:
            raise UsageError(
                f"{manifest.location} holds no {recorded.kind.noun}",
                code="no-images",
                at=manifest.location,
                rule="replay applies the recipe's chain to what rows hold",
                remedy=f"declare {recorded.kind.field!r} in Output.record_schema",
            )
        self._recorded, self.manifest = recorded, manifest
        self.split = _one_split(manifest, split)
        self._eager = recorded.eager(self.split, strict=strict)
        self._deferred = recorded.deferred(self.split, strict=strict)
        self._loader = recorded.loader(source)
        self._type = declared_type(manifest)
        self.warnings: tuple[str, ...] = (*self._eager.warnings, *self._deferred.warnings, *_codec_warnings(recorded))
        """How this machine differs from the one that built the instance; always empty when ``strict``."""
        if strict and self.warnings:
            raise EnvironmentFault(
                self.warnings[0],
                code="codec-fingerprint",
                at=manifest.location,
            )

    @classmethod
    def from_instance(
        cls,
        path: StrPath,
        *,
        split: str | None = None,
        strict: bool = True,
        source: str | None = None,
        plugin_paths: Sequence[str] | None = None,
    ) -> Replay:
        """The chain of an instance: its directory or URL, or its manifest.json.

        ``split`` matters only where splits have different chains, and must be given then (UsageError ``split-needed``). ``strict``
        refuses another op version (PluginError) or codecs that do something else than those that built the instance
        (EnvironmentFault ``codec-fingerprint``); without it they become `warnings`. ``source`` matters only where a third-party loader
        decodes some of the sources. ``plugin_paths`` as for `open_instance`.
        """
        return cls(open_recorded(path, plugin_paths=plugin_paths), split=split, strict=strict, source=source)

    def __call__(self, file: Replayed, *, raw: bool = False) -> Any:
        """The prepared content of one file: a path or URL, bytes, or a binary file object; ``raw`` leaves out the deferred tail.

        Of images also a Pillow image or an array (h, w) or (h, w, c): they count as a lossless file of the same pixels, so a recipe that
        lets the JPEG decoder shrink (``draft``) gives other pixels for them than for the JPEG file.

        Of images an array of the shape and dtype that readers give. DataError with the reason word as its code (``truncated``,
        ``not_an_image``, ``too_large_file``, ``unreadable``, ``schema:image``, ...) for a file that a run would have refused too.
        """
        recorded, kind = self._recorded, self._recorded.kind
        decoded, location = self._decoded(file)
        content = self._settled(recorded.run(decoded, self._eager, record=location), location)
        if not recorded.encoding.lossless:
            # What readers get went through the encoder, so this does as well.
            content = self._through(recorded.encoding, content, location)
        if raw or not self._deferred.steps:
            return owned(content)
        return kind.plain(recorded.run(content, self._deferred, record=location))

    def _decoded(self, file: Replayed) -> tuple[Content, str]:
        """The decoded content, and what messages call it."""
        recorded = self._recorded
        if isinstance(file, bytes | bytearray | memoryview):
            data, location = bytes(file), "<bytes>"
        elif isinstance(file, str | os.PathLike):
            data, location = self._read(os.fspath(file)), os.fspath(file)
        elif isinstance(file, SupportsRead):
            # One byte more than is allowed tells that there are too many.
            data, location = file.read(recorded.decoder.limits.max_bytes + 1), str(getattr(file, "name", "<file>"))
            if not isinstance(data, bytes | bytearray):
                raise UsageError(
                    f"{location} is open as text",
                    code="text-file",
                    at=location,
                )
            data = bytes(data)
        else:
            return recorded.accept(file, location=f"<{type(file).__name__}>"), f"<{type(file).__name__}>"
        return recorded.decode(data, self.split, location=location, loader=self._loader), location

    def _through(self, encoding: Encoding, content: Content, location: str) -> Any:
        try:
            cell = encoding.write(content, quality=self.manifest.raw["output"]["quality"])
            return self._settled(encoding.read(cell), location)
        except ValueError as error:
            raise unusable(error if isinstance(error, BadRecord) else BadRecord("damaged", str(error)), location) from error

    def _settled(self, content: Content, location: str) -> Any:
        kind = self._recorded.kind
        try:
            return kind.plain(content) if self._type is None else kind.settle(content, self._type)
        except BadRecord as error:
            raise unusable(error, location) from error

    def _read(self, location: str) -> bytes:
        try:
            if locations.is_url(location):
                self._recorded.decoder.check_size(locations.size(location) or 0)
            else:
                facts = os.stat(location)
                if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
                    # A device may go on for ever, and a pipe wait for ever.
                    raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
                self._recorded.decoder.check_size(facts.st_size)
            return locations.read(location)
        except BadRecord as error:
            raise unusable(error, location) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(f"{location} cannot be read: {reason}", code="unreadable", at=location, value=reason) from error


def _one_split(manifest: Manifest, split: str | None) -> str:
    if split is not None:
        if split not in manifest.splits:
            raise UsageError(
                f"there is no split {split!r}",
                code="unknown-split",
                at=manifest.location,
                value=split,
                rule="splits are those of the recipe",
                remedy=did_you_mean(split, manifest.splits),
            )
        return split
    entries = [*manifest.raw.get("replay", {}).get("steps", []), *manifest.raw.get("deferred", [])]
    chains = {name: [entry["name"] for entry in entries if name in entry.get("splits", [name])] for name in manifest.splits}
    first = manifest.splits[0]
    odd = [name for name in manifest.splits if chains[name] != chains[first]]
    if odd:
        raise UsageError(
            f"the splits {first!r} and {odd[0]!r} have different chains: {chains[first]} and {chains[odd[0]]}",
            code="split-needed",
            at=manifest.location,
            remedy=f"pass split=, one of: {', '.join(manifest.splits)}",
        )
    return first


def _codec_warnings(recorded: Recorded) -> list[str]:
    here, there = (
        recorded.kind.fingerprint(recorded.decoder.policy, recorded.decoder.limits),
        recorded.manifest.raw.get("codec_fingerprint"),
    )
    if here == there:
        return []
    return [f"the codecs of this machine do something else ({here[:12]}) than those that built the instance ({str(there)[:12]})"]
