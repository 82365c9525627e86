"""What went in: the rows of input.parquet, one for every listed file, sorted by record id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refinery_beam.cache import Manifest
from refinery_beam.inspection.columns import row_of

INPUT = "input.parquet"


def input_row(manifest: Manifest, record_id: str) -> Mapping[str, Any] | None:
    """The row of one file; None where there is none."""
    if manifest.file(INPUT) is None:
        return None
    return row_of(manifest, INPUT, record_id)
