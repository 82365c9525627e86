"""Marks: which records a worker has in its hands, left where the driver finds them should the worker die.

A process that is killed says nothing. So each names a record before it touches its file and takes the name back after it: two small writes
at a fixed place of a file of its own, one place a thread; ten to fifteen microseconds together. Bytes that were written outlive their
process. (Not memory-mapped: a full disk would then end the worker with SIGBUS, where a write merely fails.)

What a mark holds is enough to do the same work again elsewhere; see `runners.alone`.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from refinery_beam import places
from refinery_beam.job.job import Job
from refinery_beam.plugins.base import BadRecord
from refinery_beam.record.lineage import file_record_id
from refinery_beam.record.steps import Fitted
from refinery_beam.records import Ref

FOLDER = "marks"
PLACE = 64 << 10
"""Bytes kept for one mark. The file is sparse: only what is written takes room."""


@dataclass(frozen=True)
class Task:
    """What is done to records: `kind` is look, fit or write; `name` the filter ('' for the signatures of splits) or the fit point."""

    kind: str
    name: str = ""


@dataclass(frozen=True)
class Mark:
    """One record that a process was at work on, with what it needs to be worked on again."""

    task: Task
    ref: Ref
    fitted: Fitted


class Marks:
    """The marks of one DoFn in one process. Safe to use from several threads.

    Also the gate for records that are known to end every process that works on them (``Job.deadly``): these are bad records.
    """

    def __init__(self, job: Job, task: Task) -> None:
        self._deadly = dict(job.deadly)
        self._places = itertools.count(1)
        self._own = threading.local()
        self._lock = threading.Lock()
        self._knows = False
        self._file: Any = None
        # A name of its own: processes on several machines may share the folder and a pid.
        self._path = os.path.join(job.work, FOLDER, f"{os.getpid()}-{os.urandom(4).hex()}")
        if places.is_url(job.work):
            return  # a store has no place in the middle of an object; the engine's own log tells what its workers died on
        header = json.dumps({"host": platform.node(), "pid": os.getpid(), "task": [task.kind, task.name]})
        try:
            self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115
            os.pwrite(self._file.fileno(), _framed(header), 0)
        except OSError:
            self._file = None  # the run does without: marks are for bad days

    def knowing(self, fitted: Fitted) -> None:
        """The statistics that the records to come are worked on with. They are the same for the whole job, so once is enough."""
        with self._lock:
            if self._knows or not fitted or self._file is None:
                return
            self._knows = True
        try:
            with open(self._path + ".fitted", "w", encoding="utf-8") as file:
                json.dump(fitted, file)
        except OSError:
            return

    @contextmanager
    def on(self, ref: Ref) -> Iterator[None]:
        """Inside, the record is marked. Raises BadRecord ``kills_worker`` for one that would end this process."""
        if self._deadly:
            detail = self._deadly.get(ref.record_id) or self._deadly.get(file_record_id(ref))
            if detail is not None:
                raise BadRecord("kills_worker", detail, stage="Input")
        at = self._place()
        self._write(_framed(_dump(ref)), at)
        try:
            yield
        finally:
            self._write(_NOTHING, at)

    def close(self) -> None:
        """Forget them all: this worker lived."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _place(self) -> int:
        place: int | None = getattr(self._own, "place", None)
        if place is None:
            place = self._own.place = next(self._places) * PLACE
        return place

    def _write(self, data: bytes, at: int) -> None:
        if self._file is not None:
            try:
                os.pwrite(self._file.fileno(), data, at)
            except (OSError, ValueError):
                self._file = None


def read_marks(work: str) -> list[Mark]:
    """The records that dead processes of a job had in their hands, by record id, each once for each task.

    A process of this machine that lives is left out; of one elsewhere nobody can tell, so what it holds counts.
    """
    folder = os.path.join(work, FOLDER)
    found: dict[tuple[str, str, str], Mark] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".fitted"):
            continue
        path = os.path.join(folder, name)
        try:
            for mark in _read(path):
                found.setdefault((mark.ref.record_id, mark.task.kind, mark.task.name), mark)
        except (OSError, ValueError, TypeError):
            continue  # half written: its process was about to begin
    return [found[key] for key in sorted(found)]


_NOTHING = bytes(4)


def _read(path: str) -> Iterator[Mark]:
    with open(path, "rb") as file:
        whole = file.read()
    header = json.loads(_unframed(whole, 0) or "{}")
    if header["host"] == platform.node() and _lives(header["pid"]):
        return
    texts = [text for at in range(PLACE, len(whole), PLACE) if (text := _unframed(whole, at))]
    if not texts:
        return
    fitted: Mapping[str, Any] = {}
    if os.path.exists(path + ".fitted"):
        with open(path + ".fitted", encoding="utf-8") as file:
            fitted = json.load(file)
    for text in texts:
        yield Mark(Task(*header["task"]), _load(text), fitted)


def _lives(pid: int) -> bool:
    """Whether a process of this machine runs. A zombie does not run any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return True  # no /proc here
    except (OSError, IndexError):
        return False  # gone while it was read


def _framed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")[: PLACE - 4]
    return len(data).to_bytes(4, "big") + data


def _unframed(whole: bytes, at: int) -> str:
    size = int.from_bytes(whole[at : at + 4], "big")
    return whole[at + 4 : at + 4 + size].decode("utf-8", "surrogatepass")


def _dump(ref: Ref) -> str:
    return json.dumps([value.hex() if isinstance(value, bytes) else value for value in ref])


def _load(text: str) -> Ref:
    raw = ("key", "digest", "group")
    values: list[Any] = [bytes.fromhex(v) if name in raw else v for name, v in zip(Ref._fields, json.loads(text), strict=True)]
    return Ref(*values)
