"""Parquet tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from refinery_beam.tables.faults import TableFault

_BATCH = 1 << 14


def read_parquet(data: bytes) -> tuple[tuple[str, ...], Callable[[list[str]], Iterator[tuple[int, dict[str, Any]]]]]:
    """The columns, and a function that reads some of them, row by row with the row's number from 1. TableFault ``label-table``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def broken(error: Exception) -> TableFault:
        words = (str(error).splitlines() or [type(error).__name__])[0]
        return TableFault(
            f"is not a readable Parquet file: {words}",
            code="label-table",
            rule="a Parquet label table is a flat table with the named columns",
            remedy="write it again, or use CSV",
        )

    failures = (pa.ArrowException, OSError, ValueError, OverflowError)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = tuple(file.schema_arrow.names)
    except failures as error:
        raise broken(error) from None

    def rows(columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except failures as error:
            raise broken(error) from None

    return names, rows
