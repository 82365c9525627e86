"""Deterministic coders for the rows that cross stages. Import this module before building or running any pipeline.

Beam pickles NamedTuples it does not know. Pickles depend on import paths and are four times slower; a registered row coder
writes the fields.
"""

from __future__ import annotations

from apache_beam import coders

from refinery_beam.records import EvidenceRow, GrowthRow, LedgerRow, LevelsRow, Ref, ShardRow, SinkRow

for _row in (Ref, LedgerRow, ShardRow, GrowthRow, EvidenceRow, LevelsRow, SinkRow):
    coders.registry.register_coder(_row, coders.RowCoder)

ROW_TYPES = (Ref, LedgerRow, ShardRow, GrowthRow, EvidenceRow, LevelsRow, SinkRow)
