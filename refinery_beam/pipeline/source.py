"""The first half of a record's work: the bytes of its file, proved, and what is decoded from them. Plain functions, no Beam."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from refinery_beam import places
from refinery_beam.pipeline.bad import BadRecord
from refinery_beam.plan.nodes import Chain, Plan
from refinery_beam.plugins.base import Plugin
from refinery_beam.plugins.image_classification.decode import BadImage, DecodeLimits, DecodePolicy, decode, read_header
from refinery_beam.plugins.image_classification.loading import decode_loaded
from refinery_beam.records import Ref

_OTHER_BYTES = {
    "sha256": "its bytes are not those that were listed when the run began",
    "md5": "its MD5 is not what the store's listing said when the run began",
}


class SourceFiles:
    """The files of a plan's sources, read and decoded by its policy and within its limits. Safe to use from several threads."""

    def __init__(self, plan: Plan, plugin: Plugin) -> None:
        self.plan = plan
        self.plugin = plugin
        self._policy = DecodePolicy(**plan.decode)
        self._limits = DecodeLimits(
            max_pixels=plan.limits["max_pixels"], max_bytes=plan.limits["max_bytes"], formats=tuple(plan.limits["formats"])
        )

    def location(self, ref: Ref) -> str:
        return places.join(self.plan.sources[ref.source].root, ref.path)

    def read(self, ref: Ref) -> bytes:
        """The file's bytes, proved to be those the index saw. Raises BadRecord too_large_file, unreadable or changed_during_run."""
        if ref.size > self._limits.max_bytes:
            raise BadRecord("too_large_file", f"{ref.size} bytes, the limit is {self._limits.max_bytes}", stage="Input")
        try:
            data = places.read(self.location(ref))
        except OSError as error:
            raise BadRecord("unreadable", error.strerror or type(error).__name__, stage="Input") from error
        if hashlib.new(ref.kind, data, usedforsecurity=False).digest() != ref.digest:
            raise BadRecord("changed_during_run", _OTHER_BYTES[ref.kind], stage="Input")
        return data

    def decode(self, data: bytes, chain: Chain, source: int | None = None) -> Any:
        """The pixels by the plan's decode policy, or by the loader of the source. Raises BadRecord with the decoder's reason word."""
        loader = self.plugin.loaders.get(self.plan.sources[source].loader) if source is not None else None
        try:
            if loader is not None:
                return decode_loaded(loader, data, mode=self.plan.decode["mode"], max_pixels=self._limits.max_pixels)
            return decode(data, policy=self._policy, limits=self._limits, target=self._draft_target(chain))
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error

    def header(self, data: bytes) -> tuple[int, int]:
        """The upright (width, height) a file states; nothing is decoded. Raises BadRecord with the decoder's reason word."""
        try:
            return read_header(data, policy=self._policy, limits=self._limits)
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error

    def signature(self, data: bytes, op: Any, *, name: str) -> int:
        """The signature a duplicates op gives a file's pixels, decoded whole whatever ``decode.draft`` says. Raises BadRecord."""
        try:
            pixels = decode(data, policy=replace(self._policy, draft=False), limits=self._limits)
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Input", op="decode") from error
        try:
            return int(op.signature(pixels))
        except BadImage as error:
            raise BadRecord(error.reason, error.detail, stage="Filters", op=name) from error

    def _draft_target(self, chain: Chain) -> tuple[int, int] | None:
        if not self._policy.draft or not chain.steps:
            return None
        shape = chain.steps[0].out.shape
        if shape[0] is None or shape[1] is None:
            return None
        return (shape[1], shape[0])
