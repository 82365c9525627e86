"""The journal as a table: one row for each run, and for each other event, the newest first.

Files are read that a cleaner may turn into one at the same moment. Nothing is missed and nothing comes twice: a file that vanished means
that its rows are in another one by now, so the folder is listed again; and a row that is in two files is one row, by its ``event_id``.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refinery_beam import locations
from refinery_beam.cache.journal.old_lines import line_files, line_rows
from refinery_beam.cache.journal.schema import LONG, NAMES, arrow_schema
from refinery_beam.cache.journal.write import journal_folder, process_name
from refinery_beam.cache.stores.local import store_error
from refinery_beam.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

_PART = re.compile(r"\d{4}-\d\d-\d\d/(?P<time>\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]+-[a-z-]+\.parquet")
COMPACT = "compact/"
_NEEDED = ("event_id", "event", "run", "time", "status", "host", "pid", "process")
_ROUNDS = 20
_THREADS = 16


@dataclass(frozen=True)
class Journal:
    """The rows as an Arrow table, and how many files could not be read."""

    table: pa.Table
    unreadable: int = 0


def read_journal(root: str, *, columns: Sequence[str] | None = None, newest: int | None = None, run: str | None = None) -> Journal:
    """Every run and event below a cache root, the newest first; an empty table where there is none.

    A run that has not ended has the status ``running`` while its process lives, ``died`` when it does not, and ``unknown`` where another
    machine would have to say. ``columns`` are those that are wanted, and ``newest`` how many rows at least, of which fewer files are then
    read; ``run`` is the one run that is. StoreError for a store that does not answer.
    """
    wanted = list(dict.fromkeys((*_NEEDED, *(columns if columns is not None else NAMES))))
    tables, unreadable = read_files(root, wanted, newest=newest, run=run)
    table = _merged(tables, wanted)
    if columns is not None:
        table = table.select(list(columns))
    return Journal(table, unreadable)


def read_files(root: str, columns: Sequence[str], *, newest: int | None = None, run: str | None = None) -> tuple[list[pa.Table], int]:
    """The rows of all files, or of one run, as tables, and how many files cannot be read."""
    folder = journal_folder(root)
    have: dict[str, pa.Table | None] = {}
    for _ in range(_ROUNDS):
        names = journal_files(folder)
        parts = sorted(name for name in names if _PART.fullmatch(name))
        if newest is not None and newest > 0:
            # The newest runs wrote the newest files, two at most each.
            parts = parts[-2 * newest :]
        files = [*(name for name in names if name.startswith(COMPACT)), *parts]
        vanished = _read_missing(folder, [name for name in files if name not in have], columns, run, have)
        if not vanished:
            break
    tables = [table for name in files if (table := have.get(name)) is not None]
    rows = [row for path in line_files(root) for row in line_rows(path) if run in (None, row.get("run"))]
    if rows:
        schema = arrow_schema()
        tables.append(rows_table(rows, schema).select(list(columns)))
    return tables or [arrow_schema().empty_table().select(list(columns))], sum(have[name] is None for name in files if name in have)


def rows_table(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows in their stored forms as a table."""
    import pyarrow as pa

    every = list(rows)
    return pa.table([_typed(pa.array([row.get(f.name) for row in every], _bare(f.type)), f.type) for f in schema], schema=schema)


def journal_files(folder: str) -> list[str]:
    """The Parquet files of a journal, below its folder."""
    try:
        if locations.is_url(folder):
            paths = [entry.path for entry in locations.walk(folder)]
        else:
            paths = [f"{day}/{name}" for day in locations.names(folder) for name in locations.names(os.path.join(folder, day))]
    except OSError as error:
        raise store_error(error, "list", folder) from error
    return [path for path in paths if path.endswith(".parquet") and not path.rpartition("/")[2].startswith(".")]


