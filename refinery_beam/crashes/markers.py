"""Markers: workers write down which records they are working on, so that the driver knows them if a worker dies.

A process that is killed cannot report anything. So each process has a file of its own, with one slot a thread: the thread writes the record
into its slot before it touches the record's file, over the record before, and clears the slot when it has no more. A write takes some five
microseconds.
Bytes that were written outlive their process. (The file is not memory-mapped: a full disk would then end the worker with SIGBUS, where a
write merely fails.)

A marker holds everything that is needed to do the same work again in another process; see `crashes.retry_alone`.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from refinery_beam import locations
from refinery_beam.job.job import Job
from refinery_beam.plugins.base import BadRecord
from refinery_beam.processes import is_alive
from refinery_beam.record.lineage import file_record_id
from refinery_beam.record.steps import Fitted
from refinery_beam.records import Ref

FOLDER = "markers"
"""The folder of marker files, below ``Job.work``."""

SLOT_BYTES = 64 << 10
"""Bytes kept for one marker. The file is sparse: unused bytes take no room on disk."""

_EMPTY = bytes(4)


@dataclass(frozen=True)
class Task:
    """The work on records: `kind` is peek, fit or write; `name` the filter ('' for the signatures of splits) or the fit point."""

    kind: str
    name: str = ""


@dataclass(frozen=True)
class Marker:
    """One record that a process was working on, with the task and the statistics to work on it again."""

    task: Task
    ref: Ref
    fitted: Fitted


class Markers:
    """Writes the markers of one DoFn in one process. Safe to use from several threads.

    It also refuses the records that are known to kill their worker (``Job.poison``): they are bad records.
    """

    def __init__(self, job: Job, task: Task) -> None:
        self._poison = dict(job.poison)
        self._slots = itertools.count(1)
        self._own = threading.local()
        self._lock = threading.Lock()
        self._knows = False
        self._file: Any = None
        # A name of its own: processes on several machines may share the folder and a pid.
        self._path = os.path.join(job.work, FOLDER, f"{os.getpid()}-{os.urandom(4).hex()}")
        if locations.is_url(job.work):
            return  # objects of a store cannot be written in the middle; the engine's own log says why its workers died
        header = json.dumps({"host": platform.node(), "pid": os.getpid(), "task": [task.kind, task.name]})
        try:
            self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115
            os.pwrite(self._file.fileno(), _framed(header), 0)
        except OSError:
            self._file = None  # the run goes on without markers: they matter only if a worker dies

    def knowing(self, fitted: Fitted) -> None:
        """Write down the fitted statistics that the task uses. They are the same for the whole job, so the first call writes them, and the
        others wait: no thread writes a marker before they are whole.
        """
        with self._lock:
            if self._knows or not fitted or self._file is None:
                return
            self._knows = True
            with suppress(OSError), open(self._path + ".fitted", "w", encoding="utf-8") as file:
                json.dump(fitted, file)

    def begin(self, ref: Ref) -> None:
        """Write a marker of the record that this thread works on from now on, over that of the record before. Raises BadRecord
        ``kills_worker`` for a record that is known to kill its worker.
        """
        if self._poison:
            detail = self._poison.get(ref.record_id) or self._poison.get(file_record_id(ref))
            if detail is not None:
                raise BadRecord("kills_worker", detail, stage="Input")
        self._write(_framed(_dump(ref)), self._slot())

    def end(self) -> None:
        """Clear this thread's marker: it works on no record."""
        self._write(_EMPTY, self._slot())

    @contextmanager
    def on(self, ref: Ref) -> Iterator[None]:
        """A marker of the record while the body runs."""
        self.begin(ref)
        try:
            yield
        finally:
            self.end()

    def close(self) -> None:
        """Close the file, when this worker ends."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _slot(self) -> int:
        """Where in the file this thread writes."""
        slot: int | None = getattr(self._own, "slot", None)
        if slot is None:
            slot = self._own.slot = next(self._slots) * SLOT_BYTES
        return slot

    def _write(self, data: bytes, slot: int) -> None:
        if self._file is not None:
            try:
                os.pwrite(self._file.fileno(), data, slot)
            except (OSError, ValueError):
                self._file = None


def read_markers(work: str) -> list[Marker]:
    """The records that dead processes of a job were working on, sorted by record id, each once for each task.

    Processes of this machine that still run are left out. Nobody here knows whether a process of another machine runs, so its records
    count.
    """
    folder = os.path.join(work, FOLDER)
    found: dict[tuple[str, str, str], Marker] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".fitted"):
            continue
        path = os.path.join(folder, name)
        try:
            for marker in _read(path):
                found.setdefault((marker.ref.record_id, marker.task.kind, marker.task.name), marker)
        except (OSError, ValueError, TypeError):
            continue  # half written: its process had not begun to work
    return [found[key] for key in sorted(found)]


def _read(path: str) -> Iterator[Marker]:
    whole = locations.read(path)
    first = _unframed(whole, 0)
    if not first:
        return  # opened, and nothing was written yet: another thread was faster to end the process
    header = json.loads(first)
    if header["host"] == platform.node() and is_alive(header["pid"]):
        return
    texts = [text for slot in range(SLOT_BYTES, len(whole), SLOT_BYTES) if (text := _unframed(whole, slot))]
    if not texts:
        return
    fitted: Mapping[str, Any] = {}
    if os.path.exists(path + ".fitted"):
        with open(path + ".fitted", encoding="utf-8") as file:
            fitted = json.load(file)
    for text in texts:
        yield Marker(Task(*header["task"]), _load(text), fitted)


def _framed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")[: SLOT_BYTES - 4]
    return len(data).to_bytes(4, "big") + data


def _unframed(whole: bytes, slot: int) -> str:
    size = int.from_bytes(whole[slot : slot + 4], "big")
    return whole[slot + 4 : slot + 4 + size].decode("utf-8", "surrogatepass")


def _dump(ref: Ref) -> str:
    return _encode([value.hex() if isinstance(value, bytes) else value for value in ref])


_encode = json.JSONEncoder().encode  # made once: `json.dumps` with no options would do the same


def _load(text: str) -> Ref:
    raw = ("key", "digest", "group")
    values: list[Any] = [bytes.fromhex(v) if name in raw else v for name, v in zip(Ref._fields, json.loads(text), strict=True)]
    return Ref(*values)
