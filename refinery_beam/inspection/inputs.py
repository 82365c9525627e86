"""What went in: the rows of input.parquet, one for every listed file, sorted by record id."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.inspection.columns import batches, opened

INPUT = "input.parquet"


def input_row(manifest: Manifest, record_id: str) -> Mapping[str, Any] | None:
    """The row of one file; None where there is none."""
    import pyarrow.compute as pc

    if manifest.file(INPUT) is None:
        return None
    with ExitStack() as stack:
        file = opened(stack, manifest, INPUT)
        for batch in batches(file, list(file.schema_arrow.names), locations.join(manifest.location, INPUT)):
            found = batch.filter(pc.equal(batch.column("record_id"), record_id))
            if found.num_rows:
                row: Mapping[str, Any] = found.to_pylist()[0]
                return row
    return None
