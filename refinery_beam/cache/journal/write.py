"""What a run writes into the journal: a file when it begins to build, and one when it ends. A hit, and a run that fails before it builds,
write the second alone.

``<root>/journal/<day>/<utc time>-<run>-<event>.parquet``, each created and never overwritten, on a disk and on a store. So runs never wait
for each other, and one that is killed leaves a beginning without an end. The row of the end holds all that the row of the beginning does.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from refinery_beam import locations
from refinery_beam.cache.journal.one_row import row_bytes
from refinery_beam.cache.journal.schema import FORMS, NAMES, VERSION
from refinery_beam.cache.stores.local import LocalStore
from refinery_beam.errors import RefineryError
from refinery_beam.masking import mask, masked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_INT = 1 << 63


class RunJournal:
    """The journal of one run. It never fails: `notes` says what could not be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     journal = RunJournal(root)
    ...     journal.begin(recipe_path="gs://user:pw@bucket/r.yaml")
    ...     journal.end(status="built", exit_code=0)
    ...     len(journal.run), sorted(name.rpartition("-")[2] for name in os.listdir(os.path.dirname(journal.files[0])))
    (10, ['begin.parquet', 'end.parquet'])
    """

    def __init__(self, root: str, *, verb: str = "run") -> None:
        self.root = root
        self.run = os.urandom(5).hex()
        self.notes: list[str] = []
        self.files: list[str] = []
        self._last = self._started = datetime.now(UTC)
        self._facts: dict[str, Any] = {"verb": verb, "started": self._started, **_here()}

    def add(self, **facts: Any) -> None:
        """Facts for the rows that are still to be written."""
        self._facts |= facts

    def begin(self, **facts: Any) -> None:
        """Note that the run begins to build."""
        self.add(**facts)
        self._write("run:begin", {})

    def end(self, *, status: str, exit_code: int, **facts: Any) -> None:
        """Note the end: ``status`` is built, hit, opened, failed or interrupted; the seconds since the run began are added."""
        now = self._now()
        seconds = (now - self._started).total_seconds()
        self._write("run:end", {"seconds": round(seconds, 3), **facts, "status": status, "exit_code": exit_code})

    def _now(self) -> datetime:
        # Clocks may step back; the events of one run never do.
        self._last = max(self._last, datetime.now(UTC))
        return self._last

    def _write(self, event: str, facts: Mapping[str, Any]) -> None:
        problem, path = write_event(self.root, event, run=self.run, moment=self._now(), facts={**self._facts, **facts})
        if problem:
            self.notes.append(f"the journal could not be written: {problem}")
        else:
            self.files.append(path)


def note_event(root: str, event: str, **facts: Any) -> str:
    """Note something that is no run, such as a tag or a cleaning: one row, with host and user. Never fails; gives what went wrong, or
    ''.
    """
    moment = datetime.now(UTC)
    every = {**_here(), "started": moment, **facts}
    return write_event(root, event, run=os.urandom(5).hex(), moment=moment, facts=every)[0]


def write_event(root: str, event: str, *, run: str, moment: datetime, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Write one row. Gives what went wrong, or '', and the location of the file."""
    name = f"{moment.strftime('%Y%m%dT%H%M%S.%fZ')}-{run}-{event.replace(':', '-')}.parquet"
    location = ""
    try:
        location = locations.join(journal_folder(root), moment.strftime("%Y-%m-%d"), name)
        data = row_bytes(stored({**facts, "event": event, "run": run, "event_id": f"{run}:{event}", "time": moment}))
        if not _create(location, data):
            return f"{location} is there already", location
    except (OSError, RefineryError, ValueError, TypeError, OverflowError) as error:
        return mask(error.message if isinstance(error, RefineryError) else str(error)), location
    return "", location


def journal_folder(root: str) -> str:
    """Where the journal of a cache root lies: in it, on a disk as on a store."""
    return locations.join(locations.absolute(root), "journal")


def stored(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as the columns hold them: without secrets, in their forms, and those without a column together in ``facts``.

    >>> row = stored({"seed": 3, "overlays": ["a"], "url": "http://u:p@h/x", "started": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)})
    >>> row["seed"], row["overlays"], row["facts"], row["started"]
    (3, '["a"]', '{"url": "http://h/x"}', 1000000)
    """
    row: dict[str, Any] = {"journal": VERSION}
    rest: dict[str, Any] = {}
    for name, value in facts.items():
        if value is None:
            continue
        form = FORMS.get(name)
        if form is None or name == "facts":
            rest |= {name: value} if form is None else value
        elif form == "time":
            row[name] = (value - _EPOCH) // _MICROSECOND
        elif form == "json":
            row[name] = json.dumps(masked(value, name=name), sort_keys=True, ensure_ascii=False, default=str)
        elif form == "int":
            row[name] = value if -_MOST_INT <= value < _MOST_INT else None
            rest |= {} if row[name] is not None else {name: str(value)}
        else:
            row[name] = mask(str(value)) if form == "text" else value
    if rest:
        row["facts"] = json.dumps(masked(rest), sort_keys=True, ensure_ascii=False, default=str)
    return {name: row[name] for name in NAMES if row.get(name) is not None}


def process_name(pid: int) -> str:
    """What tells a process from a later one with the same number: when it began, since which start of the machine; '' where that is
    unknown.

    >>> process_name(os.getpid()) == process_name(os.getpid())
    True
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            ticks = file.read().rpartition(")")[2].split()[19]
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()[:8]}-{ticks}"
    except (OSError, IndexError):
        return ""


def _create(location: str, data: bytes) -> bool:
    if locations.is_url(location):
        return locations.put_if_absent(location, data)
    for _ in range(2):
        os.makedirs(os.path.dirname(location), exist_ok=True)
        try:
            return LocalStore(durable=False).put_if_absent(location, data)
        except RefineryError:
            # Somebody who compacts the journal may have removed the empty folder of the day in between.
            if os.path.isdir(os.path.dirname(location)):
                raise
    return False


def _here() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": platform.node(),
        "user": _user(),
        "pid": pid,
        "process": process_name(pid),
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
    }


def _user() -> str:
    try:
        import getpass

        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else ""
