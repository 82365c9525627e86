"""Workers that die: killed from outside, or by one file whose decoding ends the process. Real processes, real signals."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from refinery_beam.identity import record_key
from support.deadly import IN_THE_BACKGROUND, finish, spoil, start
from support.processes import left_over


@pytest.fixture
def photos(class_folders: Path, tmp_path: Path) -> Path:
    """Half of the pictures: few runs are long."""
    root = tmp_path / "photos"
    for file in sorted(class_folders.rglob("*.*"))[::2]:
        location = root / file.parent.name / file.name
        location.parent.mkdir(parents=True, exist_ok=True)
        location.write_bytes(file.read_bytes())
    return root


def nothing_is_left(photos: Path) -> None:
    cache = photos.parent / "cache"
    assert not list(cache.glob("instances/*/*/*")) and not list(cache.glob("staging/*-*-*-*"))
    assert left_over(photos.parent) == []


needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

PROCESSES = ("--mode", "processes", "--workers", "2")
THREADS = ("--mode", "threads", "--workers", "2")


@pytest.mark.parametrize("mode", [pytest.param(PROCESSES, marks=pytest.mark.slow, id="processes"), pytest.param(THREADS, id="threads")])
def test_a_poison_record_is_named(photos: Path, mode: tuple[str, ...]) -> None:
    bad = spoil(photos, b"SEGFAULT")
    process = start(photos, *mode)
    code, body = finish(process)
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"], error["value"]) == (4, "poison-record", "SIGSEGV")
    assert error["place"] == str(photos.parent / bad)
    assert error["message"] == f"decoding it ends the process, 3 of 3 times alone: SIGSEGV (record {bad})"
    nothing_is_left(photos)
    if mode == PROCESSES:  # among the slow tests
        (photos.parent / bad).unlink()
        assert finish(start(photos, *mode))[0] == 0


@pytest.fixture
def icons(tmp_path: Path) -> Path:
    """So many small pictures that forked processes prepare them."""
    root = tmp_path / "photos"
    for number in range(400):
        location = root / "ab"[number % 2] / f"{number:03}.png"
        location.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, 9, number // 2)).save(location)
    return root


def last_by_key(photos: Path) -> int:
    """The position of the picture that is prepared last."""
    names = [f"photos/{file.relative_to(photos)}" for file in sorted(photos.rglob("*.*"))]
    return max(range(len(names)), key=lambda n: record_key(names[n]))


@needs_fork
@pytest.mark.slow
def test_a_poison_record_of_a_forked_process_is_named(icons: Path) -> None:
    """Processes that the driver forked are at work on it, and the driver survives them."""
    bad = spoil(icons, b"SEGFAULT", last_by_key(icons))
    code, body = finish(start(icons, "--workers", "2", shard_records=400))
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"], error["value"]) == (4, "poison-record", "SIGSEGV")
    assert error["message"] == f"decoding it ends the process, 3 of 3 times alone: SIGSEGV (record {bad})"
    nothing_is_left(icons)


@needs_fork
@pytest.mark.slow
def test_a_poison_record_of_a_pass_that_fits_is_named(icons: Path) -> None:
    """The forked processes observe records too. Most are train's: of five bad ones some are met in that pass."""
    bad = {spoil(icons, b"SEGFAULT", number) for number in range(100, 105)}
    code, body = finish(start(icons, "--workers", "2", shard_records=400, floats=True))
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"], error["value"]) == (4, "poison-record", "SIGSEGV")
    assert any(error["message"].endswith(f"(record {one})") for one in bad)
    nothing_is_left(icons)
    code, body = finish(start(icons, "--workers", "2", on_error="quarantine", shard_records=400, floats=True))
    assert (code, body["ledger"]) == (0, {"kills_worker": 5})
    assert left_over(icons.parent) == []


@needs_fork
@pytest.mark.slow
def test_a_killed_forked_process_names_what_it_held(icons: Path) -> None:
    held = spoil(icons, b"KILL-ONCE", last_by_key(icons))
    code, body = finish(start(icons, "--workers", "2", on_error="quarantine", shard_records=400))
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"], error["value"]) == (4, "worker-died", "SIGKILL")
    assert error["message"] == f"the process at work died (SIGKILL); at work on {held}; alone each came through 3 times"
    nothing_is_left(icons)
    assert finish(start(icons, "--workers", "2", shard_records=400))[0] == 0
    bad = spoil(icons, b"SEGFAULT", last_by_key(icons) - 1)
    code, body = finish(start(icons, "--workers", "2", on_error="quarantine", shard_records=400))
    assert (code, body["ledger"]) == (0, {"kills_worker": 1}), bad
    assert left_over(icons.parent) == []


@pytest.mark.slow
def test_poison_records_reach_the_ledger(photos: Path) -> None:
    """In both modes: the same ledger, the same bytes."""
    bad = spoil(photos, b"SEGFAULT")
    code, body = finish(start(photos, *PROCESSES, on_error="quarantine"))
    assert (code, body["ledger"]) == (0, {"kills_worker": 1})
    digest = body["files_digest"]
    shutil.rmtree(photos.parent / "cache")
    code, body = finish(start(photos, *THREADS, on_error="quarantine"))
    assert (code, body["files_digest"]) == (0, digest)
    (row,) = pq.read_table(Path(str(body["instance"])) / "report" / "ledger.parquet").to_pylist()
    assert (row["record_id"], row["stage"], row["detail"]) == (bad, "Input", "decoding it ends the process: SIGSEGV")


@pytest.mark.slow
@pytest.mark.parametrize("before", [(), IN_THE_BACKGROUND], ids=["foreground", "background"])
def test_a_killed_worker_names_what_it_held(photos: Path, before: tuple[str, ...]) -> None:
    held = spoil(photos, b"KILL-ONCE")
    process = start(photos, *PROCESSES, on_error="quarantine", before=before)
    died = photos.parent / "died"
    while not died.exists() and process.poll() is None:
        time.sleep(0.01)
    begun = time.monotonic()
    code, body = finish(process)
    assert time.monotonic() - begun < 100, "some three seconds where nothing else runs"
    (error,) = body["errors"]  # type: ignore[misc]
    assert (code, error["code"], error["value"]) == (4, "worker-died", "SIGKILL")
    assert error["message"] == f"the process at work died (SIGKILL); at work on {held}; alone each came through 3 times"
    nothing_is_left(photos)
    assert finish(start(photos, *PROCESSES))[0] == 0


@pytest.mark.slow
def test_the_next_run_tells_what_a_run_of_the_library_died_on(photos: Path) -> None:
    """In threads, without a parent, the first run just dies; the second knows why before it begins."""
    bad = spoil(photos, b"SEGFAULT")
    start(photos, *THREADS).kill()
    code = "import sys, refinery_beam as rb; rb.run(sys.argv[1], cache_root=sys.argv[2], mode='threads', workers=2)"
    command = [sys.executable, "-c", code, str(photos.parent / "recipe.yaml"), str(photos.parent / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(photos.parent / "hook")}
    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert first.returncode == -signal.SIGSEGV
    process = start(photos, *THREADS)
    code_of_second, body = finish(process)
    assert (code_of_second, body["errors"][0]["code"]) == (4, "poison-record")  # type: ignore[index]
    assert bad in body["errors"][0]["message"]  # type: ignore[index]
