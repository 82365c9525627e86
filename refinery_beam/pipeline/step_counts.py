"""Counts how many refs pass each step; a run is balanced with these counts."""

from __future__ import annotations

from functools import partial
from typing import Any

import apache_beam as beam

from refinery_beam.pipeline.counting import CountInBundle, Total
from refinery_beam.records import LedgerRow, Ref, StepCountRow

KEPT, GONE = "kept", "lost"

Key = tuple[str, str, str]


class StepCounts:
    """The ledger rows of all steps, and the counts of records that each step kept and lost."""

    def __init__(self) -> None:
        self.lost: list[beam.PCollection[LedgerRow]] = []
        self._counted: list[beam.PCollection[tuple[Key, int]]] = []
        self._tallies: list[beam.PCollection[StepCountRow]] = []

    def passed(self, step: str, kept: beam.PCollection[Ref] | None, lost: beam.PCollection[LedgerRow] | None, *, split: str = "") -> None:
        """Count the `kept` and the `lost` records of a step."""
        for kind, rows in ((KEPT, kept), (GONE, lost)):
            if rows is not None:
                key_of = partial(_key, key=(split, step, kind))
                count = beam.ParDo(CountInBundle(key_of)).with_output_types(tuple[Key, int])
                self._counted.append(rows | f"Count[{step}][{split}][{kind}]" >> count)
        if lost is not None:
            self.lost.append(lost)

    def made(self, tally: beam.PCollection[StepCountRow]) -> None:
        """Add the counts of records that a step made or replaced."""
        self._tallies.append(tally)

    def rows(self) -> beam.PCollection[StepCountRow]:
        """All counts, one row a (split, step, kind)."""
        rows = (
            tuple(self._counted)
            | "StepCounts" >> beam.Flatten()
            | "CountSteps" >> beam.CombinePerKey(Total()).with_output_types(tuple[Key, int])
            | "StepRow" >> beam.Map(_row).with_output_types(StepCountRow)
        )
        return (rows, *self._tallies) | "Growth" >> beam.Flatten()


def _key(row: Any, key: Key) -> Key:
    return key


def _row(pair: tuple[Key, int]) -> StepCountRow:
    (split, step, kind), records = pair
    return StepCountRow(split, step, kind, records)
