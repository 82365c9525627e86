"""The journal: the runs of this cache root, with their times, users and ends.

One file a run, ``<root>/journal/<utc time>-<attempt>.jsonl`` (for a root on a store: below its local `home`). Only its own run creates it
and appends to it, one JSON object a line. So runs never wait for each other, a killed run leaves a start without an end, and a cut line
costs only itself.

The journal is evidence, never truth: no hit, miss or verification reads it, and it may be deleted. Everything that must not enter an
instance (time, host, pid, user, runner, workers) is here. Secrets are not: see `redact`. A journal that cannot be written never fails a
run; `RunJournal.notes` says what happened.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from refinery_beam import locations
from refinery_beam.cache.stores.home import home

JOURNAL_CONTRACT = 1

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|credential|authorization|connection_?string|(api|access|account|private)_?key", re.I
)
_OPTION_NAME = re.compile(r"storage[-_]options?$", re.I)
# Only "user:password@": in abfss://container@account the word before the @ is no secret.
_USER_INFO = re.compile(r"(?<=://)[^/\s:@]*:[^/\s]*@")
_QUERY_SECRET = re.compile(r"([?&][^=&\s]*(?:token|sig|secret|password|key|credential)[^=&\s]*=)[^&\s#]+", re.I)
_HIDDEN = "***"


class RunJournal:
    """The journal of one run.

    The file is created with the first event. ``attempt`` is the word that ties it to a staging directory; by default a random one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     journal = RunJournal(root, attempt="00c0ffee")
    ...     journal.start(recipe="gs://user:pw@bucket/r.yaml", storage_options={"token": "t"})
    ...     journal.end(status="built", exit_code=0)
    ...     [(e["event"], e["seq"]) for e in read_journal(root)], read_journal(root)[1]["recipe"]
    ([('run:end', 1), ('run:start', 0)], 'gs://bucket/r.yaml')
    """

    def __init__(self, root: str, *, attempt: str | None = None) -> None:
        self.folder = os.path.join(home(root), "journal")
        self.attempt = attempt or os.urandom(4).hex()
        self.path: str | None = None
        self.notes: list[str] = []
        self._seq = 0
        self._started: datetime | None = None
        self._last = datetime.min.replace(tzinfo=UTC)

    def start(self, **facts: Any) -> None:
        """Note the beginning: time, host, pid, user and the caller's facts (key, runner, workers, versions, recipe, ...)."""
        self._started = datetime.now(UTC)
        self.append("run:start", host=platform.node(), pid=os.getpid(), user=_user(), python=platform.python_version(), **facts)

    def end(self, *, status: str, exit_code: int, **facts: Any) -> None:
        """Note the end: ``status`` is built, hit, failed or interrupted; the seconds since `start` are added."""
        if self._started is not None:
            facts.setdefault("seconds", round((datetime.now(UTC) - self._started).total_seconds(), 3))
        self.append("run:end", status=status, exit_code=exit_code, **facts)

    def append(self, event: str, **facts: Any) -> None:
        """Note another event. Values are redacted; a value that JSON lacks is written as text."""
        # Clocks may step back; the events of one run never do.
        now = self._last = max(self._last, datetime.now(UTC))
        entry = {"contract": JOURNAL_CONTRACT, "event": event, "time": _stamp(now), "attempt": self.attempt, "seq": self._seq}
        self._seq += 1
        try:
            line = json.dumps(redact({**facts, **entry}), sort_keys=True, ensure_ascii=False, default=str) + "\n"
            with open(self._file(now), "ab") as file:
                file.write(line.encode())
        except (OSError, ValueError, TypeError) as error:
            self.notes.append(f"the journal could not be written: {error}")

    def _file(self, now: datetime) -> str:
        if self.path is None:
            os.makedirs(self.folder, exist_ok=True)
            path = os.path.join(self.folder, f"{now.strftime('%Y%m%dT%H%M%S.%fZ')}-{self.attempt}.jsonl")
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            self.path = path
        return self.path


def read_journal(root: str) -> list[dict[str, Any]]:
    """Every event below a cache root, newest first; [] when there is none. Skips lines and files that cannot be read."""
    folder = os.path.join(home(root), "journal")
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except OSError:
        return []
    events: list[dict[str, Any]] = []
    for name in names:
        try:
            lines = locations.read(os.path.join(folder, name)).split(b"\n")
        except OSError:
            continue
        for line in lines:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("time"), str):
                events.append(event)
    events.sort(key=lambda e: (e["time"], str(e.get("attempt")), e["seq"] if isinstance(e.get("seq"), int) else 0), reverse=True)
    return events


def redact(value: Any, *, name: str = "") -> Any:
    """A copy without secrets: it replaces values of storage options, values under names such as token, and user info and signatures in
    URLs.

    >>> redact({"storage_options": {"key": "k"}, "url": "s3://u:p@b/x?X-Amz-Signature=ab&n=1", "seed": 3})
    {'storage_options': {'key': '***'}, 'url': 's3://b/x?X-Amz-Signature=***&n=1', 'seed': 3}
    """
    if _OPTION_NAME.search(name):
        return {str(key): _HIDDEN for key in value} if isinstance(value, Mapping) else _HIDDEN
    if _SECRET_NAME.search(name) and value is not None:
        return _HIDDEN
    if isinstance(value, Mapping):
        return {str(key): redact(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [redact(item) for item in items]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _QUERY_SECRET.sub(rf"\1{_HIDDEN}", _USER_INFO.sub("", str(value)))


def _stamp(moment: datetime) -> str:
    # Always with microseconds: isoformat leaves them out when they are zero, and such a line would sort and parse differently.
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _user() -> str:
    try:
        import getpass

        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else ""
