"""Which records a job's markers name: those that dead processes were working on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from refinery_beam.crashes.markers import FOLDER, Markers, Task, read_markers
from refinery_beam.identity import record_key
from refinery_beam.job.job import Job
from refinery_beam.plugins.base import BadRecord
from refinery_beam.records import Ref


def ref(name: str) -> Ref:
    record_id = f"photos/{name}"
    return Ref(record_id, record_key(record_id), 0, name, 1, b"\xff\x00", "circle", "", b"", "train", "", "")


def job(tmp_path: Path, **more: object) -> Job:
    (tmp_path / FOLDER).mkdir(exist_ok=True)
    folders = {"plan": None, "instance": str(tmp_path), "work": str(tmp_path)}
    return Job(**{**folders, "threads": 1, "records": 1, "shard_records": 1, "grouped": False, **more})  # type: ignore[arg-type]


@pytest.fixture
def by_process(tmp_path: Path) -> Callable[[int], None]:
    """Say that what this process marks was marked by another."""

    def change(pid: int) -> None:
        (path,) = (p for p in (tmp_path / FOLDER).iterdir() if not p.name.endswith(".fitted"))
        text = path.read_bytes()
        size = int.from_bytes(text[:4], "big")
        header = json.dumps({**json.loads(text[4 : 4 + size]), "pid": pid}).encode()
        with path.open("r+b") as file:
            file.write(len(header).to_bytes(4, "big") + header)

    return change


def dead() -> int:
    """The pid of a process that has ended and was asked how."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def test_a_living_process_is_left_out(tmp_path: Path) -> None:
    with Markers(job(tmp_path), Task("write")).on(ref("a.png")):
        assert read_markers(str(tmp_path)) == []


def test_a_dead_one_names_its_record_and_all_that_is_needed_to_try_it(tmp_path: Path, by_process: Callable[[int], None]) -> None:
    markers = Markers(job(tmp_path), Task("fit", "train-1"))
    markers.knowing({"resize": {"mean": 1}})
    with markers.on(ref("a.png")):
        by_process(dead())
        (marker,) = read_markers(str(tmp_path))
    assert (marker.task, marker.ref, marker.fitted) == (Task("fit", "train-1"), ref("a.png"), {"resize": {"mean": 1}})
    assert read_markers(str(tmp_path)) == [], "it has finished the record since"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only /proc tells a zombie from a process")
def test_a_zombie_is_dead(tmp_path: Path, by_process: Callable[[int], None]) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with Markers(job(tmp_path), Task("write")).on(ref("a.png")):
        by_process(process.pid)
        assert [m.ref.record_id for m in read_markers(str(tmp_path))] == ["photos/a.png"]
    process.wait()


def test_a_slot_for_each_record_at_once(tmp_path: Path, by_process: Callable[[int], None]) -> None:
    """Threads have a slot each: one clears its own and no other."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    markers, met, read = Markers(job(tmp_path), Task("write")), Barrier(3), Barrier(3)

    def work(name: str) -> None:
        with markers.on(ref(name)):
            met.wait(60)
            read.wait(60)

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(work, name) for name in ("b.png", "a.png")]
        met.wait(60)
        by_process(dead())
        assert [m.ref.path for m in read_markers(str(tmp_path))] == ["a.png", "b.png"]
        read.wait(60)
        for future in done:
            future.result()


@pytest.mark.parametrize(
    "begun", [b"", b"\0\0", b"\0\0\0\x09", b'\0\0\0\x09{"host": '], ids=["empty", "no length", "no text", "half a text"]
)
def test_a_file_that_was_just_begun_hides_no_other(begun: bytes, tmp_path: Path, by_process: Callable[[int], None]) -> None:
    """A thread may kill the process while another has opened its file and written nothing, or not all of its first line."""
    with Markers(job(tmp_path), Task("write")).on(ref("a.png")):
        by_process(dead())
        (tmp_path / FOLDER / "0-begun").write_bytes(begun)
        assert [marker.ref.path for marker in read_markers(str(tmp_path))] == ["a.png"]


def test_poison_is_refused_before_its_file_is_touched(tmp_path: Path) -> None:
    markers = Markers(job(tmp_path, poison=(("photos/a.png", "decoding it ends the process: SIGSEGV"),)), Task("write"))
    with pytest.raises(BadRecord) as caught, markers.on(ref("a.png")):
        raise AssertionError("it was worked on")
    assert (caught.value.reason, caught.value.detail) == ("kills_worker", "decoding it ends the process: SIGSEGV")
    with markers.on(ref("b.png")):
        pass
