"""The recipe's chain on one image, as a model server needs it: what is served equals what was prepared, byte for byte.

No Beam is imported, and nothing but JSON is read from the instance: the manifest and the fitted statistics.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from refinery_beam import places
from refinery_beam.cache import Manifest
from refinery_beam.cache.stored import declared_rank, decode_encoded, with_rank
from refinery_beam.errors import DataError, EnvironmentFault, UsageError, did_you_mean
from refinery_beam.plugins.modules import PathCode
from refinery_beam.reading.chain import as_array, load_chain
from refinery_beam.reading.codec import Decoder
from refinery_beam.reading.instance import open_instance

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Replay:
    """Decode, the stored steps, then the deferred tail, on one image at a time. Safe to use from several threads.

    ::

        replay = Replay.from_instance("cache/instances/0123456789abcdef/fedcba9876543210/42")
        pixels = replay("photo.jpg")            # what split("train")[i]["image"] gives for that file
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        split: str | None = None,
        strict: bool = True,
        source: str | None = None,
        code: tuple[PathCode, ...] = (),
    ) -> None:
        if manifest.image_field is None:
            raise UsageError(
                f"{manifest.place} holds no images",
                code="no-images",
                place=manifest.place,
                rule="replay applies the recipe's chain to an image",
                remedy="declare an image in Output.record_schema",
            )
        self.manifest = manifest
        self.split = _one_split(manifest, split)
        replay = manifest.raw.get("replay", {})
        self._eager = load_chain(manifest, replay.get("steps", ()), self.split, strict=strict, code=code)
        self._deferred = load_chain(manifest, manifest.raw.get("deferred", ()), self.split, strict=strict, code=code)
        self._decode = Decoder(manifest, self.split, source=source, code=code)
        self._declared = manifest.schema.get(manifest.image_field, {})
        self._rank = declared_rank(manifest.schema, manifest.image_field)
        self.warnings: tuple[str, ...] = (*self._eager.warnings, *self._deferred.warnings, *_codec_warnings(manifest))
        """How this machine differs from the one that built the instance; always empty when ``strict``."""
        if strict and self.warnings:
            raise EnvironmentFault(
                self.warnings[0],
                code="codec-fingerprint",
                place=manifest.place,
                rule="served pixels equal prepared pixels only where the codecs do the same",
                remedy="install the package versions of the manifest's `environment`, run the recipe again here, or pass strict=False",
            )

    @classmethod
    def from_instance(
        cls,
        path: str | os.PathLike[str],
        *,
        split: str | None = None,
        strict: bool = True,
        source: str | None = None,
        plugin_paths: Sequence[str] = (),
    ) -> Replay:
        """The chain of an instance (its directory, or its recipe).

        ``split`` matters only where splits have different chains, and must be given then (UsageError ``split-needed``). ``strict``
        refuses another op version (PluginError) or codecs that do something else than those that built the instance
        (EnvironmentFault ``codec-fingerprint``); without it they become `warnings`. ``source`` matters only where a third-party loader
        decodes some of the sources. ``plugin_paths`` as for `open_instance`.
        """
        instance = open_instance(path, plugin_paths=plugin_paths)
        return cls(instance.manifest, split=split, strict=strict, source=source, code=instance.code)

    def __call__(self, image: bytes | bytearray | memoryview | str | os.PathLike[str], *, raw: bool = False) -> Array:
        """The prepared pixels of an image, given as encoded bytes or as a path; ``raw`` leaves out the deferred tail.

        An array of the shape and dtype that readers give. DataError with the reason word as its code (``truncated``, ``not_an_image``,
        ``too_large_file``, ``unreadable``, ``schema:image``, ...) for an image that a run would have refused too.
        """
        data, place = self._read(image)
        array = with_rank(as_array(self._eager.run(self._decode(data, place=place))), self._rank)
        self._check(array, place)
        encoding = self.manifest.encoding
        if encoding in ("jpeg", "webp"):
            # What readers get went through the encoder, so this does as well.
            from refinery_beam.plugins.image_classification.encode import encode

            stored = encode(array, encoding, quality=self.manifest.raw["output"]["quality"])
            array = decode_encoded(stored, rank=self._rank, place=place)
        return array if raw or not self._deferred.steps else as_array(self._deferred.run(array))

    def _read(self, image: bytes | bytearray | memoryview | str | os.PathLike[str]) -> tuple[bytes, str]:
        if isinstance(image, bytes | bytearray | memoryview):
            return bytes(image), "<bytes>"
        place = os.fspath(image)
        try:
            if places.is_url(place):
                self._decode.check_size(places.size(place) or 0, place=place)
            else:
                self._decode.check_size(os.stat(place).st_size, place=place)
            return places.read(place), place
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(
                f"{place} cannot be read: {reason}", code="unreadable", place=place, value=reason, remedy="check path and permissions"
            ) from error

    def _check(self, array: Array, place: str) -> None:
        dtype, shape = self._declared.get("dtype"), self._declared.get("shape")
        fits = shape is None or (len(shape) == array.ndim and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True)))
        if not fits or (dtype is not None and str(array.dtype) != dtype):
            raise DataError(
                f"{place} becomes {array.dtype}{list(array.shape)}, the instance holds {dtype}{shape}",
                code="schema:image",
                place=place,
                value=f"{array.dtype}{list(array.shape)}",
                rule="every image has the declared type",
                remedy="mend or leave out the file",
            )


def _one_split(manifest: Manifest, split: str | None) -> str:
    if split is not None:
        if split not in manifest.splits:
            raise UsageError(
                f"there is no split {split!r}",
                code="unknown-split",
                place=manifest.place,
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
            place=manifest.place,
            rule="replay applies the chain of one split",
            remedy=f"pass split=, one of: {', '.join(manifest.splits)}",
        )
    return first


def _codec_warnings(manifest: Manifest) -> list[str]:
    from refinery_beam.plugins.image_classification.fingerprint import codec_fingerprint

    here, there = codec_fingerprint(), manifest.raw.get("codec_fingerprint")
    if here == there:
        return []
    return [f"the codecs of this machine do something else ({here[:12]}) than those that built the instance ({str(there)[:12]})"]
