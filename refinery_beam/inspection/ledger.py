"""The records that did not come out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.inspection.columns import batches, opened, row_of

LEDGER = "report/ledger.parquet"


def ledger_rows(manifest: Manifest, split: str | None, limit: int) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...], int]:
    """The columns of the ledger, its first rows, and how many there are; with `split` those of one split. StoreError ``damaged``."""
    import pyarrow.compute as pc

    with ExitStack() as stack:
        file = opened(stack, manifest, LEDGER)
        columns = list(file.schema_arrow.names)
        rows: list[tuple[Any, ...]] = []
        total = 0
        for batch in batches(file, columns, locations.join(manifest.location, LEDGER)):
            if split is not None:
                batch = batch.filter(pc.equal(batch.column("split"), split))
            total += batch.num_rows
            if len(rows) < limit:
                rows += [tuple(row[name] for name in columns) for row in batch.slice(0, limit - len(rows)).to_pylist()]
    return tuple(columns), tuple(rows), total


def lost_row(manifest: Manifest, record_id: str) -> Mapping[str, Any] | None:
    """The row of a record in the ledger; None for one that is not there."""
    return row_of(manifest, LEDGER, record_id)
