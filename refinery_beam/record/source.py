"""The first half of a record's life: read and check the bytes of its file, and decode them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from refinery_beam import locations
from refinery_beam.errors import DataError, StoreError, display
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import (
    ArrayType,
    BadRecord,
    BoundOp,
    Content,
    DuplicatesOp,
    Kind,
    Loader,
    Plugin,
    PluginFailed,
    call_plugin,
    whole,
)
from refinery_beam.record.observed import Observed
from refinery_beam.records import Ref

_OTHER_BYTES = {
    "sha256": "its bytes are not those that were listed when the run began",
    "md5": "its MD5 is not what the store's listing said when the run began",
}


class Decoder:
    """How the files of a dataset become content: its kind, the decode policy and the limits. Safe to share between threads.

    Runs and the readers of finished instances both use it, so they decode with the same code.
    """

    def __init__(self, kind: Kind, policy: Mapping[str, Any], limits: Mapping[str, Any]) -> None:
        self.kind = kind
        self.policy: Any = kind.policy.model_validate(dict(policy))
        self.limits: Any = kind.limits.model_validate(dict(limits))
        self._word = f"kind:{kind.field}"

    def check_size(self, size: int) -> None:
        """Raise BadRecord ``too_large_file`` before anything is read."""
        if size > self.limits.max_bytes:
            raise BadRecord("too_large_file", f"{size} bytes, the limit is {self.limits.max_bytes}", stage="Input")

    def decode(
        self, data: bytes, *, loader: Loader | None = None, hint: ArrayType | None = None, observed: Observed | None = None
    ) -> Content:
        """The content of a file, by the policy or a loader. ``hint`` is the type after the first step. ``observed`` gets what the header
        states, where the kind knows and the file is no loader's, and the sketch of the content. Raises BadRecord, PluginFailed.
        """
        wanted = {} if observed is None or not self.kind.fact_types else {"facts": observed.facts}
        try:
            if loader is None:
                content = call_plugin("decode", self._word, self.kind.decode, data, self.policy, self.limits, hint=hint, **wanted)
            else:
                content = self.kind.held(self._loaded(data, loader), self.policy, self.limits, origin=loader.source_type)
        except BadRecord as error:
            raise _at_input(error) from error
        if observed is not None and self.kind.measures is not None:
            observed.sketch = call_plugin("measure", self._word, self.kind.measures.sketch, content, self.policy)
        return content

    def accept(self, value: Any) -> Content:
        """The content of what a program holds already, as `decode` gives it for a lossless file of it. Raises BadRecord, PluginFailed."""
        try:
            return call_plugin("decode", self._word, self.kind.accept, value, self.policy, self.limits)
        except BadRecord as error:
            raise _at_input(error) from error

    def header(self, data: bytes) -> Mapping[str, Any]:
        """The facts in a file's header; decodes nothing. Raises BadRecord, PluginFailed."""
        try:
            return call_plugin("decode", self._word, self.kind.header, data, self.policy, self.limits)
        except BadRecord as error:
            raise _at_input(error) from error

    def check_source(self, data: bytes, type: ArrayType, *, decoded: bool) -> None:
        """Check that untouched source bytes are a whole file within the limits and of the declared type, or raise BadRecord.

        Checks header and structure only. A file that seems cut is decoded to be sure, unless it is `decoded` anyway.
        """
        try:
            call_plugin("decode", self._word, self.kind.fits_header, data, self.policy, self.limits, type)
        except BadRecord as error:
            raise _at_input(error) from error
        if not decoded and not self.kind.whole(data):
            self.decode(data)

    def _loaded(self, data: bytes, loader: Loader) -> Content:
        mode = getattr(self.policy, "mode", "")
        try:
            return call_plugin("decode", f"loader:{loader.source_type}", loader.decode, data, mode=mode)
        except PluginFailed as failed:
            if isinstance(failed.error, ValueError | OSError):  # exceptions of libraries for damaged files
                raise BadRecord("damaged", f"{type(failed.error).__name__}: {failed.error}") from failed.error
            raise


class SourceFiles:
    """The files of a plan's sources, read and decoded by its policy and within its limits. Safe to use from several threads."""

    def __init__(self, plan: Plan, plugin: Plugin) -> None:
        self.plan = plan
        self.decoder = Decoder(plugin.kind, plan.decode, plan.limits)
        self._loaders = [plugin.loaders.get(source.loader) for source in plan.sources]

    def read(self, ref: Ref) -> bytes:
        """The file's bytes, proved to be those that the key of the instance names. Raises BadRecord ``too_large_file``.

        A file that is gone or changed since it was digested says nothing of the bytes in the key, so it is no bad record: whatever the
        policy, it ends the run. StoreError ``source-unreadable``, DataError ``changed-during-run``.
        """
        self.decoder.check_size(ref.size)
        location = locations.join(self.plan.sources[ref.source].root, ref.path)
        try:
            data = locations.read(location)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreError(
                f"{display(ref.record_id)} cannot be read any more: {reason}", code="source-unreadable", at=location, value=reason
            ) from error
        if hashlib.new(ref.kind, data, usedforsecurity=False).digest() != ref.digest:
            raise DataError(
                f"{display(ref.record_id)} changed during the run: {_OTHER_BYTES[ref.kind]}",
                code="changed-during-run",
                at=location,
                value=ref.record_id,
            )
        return data

    def decode(self, ref: Ref, data: bytes, *, observed: Observed | None = None) -> Content:
        """The content of a ref's file; ``observed`` gets what is found out about it. Raises BadRecord with the decoder's reason word."""
        steps = self.plan.chains[ref.split].steps
        return self.decoder.decode(data, loader=self._loaders[ref.source], hint=steps[0].out if steps else None, observed=observed)

    def header(self, ref: Ref, data: bytes) -> Mapping[str, Any]:
        """The facts in the header of a ref's file; none where a loader reads it. Raises BadRecord."""
        return {} if self._loaders[ref.source] is not None else self.decoder.header(data)

    def facts(self, ref: Ref, data: bytes, *, observed: Observed) -> dict[str, Any]:
        """Everything that is known of a ref's file and its decoded content, by name, and the ``bytes`` of the file. The file is decoded in
        full, whatever shortcuts the policy allows. `observed` gets what that is known from. Raises BadRecord, PluginFailed.
        """
        measures = self.decoder.kind.measures
        self.decoder.decode(data, loader=self._loaders[ref.source], observed=observed)
        measured = measures.measure([observed.sketch])[0] if measures is not None and observed.sketch is not None else {}
        return {"bytes": ref.size, **observed.facts, **measured}

    def signature(self, ref: Ref, data: bytes, duplicates: BoundOp[DuplicatesOp]) -> int:
        """The 64-bit signature of a file's content by a duplicates op. The file is decoded in full, whatever shortcuts the policy allows.

        Raises BadRecord, PluginFailed.
        """
        content = self.decoder.decode(data, loader=self._loaders[ref.source])
        given = duplicates.call(duplicates.op.signature, content)
        found = whole(given)
        if found is None or not 0 <= found < 1 << 64:
            problem = ValueError(f"the signature is {given!r}, not a whole number of 64 bits")
            raise PluginFailed(duplicates.name, f"op:{duplicates.op.spec.name}", problem)
        return found


def _at_input(error: BadRecord) -> BadRecord:
    return BadRecord(error.reason, error.detail, stage=error.stage or "Input", op=error.op or ("decode" if not error.stage else ""))
