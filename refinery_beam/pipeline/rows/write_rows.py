"""Writes the pipeline's rows for the driver as a PTransform; `job.row_files` defines the files."""

from __future__ import annotations

from typing import Any

import apache_beam as beam

from refinery_beam.identity import digest
from refinery_beam.job.row_files import write_rows
from refinery_beam.pipeline.rows.coders import ROW_TYPES  # noqa: F401 - registers the coders


class WriteRows(beam.PTransform):
    """Small rows -> JSON lines files in a folder, each named by its content."""

    def __init__(self, folder: str, kind: type, *, files: int) -> None:
        super().__init__()
        self._folder, self._kind, self._files = folder, kind, files

    def expand(self, rows: beam.PCollection[Any]) -> beam.PCollection[str]:
        kind: Any = self._kind
        return (
            rows
            | "Deal" >> beam.Map(_deal, self._files).with_output_types(tuple[int, kind])
            | "Group" >> beam.GroupByKey()
            | "File" >> beam.Map(write_rows, self._folder).with_output_types(str)
        )


def _deal(row: Any, files: int) -> tuple[int, Any]:
    return int.from_bytes(digest("row-file", *[str(v) for v in row[:3]])[:8], "big") % files, row
