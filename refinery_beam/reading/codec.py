"""Decoding by the policy a manifest records: for `replay`, and for readers of datasets that keep the untouched source files.

Raises DataError with the stable reason words of bad input (``truncated``, ``not_an_image``, ``too_many_pixels``, ...) as its code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.cache import Manifest
from refinery_beam.errors import DataError, PluginError, UsageError, did_you_mean
from refinery_beam.plugins.base import Loader
from refinery_beam.plugins.modules import PathCode

_LIMITS = ("max_pixels", "max_bytes", "formats")


class Decoder:
    """The decode policy of one split of one instance, ready for use; holds nothing but settings."""

    def __init__(self, manifest: Manifest, split: str, *, source: str | None = None, code: Sequence[PathCode] = ()) -> None:
        from refinery_beam.plugins.image_classification.decode import DecodeLimits, DecodePolicy

        replay = manifest.raw.get("replay", {})
        settings: Mapping[str, Any] = replay.get("decode", {})
        limits = {name: settings[name] for name in _LIMITS if name in settings}
        if "formats" in limits:
            limits["formats"] = tuple(limits["formats"])
        self.limits = DecodeLimits(**limits)
        self.policy = DecodePolicy(**{name: value for name, value in settings.items() if name not in _LIMITS})
        entries = [*replay.get("steps", []), *manifest.raw.get("deferred", [])]
        self.loader = _loader(manifest, source, code)
        self.target = self._draft_target([entry for entry in entries if split in entry.get("splits", [split])])

    def __call__(self, data: bytes, *, place: str) -> Any:
        """The Pillow image; ``place`` names it in errors."""
        from refinery_beam.plugins.image_classification.decode import BadImage, decode

        self.check_size(len(data), place=place)
        try:
            if self.loader is not None:
                from refinery_beam.plugins.image_classification.loading import decode_loaded

                return decode_loaded(self.loader, data, mode=self.policy.mode, max_pixels=self.limits.max_pixels)
            return decode(data, policy=self.policy, limits=self.limits, target=self.target)
        except BadImage as error:
            raise DataError(
                f"{place} cannot be used: {error.reason}: {error.detail}",
                code=error.reason,
                place=place,
                value=error.detail,
                rule="an image is decoded by the recipe's Input.decode and Input.limits",
                remedy="mend or leave out the file",
            ) from error

    def check_size(self, size: int, *, place: str) -> None:
        """DataError ``too_large_file`` before anything is read."""
        if size > self.limits.max_bytes:
            raise DataError(
                f"{place} has {size} bytes, the limit is {self.limits.max_bytes}",
                code="too_large_file",
                place=place,
                value=size,
                rule="Input.limits.max_bytes of the recipe",
                remedy="leave out the file, or raise the limit and run the recipe again",
            )

    def _draft_target(self, entries: list[Mapping[str, Any]]) -> tuple[int, int] | None:
        # The pipeline lets the JPEG decoder shrink for its first op only, so the same here, or the pixels differ.
        if not self.policy.draft or not entries:
            return None
        height, width = entries[0]["out"]["shape"][:2]
        return None if height is None or width is None else (width, height)


def _loader(manifest: Manifest, source: str | None, code: Sequence[PathCode]) -> Loader | None:
    """The third-party loader of a source, or None where the built-in decoder reads it."""
    loaders: Mapping[str, str] = manifest.raw.get("replay", {}).get("loaders", {})
    if not loaders:
        return None
    if source is None and len(set(loaders.values())) > 1:
        raise UsageError(
            "the sources of this instance are decoded in different ways",
            code="source-needed",
            place=manifest.place,
            rule="an image is decoded as those of its source",
            remedy=f"pass source=, one of: {', '.join(sorted(loaders))}",
        )
    if source is not None and source not in loaders:
        raise UsageError(
            f"there is no source {source!r}",
            code="unknown-source",
            place=manifest.place,
            value=source,
            rule="sources are those of the recipe",
            remedy=did_you_mean(source, loaders),
        )
    kind = loaders[source] if source is not None else next(iter(loaders.values()))
    if not kind:
        return None
    from refinery_beam.reading.chain import plugin_of

    plugin = plugin_of(manifest, code)
    if kind not in plugin.loaders:
        raise PluginError(
            f"plugin {plugin.name!r} has no loader for {kind!r}, which this instance needs",
            code="unknown-loader",
            place=manifest.place,
            value=kind,
            remedy="install the plugin that built the instance, or name its file with plugin_paths=",
        )
    return plugin.loaders[kind]
