"""Turns the many files of a journal into one, while runs write and others read, and others compact.

The new file is created first, named for its content and proved to be whole; only then are those removed whose rows are in it. So a
compaction that is killed leaves rows twice, which readers count once, and never loses one. What cannot be read is left where it is.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from refinery_beam import locations
from refinery_beam.cache.journal.old_lines import is_over, line_files, line_rows
from refinery_beam.cache.journal.read import COMPACT, journal_files, once, read_file, rows_table
from refinery_beam.cache.journal.schema import arrow_schema
from refinery_beam.cache.journal.write import journal_folder
from refinery_beam.cache.stores.local import LocalStore
from refinery_beam.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1 << 14
BATCH = 1000
"""Tables of one row take far more memory than one table of as many rows: so many are held at most."""
GONE = -1
LARGE = 32 << 20
"""Bytes from which on a compacted file stays as it is."""


@dataclass(frozen=True)
class Compaction:
    """What became of a journal: its files before and after, the rows in the new file, and how many files could not be read and stay."""

    files_before: int
    files_after: int
    rows: int
    unreadable: int = 0


def compact_journal(root: str) -> Compaction:
    """Put the rows of all small files of a journal into one file. Safe beside runs, readers and other compactions of the same journal;
    nothing is lost, whenever it is stopped. StoreError where the journal cannot be listed or written.
    """
    import pyarrow as pa

    folder = journal_folder(root)
    names = journal_files(folder)
    tables, taken, unreadable = [], [], 0
    for name in names:
        location = locations.join(folder, *name.split("/"))
        try:
            if name.startswith(COMPACT) and (locations.size(location) or 0) >= LARGE:
                continue
            tables.append(read_file(location))
            taken.append(location)
        except FileNotFoundError:
            continue  # another compaction has its rows
        except (OSError, pa.ArrowException, StoreError):
            unreadable += 1
        if len(tables) > BATCH:
            tables = [pa.concat_tables(tables).unify_dictionaries().combine_chunks()]
    rows = []
    for path in line_files(root):
        found = line_rows(path)
        if is_over(found):
            rows += found
            taken.append(path)
    before = len(names) + len(line_files(root))
    schema = arrow_schema()
    if not taken or (len(taken) == 1 and taken[0].startswith(locations.join(folder, COMPACT.rstrip("/")))):
        return Compaction(before, before, 0, unreadable)
    table = pa.concat_tables([*tables, rows_table(rows, schema)])
    table = once(table, newest_first=False)
    data = _parquet(table)
    times = [t.strftime("%Y%m%dT%H%M%SZ") for t in (table.column("time")[0].as_py(), table.column("time")[-1].as_py())]
    location = locations.join(folder, f"{COMPACT}{times[0]}-{times[1]}-{hashlib.sha256(data).hexdigest()[:16]}.parquet")
    if locations.is_url(location):
        locations.put_if_absent(location, data)
    else:
        os.makedirs(os.path.dirname(location), exist_ok=True)
        LocalStore().put_if_absent(location, data)
    if _rows_of(location) not in (len(table), GONE):
        raise StoreError(f"{location} does not hold the rows that were written", code="store-io", at=location)
    gone = [path for path in taken if path != location]
    locations.remove_all(gone)
    if not locations.is_url(folder):
        _remove_empty(folder)
    return Compaction(before, len(journal_files(folder)) + len(line_files(root)), len(table), unreadable)


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=GROUP_ROWS)
    return out.getvalue()


def _rows_of(location: str) -> int:
    """The rows of a file; `GONE` where it went already, because yet another compaction has taken them over."""
    import pyarrow.parquet as pq

    try:
        with locations.opened(location) as source, pq.ParquetFile(source) as file:
            return int(file.metadata.num_rows)
    except FileNotFoundError:
        return GONE


def _remove_empty(folder: str) -> None:
    """Remove folders of days that are over and empty. A run that still writes into one makes it again."""
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    for name in _days(locations.names(folder)):
        if name < today:
            try:
                os.rmdir(os.path.join(folder, name))
            except OSError:
                continue


def _days(names: Iterable[str]) -> list[str]:
    return [name for name in names if len(name) == 10 and name[4] == name[7] == "-"]
