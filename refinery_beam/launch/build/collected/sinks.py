"""The files that sinks wrote: their rows, no two records in one file, and the table that lists them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from refinery_beam import locations
from refinery_beam.errors import DataError, RefineryError, display, raise_all
from refinery_beam.job.row_files import read_rows
from refinery_beam.planning.nodes import Plan
from refinery_beam.records import SinkRow

SinkFiles = Mapping[str, Sequence[SinkRow]]
"""The files of each sink, by its name."""


def read_sinks(plan: Plan, work: str) -> dict[str, list[SinkRow]]:
    """The files that a job wrote for the plan's sinks. Raises DataError ``sink-collision``."""
    found: dict[str, list[SinkRow]] = {step.name: [] for step in plan.sinks}
    if plan.sinks:
        for row in sorted(set(read_rows(locations.join(work, "sinks"), SinkRow))):
            found[row.sink].append(row)
        raise_all(collisions(found))
    return found


def collisions(sinks: SinkFiles) -> list[RefineryError]:
    """An error for each of the first pairs of records whose files meet. Names that differ in letter case only meet on some systems."""
    errors: list[RefineryError] = []
    for sink, rows in sinks.items():
        rows_by_path: dict[str, SinkRow] = {}
        for row in rows:
            other = rows_by_path.setdefault(unicodedata.normalize("NFC", row.path).casefold(), row)
            if other.record_id != row.record_id and len(errors) < 10:
                errors.append(
                    DataError(
                        f"the sink {sink!r} writes {display(other.record_id)} and {display(row.record_id)} to one file, {row.path}",
                        code="sink-collision",
                        at=f"sinks/{sink}/{row.path}",
                        value=row.path,
                    )
                )
    return errors


def write_sink_tables(instance: str, sinks: SinkFiles) -> None:
    """``sinks/<name>/files.parquet``: path, record_id, bytes and sha256 of every file of a sink, sorted by path."""
    schema = pa.schema([("path", pa.string()), ("record_id", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string())])
    for name, rows in sinks.items():
        folder = os.path.join(instance, "sinks", name)
        os.makedirs(folder, exist_ok=True)
        listed = sorted((r.path, r.record_id, r.bytes, r.sha256) for r in rows)
        columns = [list(column) for column in zip(*listed, strict=True)] if listed else [[] for _ in schema]
        pq.write_table(pa.table(columns, schema=schema), os.path.join(folder, "files.parquet"), compression="zstd")


def sinks_entry(plan: Plan, files: SinkFiles) -> dict[str, Any]:
    """The key ``sinks`` of a manifest."""
    return {
        step.name: {
            "field": step.field,
            "format": step.format,
            "path_template": step.template,
            "splits": list(step.splits),
            "files": len(files[step.name]),
            "bytes": sum(row.bytes for row in files[step.name]),
            "table": f"sinks/{step.name}/files.parquet",
        }
        for step in plan.sinks
    }
