"""Decoding by the policy a manifest records: for `replay`, and for readers of datasets that keep the untouched source files.

Raises DataError with the stable reason words of bad input (``truncated``, ``not_an_image``, ``too_many_pixels``, ...) as its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refinery_beam.cache import Manifest
from refinery_beam.errors import DataError

_LIMITS = ("max_pixels", "max_bytes", "formats")


class Decoder:
    """The decode policy of one split of one instance, ready for use; holds nothing but settings."""

    def __init__(self, manifest: Manifest, split: str) -> None:
        from refinery_beam.plugins.image_classification.decode import DecodeLimits, DecodePolicy

        replay = manifest.raw.get("replay", {})
        settings: Mapping[str, Any] = replay.get("decode", {})
        limits = {name: settings[name] for name in _LIMITS if name in settings}
        if "formats" in limits:
            limits["formats"] = tuple(limits["formats"])
        self.limits = DecodeLimits(**limits)
        self.policy = DecodePolicy(**{name: value for name, value in settings.items() if name not in _LIMITS})
        entries = [*replay.get("steps", []), *manifest.raw.get("deferred", [])]
        self.target = self._draft_target([entry for entry in entries if split in entry.get("splits", [split])])

    def __call__(self, data: bytes, *, place: str) -> Any:
        """The Pillow image; ``place`` names it in errors."""
        from refinery_beam.plugins.image_classification.decode import BadImage, decode

        self.check_size(len(data), place=place)
        try:
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