def read_file(location: str, columns: Sequence[str] | None = None, run: str | None = None) -> pa.Table:
    """One file, or its rows of one run, with the columns of this release: those that it lacks are null. FileNotFoundError where it is
    gone.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    schema = arrow_schema()
    every = columns if columns is not None else schema.names
    with locations.opened(location) as source:
        file = pq.ParquetFile(source)
        have = set(file.schema_arrow.names)
        if file.metadata.num_rows > 1:
            file = pq.ParquetFile(source, metadata=file.metadata, read_dictionary=sorted(LONG & have))
        names = [name for name in every if name in have]
        groups = [*range(file.num_row_groups)]
        if run is not None:
            groups = [i for i in groups if pc.any(pc.equal(file.read_row_group(i, columns=["run"]).column(0), run)).as_py()]
        table = file.read_row_groups(groups, columns=names, use_threads=False)
    if run is not None:
        table = table.filter(pc.equal(table.column("run"), run))
    arrays = [
        _typed(table.column(name), schema.field(name).type) if name in have else pa.nulls(len(table), schema.field(name).type)
        for name in every
    ]
    return pa.table(arrays, schema=pa.schema([schema.field(name) for name in every]))


def _typed(array: Any, kind: pa.DataType) -> Any:
    import pyarrow as pa

    if not pa.types.is_dictionary(kind) or pa.types.is_dictionary(array.type):
        return array.cast(kind)
    return array.cast(pa.string()).dictionary_encode()


def _read_missing(folder: str, names: Sequence[str], columns: Sequence[str], run: str | None, have: dict[str, pa.Table | None]) -> bool:
    """Read files into `have`, None for one that cannot be read; whether one has vanished."""
    import pyarrow as pa

    def read(name: str) -> tuple[str, pa.Table | None, bool]:
        try:
            return name, read_file(locations.join(folder, *name.split("/")), columns, run), False
        except FileNotFoundError:
            return name, None, True
        except (OSError, pa.ArrowException, StoreError):
            return name, None, False

    vanished = False
    with ThreadPoolExecutor(min(_THREADS, max(1, len(names)))) as pool:
        for name, table, gone in pool.map(read, names):
            vanished |= gone
            if not gone:
                have[name] = table
    return vanished


def _merged(tables: Sequence[pa.Table], columns: Sequence[str]) -> pa.Table:
    """All rows once, the beginnings of runs that have ended left out, the newest first, with a status for every run."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = once(pa.concat_tables(tables), newest_first=True)
    begun = pc.equal(table.column("event"), "run:begin")
    if pc.any(begun).as_py():
        facts = table.select(["event", "status", "host", "pid", "process"]).to_pylist()
        status = [_state(row) if row["event"] == "run:begin" else row["status"] for row in facts]
        table = table.set_column(table.schema.get_field_index("status"), "status", pa.array(status, pa.string()))
    return table.select(list(columns))


def once(table: pa.Table, *, newest_first: bool) -> pa.Table:
    """A table in the order of time, without rows that come twice, and without beginnings of runs whose end is in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    order = "descending" if newest_first else "ascending"
    table = table.unify_dictionaries().combine_chunks()
    table = table.take(pc.sort_indices(table, sort_keys=[("time", order), ("event_id", order)]))
    ids, events, runs = (table.column(name).to_pylist() for name in ("event_id", "event", "run"))
    ended = {run for run, event in zip(runs, events, strict=True) if event == "run:end"}
    known: set[str] = set()
    kept = []
    for i, (event_id, event, run) in enumerate(zip(ids, events, runs, strict=True)):
        if event_id not in known and not (event == "run:begin" and run in ended):
            known.add(event_id)
            kept.append(i)
    return table if len(kept) == len(table) else table.take(pa.array(kept, pa.int64()))


def _state(row: dict[str, Any]) -> str:
    if row["host"] != platform.node() or row["pid"] is None:
        return "unknown"
    try:
        os.kill(row["pid"], 0)
    except ProcessLookupError:
        return "died"
    except OSError:
        pass  # another user's
    return "running" if not row["process"] or process_name(row["pid"]) == row["process"] else "died"


def _bare(kind: pa.DataType) -> pa.DataType:
    """The type that a stored value has in Python: times are microseconds."""
    import pyarrow as pa

    return pa.int64() if pa.types.is_timestamp(kind) else pa.string() if pa.types.is_dictionary(kind) else kind


def moment(text: str, now: datetime) -> datetime:
    """A point in time as people write it: a date or a time in UTC, or how long ago, as 90m, 12h, 7d. ValueError for anything else.

    >>> moment("2d", datetime(2030, 1, 3, tzinfo=UTC)).isoformat(), moment("2030-01-01", datetime.now(UTC)).isoformat()
    ('2030-01-01T00:00:00+00:00', '2030-01-01T00:00:00+00:00')
    """
    from datetime import timedelta

    match = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if match:
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[match[2]]
        return now - timedelta(**{unit: int(match[1])})
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
