"""The other outputs of one record, besides its row: evidence for assertions, files of sinks, a ref for the sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery_beam import locations
from refinery_beam.planning.nodes import Plan
from refinery_beam.record.contracts import Tally, join, rows_of
from refinery_beam.record.sinks import RecordFile, write_file
from refinery_beam.records import ByteValuesRow, EvidenceRow, Ref, SinkRow

EVIDENCE, BYTE_VALUES, FILES, FINAL = "evidence", "byte_values", "files", "final"

EXTRA_ROWS: Mapping[str, type] = {EVIDENCE: EvidenceRow, BYTE_VALUES: ByteValuesRow, FILES: SinkRow, FINAL: Ref}
"""The outputs of the write pass besides shards, ledger and partials, and their row types."""


@dataclass
class Extras:
    """The extras of one record: evidence, perhaps the byte values of its content, and the files of sinks."""

    tally: Tally = field(default_factory=dict)
    byte_values: ByteValuesRow | None = None
    files: list[RecordFile] = field(default_factory=list)


class Gather:
    """Takes the extras of the rows of one shard, writes the sinks' files, and gives the small rows for the pipeline."""

    def __init__(self, plan: Plan, *, instance: str) -> None:
        self._sinks = locations.join(instance, "sinks")
        self._sample = plan.sample
        self._tally: Tally = {}
        self._rows: list[tuple[str, Any]] = []

    def add(self, ref: Ref, extras: Extras | None, *, temporary: str) -> None:
        """Take the extras of a row that was appended to the shard."""
        if extras is None:
            return
        join(self._tally, extras.tally)
        if extras.byte_values is not None:
            self._rows.append((BYTE_VALUES, extras.byte_values))
        for file in extras.files:
            self._rows.append((FILES, write_file(self._sinks, file, ref.record_id, temporary=temporary)))
        extras.files.clear()  # the row waits in memory for its row group; its files need not
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
