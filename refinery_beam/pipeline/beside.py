"""What rides on the pass that writes: evidence for assertions, files of sinks, references for a sample. No Beam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery_beam import places
from refinery_beam.pipeline.contracts import Contracts, Tally, join, rows_of
from refinery_beam.pipeline.sinks import file_bytes, sink_path, write_file
from refinery_beam.plan.nodes import Chain, Plan
from refinery_beam.plugins.base import Plugin
from refinery_beam.records import EvidenceRow, LevelsRow, Ref, SinkRow

EVIDENCE, LEVELS, FILES, FINAL = "evidence", "levels", "files", "final"

BESIDE: Mapping[str, type] = {EVIDENCE: EvidenceRow, LEVELS: LevelsRow, FILES: SinkRow, FINAL: Ref}
"""The outputs of the write pass beside shards, ledger and partials, and their row types."""


@dataclass
class Extras:
    """What one record leaves: evidence, perhaps its levels, and (sink, path, content) of its files."""

    tally: Tally = field(default_factory=dict)
    levels: LevelsRow | None = None
    files: list[tuple[str, str, bytes]] = field(default_factory=list)


class Beside:
    """What a plan does with a record beside storing it."""

    def __init__(self, plan: Plan, plugin: Plugin) -> None:
        self._plan = plan
        self.contracts = Contracts(plan, plugin)

    def admit(self, pixels: Any) -> None:
        """Raise `contracts.Violation` for decoded pixels that go to the ledger for an input contract."""
        if self.contracts.quarantines and self.contracts.arriving:
            self.contracts.admit(_array(pixels))

    def arrived(self, ref: Ref, pixels: Any, extras: Extras) -> None:
        """Decoded pixels, before any op."""
        if self.contracts.arriving:
            self.contracts.of_pixels(ref, _array(pixels), extras.tally)

    def finished(self, ref: Ref, known: Mapping[str, Any], array: Any, chain: Chain, extras: Extras) -> None:
        """A finished row: `known` values and the pixels as stored. Raises sinks.BadPath."""
        if self.contracts.leaving:
            extras.levels = self.contracts.of_row(ref, known, array, chain, extras.tally)
        for sink in self._plan.sinks:
            if ref.split in sink.splits:
                value = array if sink.field == "image" else known.get(sink.field)
                extras.files.append((sink.name, sink_path(sink.template, known, ref.split), file_bytes(sink, value)))


class Gather:
    """Takes the extras of the rows of one shard, writes sink files, and gives the small rows that go on."""

    def __init__(self, plan: Plan, *, instance: str) -> None:
        self._sinks = places.join(instance, "sinks")
        self._sample = plan.sample
        self._tally: Tally = {}
        self._rows: list[tuple[str, Any]] = []

    def add(self, ref: Ref, extras: Extras | None, *, temporary: str) -> None:
        """One row that was appended to the shard."""
        if extras is None:
            return
        join(self._tally, extras.tally)
        if extras.levels is not None:
            self._rows.append((LEVELS, extras.levels))
        for sink, path, data in extras.files:
            self._rows.append((FILES, write_file(self._sinks, sink, path, ref.record_id, data, temporary=temporary)))
        extras.files.clear()  # the row waits for its row group; its files need not
        if self._sample is not None and ref.split in self._sample.splits:
            self._rows.append((FINAL, ref))

    def rows(self) -> list[tuple[str, Any]]:
        """(output, row) pairs of everything gathered."""
        return [*self._rows, *((EVIDENCE, row) for row in rows_of(self._tally))]


class Ignore(Gather):
    """Gathers nothing: for rows that are written a second time."""

    def __init__(self) -> None:
        pass

    def add(self, ref: Ref, extras: Extras | None, *, temporary: str) -> None:
        """Nothing."""

    def rows(self) -> list[tuple[str, Any]]:
        """No row."""
        return []


def _array(pixels: Any) -> Any:
    from refinery_beam.plugins.image_classification.pixels import as_array

    return as_array(pixels)
