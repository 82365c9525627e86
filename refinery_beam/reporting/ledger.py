"""The ledger as a file: one row for every record that did not come out."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.records import LedgerRow


def write_ledger(path: str, rows: Sequence[LedgerRow]) -> None:
    """Write rows, in their order, as Parquet with the columns record_id, split, stage, op, reason, detail (all text)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in LedgerRow._fields])
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in schema]
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")
