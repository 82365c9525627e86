"""`journal`, `log` and `log show`: the runs of a cache root."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refinery_beam import locations
from refinery_beam.cache.instances import short_key
from refinery_beam.cache.journal.read import moment, read_journal
from refinery_beam.cache.journal.schema import FORMS, NAMES
from refinery_beam.errors import UsageError
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.roots import readable_roots
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

LISTED = (
    "run",
    "event",
    "verb",
    "time",
    "started",
    "status",
    "recipe",
    "recipe_path",
    "key",
    "records_out",
    "seconds",
    "error",
    "message",
    "host",
    "user",
    "facts",
)
"""The columns that `log` shows or filters by."""

LIMIT = 20

_GOING_ON = ("running", "unknown")


@dataclass(frozen=True, kw_only=True, repr=False)
class LogOptions(Options):
    """`Options`, and which runs."""

    failed: bool = option(False, "Only runs that failed, were interrupted, or died.")
    running: bool = option(False, "Only runs that have not ended, as far as anybody knows.")
    since: str = option("", "Only what is younger: a date or time in UTC, or 90m, 12h, 7d.")
    recipe: str = option("", "Only runs of a recipe, by its name or file.")
    limit: int = option(LIMIT, "How many at most; 0 for all.")


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One row of the journal: a run, or another event such as a tag. ``values`` are its columns that are not null, JSON ones as values."""

    values: dict[str, Any]

    @property
    def run(self) -> str:
        """The id of the run."""
        return str(self.values["run"])

    @property
    def status(self) -> str:
        """built, hit, opened, failed, interrupted, running, died, unknown; of other events what came of them."""
        return str(self.values.get("status", ""))

    @property
    def recipe_text(self) -> str | None:
        """The recipe as the run read it, where the journal holds it."""
        return self.values.get("recipe_text")

    def to_dict(self) -> dict[str, Any]:
        """The object in `log --json` (contract 1)."""
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in self.values.items()}


@dataclass(frozen=True, kw_only=True)
class LogResult(Sequence[LogEntry]):
    """What `log` found, a sequence with the newest first. ``unreadable`` files of the journal are left out."""

    entries: tuple[LogEntry, ...] = ()
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        return self.entries[index]

    def __iter__(self) -> Iterator[LogEntry]:
        return iter(self.entries)

    def to_dict(self) -> dict[str, Any]:
        """The object `log --json` prints (contract 1)."""
        return {"contract": CONTRACT, "runs": [entry.to_dict() for entry in self.entries], "unreadable": self.unreadable}


def journal(**options: Any) -> pa.Table:
    """The whole journal of the cache root as an Arrow table, a row for each run and each other event, the newest first; times are in UTC.
    ``.to_pandas()`` makes a frame of it where pandas is installed. Options are those of `Options`. The columns are in docs/day-two.md.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.journal().to_pandas().groupby("status")["seconds"].sum()      # doctest: +SKIP
    """
    settings = Settings.of(Options(**{name: value for name, value in options.items() if value is not None}))
    locations.use_options(settings.storage_options)
    with locations.put_in_words():
        return read_journal(settings.root).table


def log(**options: Any) -> LogResult:
    """The newest runs of the cache root. Options are those of `LogOptions`: ``failed``, ``running``, ``since``, ``recipe``, ``limit``.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> [(run.status, run.values["recipe"]) for run in rb.log(failed=True, since="7d")]  # doctest: +SKIP
    [('failed', 'cats')]
    """
    given = LogOptions(**{name: value for name, value in options.items() if value is not None})
    wanted = {name: getattr(given, name) for name in ("failed", "running", "since", "recipe", "limit")}
    return log_with(Settings.of(given), **wanted)


def log_with(
    settings: Settings, *, failed: bool = False, running: bool = False, since: str = "", recipe: str = "", limit: int = LIMIT
) -> LogResult:
    """`log` with its settings in one value; what the command line calls."""
    import pyarrow.compute as pc

    if limit < 0:
        raise UsageError(f"--limit {limit} is no number of runs", code="log-limit", value=limit)
    filtered = failed or running or bool(since) or bool(recipe)
    locations.use_options(settings.storage_options)
    with locations.put_in_words():
        found = read_journal(settings.root, columns=LISTED, newest=None if filtered or not limit else limit)
    table = found.table
    if since:
        table = table.filter(pc.greater_equal(table.column("time"), _moment(since)))
    if failed or running:
        states = [*(("failed", "interrupted", "died") if failed else ()), *(_GOING_ON if running else ())]
        table = table.filter(pc.is_in(table.column("status"), pc_values(states)))
    if recipe:
        names = [(row["recipe"], row["recipe_path"]) for row in table.select(["recipe", "recipe_path"]).to_pylist()]
        table = table.filter(pc_values([_is_of(name, path, recipe) for name, path in names]))
    table = table.slice(0, limit) if limit else table
    return LogResult(entries=tuple(_entry(row) for row in table.to_pylist()), unreadable=found.unreadable)


@keywords(Options)
def log_show(run: str, options: Options) -> LogEntry:
    """Everything that the journal knows of a run, by its id or the beginning of it. UsageError ``unknown-run``.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> print(rb.log_show("3fa985").recipe_text)                         # doctest: +SKIP
    """
    return log_show_with(run, Settings.of(options))


def log_show_with(run: str, settings: Settings) -> LogEntry:
    """`log_show` with its settings in one value; what the command line calls. Roots that are only read are asked too."""
    locations.use_options(settings.storage_options)
    with locations.put_in_words():
        for root in (settings.root, *readable_roots(settings)):
            entry = find_run(root, run)
            if entry is not None:
                return entry
    raise UsageError(f"the journal knows no run {run!r}", code="unknown-run", value=run)


def find_run(root: str, run: str) -> LogEntry | None:
    """A run by the beginning of its id; None where there is none. UsageError ``ambiguous-run``."""
    import pyarrow.compute as pc

    if len(run) < 4 or not all(c in "0123456789abcdef" for c in run):
        return None
    ids = read_journal(root, columns=["run"]).table.column("run")
    known = sorted(set(ids.filter(pc.starts_with(ids, run)).to_pylist()))
    if len(known) > 1:
        raise UsageError(f"{run} begins {len(known)} runs", code="ambiguous-run", value=run, known=known[:5])
    if not known:
        return None
    rows = read_journal(root, run=known[0]).table.to_pylist()
    return _entry(rows[0]) if rows else None


def pc_values(values: Sequence[Any]) -> Any:
    """Values as an Arrow array."""
    import pyarrow as pa

    return pa.array(values)


def _entry(row: dict[str, Any]) -> LogEntry:
    found = {}
    for name in NAMES:
        value = row.get(name)
        if value is None:
            continue
        if FORMS[name] == "json":
            try:
                value = json.loads(value)
            except ValueError:
                continue
        found[name] = value
    if "key" in found:
        found["key"] = _short(found["key"])
    return LogEntry(values=found)


def _short(key_name: str) -> str:
    return short_key(key_name) if key_name.count("-") >= 2 else key_name


def _is_of(name: str | None, path: str | None, wanted: str) -> bool:
    return wanted in (name, path) or (path is not None and path.endswith(f"/{wanted.lstrip('./')}"))


def _moment(text: str) -> datetime:
    try:
        return moment(text, datetime.now(UTC))
    except ValueError:
        raise UsageError(f"{text!r} is no point in time", code="log-since", value=text) from None
