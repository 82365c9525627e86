"""The journal: rows that are written without PyArrow, read, compacted, and never lost."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.cache.journal import RunJournal, note_event
from refinery_beam.cache.journal import compact as compacting
from refinery_beam.cache.journal import read as reading
from refinery_beam.cache.journal import write as writing
from refinery_beam.cache.journal.ask import newest_variables
from refinery_beam.cache.journal.compact import compact_journal
from refinery_beam.cache.journal.one_row import row_bytes
from refinery_beam.cache.journal.read import read_journal
from refinery_beam.cache.journal.schema import COLUMNS, LONG, NAMES, arrow_schema

VALUES = {
    "text": st.text(max_size=20),
    "json": st.builds(json.dumps, st.lists(st.integers(), max_size=3)),
    "int": st.integers(-(1 << 63), (1 << 63) - 1),
    "time": st.integers(0, 4_000_000_000_000_000),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
}


@given(st.fixed_dictionaries({c.name: st.none() | VALUES[c.form] for c in COLUMNS}))
def test_a_row_is_what_parquet_readers_read(row: dict[str, Any]) -> None:
    table = pq.read_table(io.BytesIO(row_bytes(row)))
    stored = [(f.name, pa.string() if f.name in LONG else f.type) for f in arrow_schema()]
    assert table.schema.equals(pa.schema(stored))
    (found,) = table.to_pylist()
    for column in COLUMNS:
        value = found[column.name]
        if column.form == "time" and value is not None:
            value = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert value == row[column.name]


def test_another_reader_reads_it_too(tmp_path: Path) -> None:
    import duckdb

    (tmp_path / "a.parquet").write_bytes(row_bytes({"run": "ä", "seed": -3, "seconds": 0.5, "git_dirty": False, "time": 1_000_000}))
    query = f"select run, seed, seconds, git_dirty, epoch(time), host from '{tmp_path}/a.parquet'"
    assert duckdb.sql(query).fetchall() == [("ä", -3, 0.5, False, 1.0, None)]


def rows(root: Path | str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_journal(str(root), **options).table.to_pylist()
    return found


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    journal = RunJournal(str(tmp_path))
    journal.begin(runner="direct", workers=2, recipe_hash="ab", other=[1], phases={"prepare": 1.5})
    (begun,) = rows(tmp_path)
    assert (begun["event"], begun["status"], begun["run"], begun["workers"]) == ("run:begin", "running", journal.run, 2)
    assert json.loads(begun["facts"]) == {"other": [1]}
    journal.end(status="built", exit_code=0, counts={"train": 3})
    (ended,) = rows(tmp_path)
    assert (ended["event"], ended["status"], ended["workers"], ended["counts"]) == ("run:end", "built", 2, '{"train": 3}')
    assert (ended["host"], ended["pid"], ended["python"]) == (platform.node(), os.getpid(), platform.python_version())
    assert ended["started"] == begun["started"] and ended["started"].tzinfo is not None and ended["seconds"] >= 0
    assert journal.notes == []
    assert len(journal.files) == 2 == sum(p.is_file() for p in (tmp_path / "journal").rglob("*"))


def test_a_hit_writes_one_file(tmp_path: Path) -> None:
    journal = RunJournal(str(tmp_path))
    journal.end(status="hit", exit_code=0)
    assert [row["status"] for row in rows(tmp_path)] == ["hit"]
    (day,) = (tmp_path / "journal").iterdir()
    (file,) = day.iterdir()
    assert file.name.endswith(f"-{journal.run}-run-end.parquet")


def test_times_never_step_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [datetime(2030, 1, 1, 12, 0, s, 0, tzinfo=UTC) for s in (5, 3, 9, 9)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moments.pop(0)

    monkeypatch.setattr(writing, "datetime", Clock)
    journal = RunJournal(str(tmp_path))
    journal.begin()
    assert rows(tmp_path)[0]["time"] == rows(tmp_path)[0]["started"]
    journal.end(status="built", exit_code=0)
    assert rows(tmp_path)[0]["seconds"] == 4.0


def test_what_cannot_be_read_is_counted_and_left(tmp_path: Path) -> None:
    RunJournal(str(tmp_path)).end(status="hit", exit_code=0)
    (day,) = (tmp_path / "journal").iterdir()
    (day / "20300101T000000.000000Z-00000000aa-run-end.parquet").write_bytes(b"PAR1 no more")
    (day / "notes.txt").write_text("x")
    found = read_journal(str(tmp_path))
    assert (len(found.table), found.unreadable) == (1, 1)
    assert compact_journal(str(tmp_path)).unreadable == 1
    assert (len(read_journal(str(tmp_path)).table), read_journal(str(tmp_path)).unreadable) == (1, 1)
    assert len(read_journal(str(tmp_path / "none")).table) == 0


def test_columns_of_another_release(tmp_path: Path) -> None:
    """A column that a file lacks is null, and one that this release does not know is left out."""
    day = tmp_path / "journal" / "2030-01-01"
    day.mkdir(parents=True)
    some = [c for c in COLUMNS if c.name in ("event_id", "event", "time", "run")]
    newer = [*some, COLUMNS[3]._replace(name="mood", form="text")]
    data = row_bytes({"event_id": "a", "event": "run:end", "time": 5, "run": "a", "mood": "good"}, columns=newer)
    (day / "20300101T000000.000000Z-aa-run-end.parquet").write_bytes(data)
    (row,) = rows(tmp_path)
    assert (row["run"], row["seed"], "mood" in row) == ("a", None, False)


def test_a_journal_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    journal = RunJournal(str(tmp_path))
    journal.begin()
    journal.end(status="hit", exit_code=0)
    assert len(journal.notes) == 2
    assert "could not be written" in journal.notes[0]
    assert note_event(str(tmp_path), "tag")


def test_many_runs_at_once(tmp_path: Path) -> None:
    def run(n: int) -> None:
        journal = RunJournal(str(tmp_path))
        journal.begin(seed=n)
        journal.end(status="built", exit_code=0)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row["seed"] for row in rows(tmp_path)) == list(range(16))


def test_runs_without_an_end(tmp_path: Path) -> None:
    """One that lives, one that was killed, one whose number another process has now, and one of another machine."""
    code = "from refinery_beam.cache.journal import RunJournal; import os, sys; RunJournal(sys.argv[1]).begin(seed=1); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    RunJournal(str(tmp_path)).begin(seed=2)
    RunJournal(str(tmp_path)).begin(seed=3, process="of another start")
    RunJournal(str(tmp_path)).begin(seed=4, host="elsewhere")
    assert {row["seed"]: row["status"] for row in rows(tmp_path)} == {1: "died", 2: "running", 3: "died", 4: "unknown"}


def test_only_the_newest_are_read_where_that_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(20):
        journal = RunJournal(str(tmp_path))
        journal.begin(seed=n)
        journal.end(status="built", exit_code=0)
    opened: list[str] = []
    real = reading.read_file
    monkeypatch.setattr(reading, "read_file", lambda location, *more: opened.append(location) or real(location, *more))
    assert [row["seed"] for row in rows(tmp_path, newest=5)[:5]] == [19, 18, 17, 16, 15]
    assert len(opened) == 10


def test_one_run_is_found_without_reading_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "GROUP_ROWS", 4)
    for n in range(20):
        journal = RunJournal(str(tmp_path))
        journal.end(status="built", exit_code=0, seed=n, recipe_text=f"text {n % 3}")
    compact_journal(str(tmp_path))
    RunJournal(str(tmp_path)).end(status="hit", exit_code=0, seed=20)
    groups: list[int] = []
    real = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", lambda file, n, **more: groups.extend(n) or real(file, n, **more))
    for row in rows(tmp_path):
        groups.clear()
        assert rows(tmp_path, run=row["run"]) == [row]
        assert len(groups) == 1, "one group of one file holds it"
    assert rows(tmp_path, run="none") == []


def test_long_texts_are_held_once(tmp_path: Path) -> None:
    """33 runs of three recipes of a megabyte each."""
    texts = [str(n) * 1_000_000 for n in range(3)]
    for n in range(30):
        RunJournal(str(tmp_path)).end(status="built", exit_code=0, seed=n, recipe_text=texts[n % 3])
    compact_journal(str(tmp_path))
    for n in range(3):
        RunJournal(str(tmp_path)).end(status="built", exit_code=0, seed=30 + n, recipe_text=texts[n % 3])
    table = read_journal(str(tmp_path)).table
    assert table.nbytes < 5_000_000
    assert [(row["seed"], row["recipe_text"]) for row in table.to_pylist()] == [(n, texts[n % 3]) for n in reversed(range(33))]


# -- compaction
# -----------------------------------------------------------------------------------------------------------------------------------


def test_compaction_keeps_every_row(tmp_path: Path) -> None:
    for n in range(10):
        journal = RunJournal(str(tmp_path))
        journal.begin(seed=n, recipe_text="x" * n)
        if n % 3:
            journal.end(status="built", exit_code=0)
    note_event(str(tmp_path), "tag", status="moved", tag="v1")
    before = rows(tmp_path)
    done = compact_journal(str(tmp_path))
    assert (done.files_before, done.files_after, done.rows) == (17, 1, 11)
    assert rows(tmp_path) == before
    again = compact_journal(str(tmp_path))
    assert (again.files_after, again.rows) == (1, 0)
    RunJournal(str(tmp_path)).end(status="hit", exit_code=0)
    assert compact_journal(str(tmp_path)).rows == 12
    assert rows(tmp_path)[1:] == before


def test_many_files_are_taken_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "BATCH", 7)
    for n in range(40):
        RunJournal(str(tmp_path)).end(status="built", exit_code=0, seed=n, recipe_text=f"text {n % 3}", error=None if n % 2 else "x")
    before = rows(tmp_path)
    assert compact_journal(str(tmp_path)).rows == 40
    assert rows(tmp_path) == before


def test_compaction_that_is_killed_at_any_point_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinery_beam.cache.journal import compact

    for n in range(6):
        journal = RunJournal(str(tmp_path))
        journal.begin(seed=n)
        journal.end(status="built", exit_code=0)
    before = rows(tmp_path)

    class Killed(BaseException):
        pass

    def at_removal(paths: list[str]) -> None:
        for path in paths[: len(paths) // 2]:
            os.unlink(path)
        raise Killed

    monkeypatch.setattr(compact.locations, "remove_all", at_removal)
    with pytest.raises(Killed):
        compact_journal(str(tmp_path))
    monkeypatch.undo()
    assert rows(tmp_path) == before
    assert compact_journal(str(tmp_path)).rows == 6
    assert rows(tmp_path) == before


@pytest.mark.parametrize("where", ["disk", "store"])
def test_nothing_is_lost_beside_writers_readers_and_other_compactions(where: str, tmp_path: Path) -> None:
    root = str(tmp_path) if where == "disk" else f"memory://{tmp_path.name}"
    runs, writers = 15, 4
    stop, problems, counts = threading.Event(), [], []

    def write(number: int) -> None:
        for n in range(runs):
            journal = RunJournal(root)
            journal.begin(seed=number * 1000 + n)
            journal.end(status="built", exit_code=0)
            problems.extend(journal.notes)

    def compact() -> None:
        while not stop.is_set():
            compact_journal(root)

    def read() -> None:
        while not stop.is_set():
            table = read_journal(root, columns=["run"]).table
            names = table.column("run").to_pylist()
            assert len(names) == len(set(names))
            counts.append(len(names))

    def guarded(body: Any, *args: Any) -> None:
        try:
            body(*args)
        except BaseException as error:
            problems.append(repr(error))

    workers = [threading.Thread(target=guarded, args=(write, n)) for n in range(writers)]
    others = [threading.Thread(target=guarded, args=(body,)) for body in (compact, compact, read)]
    for thread in (*workers, *others):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    for thread in others:
        thread.join()
    assert problems == []
    assert counts == sorted(counts)
    assert sorted(row["seed"] for row in rows(root)) == sorted(w * 1000 + n for w in range(writers) for n in range(runs))
    assert {row["status"] for row in rows(root)} == {"built"}


def test_a_journal_on_a_store_is_on_the_store() -> None:
    root = "memory://journal-of-a-test"
    RunJournal(root).end(status="hit", exit_code=0)
    assert [row["status"] for row in rows(root)] == ["hit"]
    assert compact_journal(root).files_after == 1
    assert [row["status"] for row in rows(root)] == ["hit"]


# -- lines of before
# ------------------------------------------------------------------------------------------------------------------------------

OLD = Path(__file__).parents[1] / "data" / "journal-1.jsonl"


def old_journal(root: Path) -> Path:
    folder = root / "journal"
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(OLD, folder / "20251128T101112.000001Z-0123abcd.jsonl"))


def test_lines_of_before_are_rows_like_the_others(tmp_path: Path) -> None:
    path = old_journal(tmp_path)
    with open(path, "ab") as file:
        file.write(b'{"event": "run:end", "ti\n\xff\xfe\n[1]\n{"event": 5, "time": "x"}\n')
    RunJournal(str(tmp_path)).end(status="hit", exit_code=0)
    new, old = rows(tmp_path)
    assert new["status"] == "hit"
    assert (old["run"], old["status"], old["seconds"], old["recipe"], old["seed"]) == ("0123abcd", "built", 2.5, "cats", 3)
    assert old["key"] == f"{'ab' * 8}-{'cd' * 8}-3"
    assert newest_variables(str(tmp_path), old["key"]) == {"REFINERY_BEAM_SOURCE_PHOTOS": "/data/photos"}
    assert json.loads(old["facts"])["weather"] == "fine"


def test_lines_of_before_are_compacted_once_their_run_is_over(tmp_path: Path) -> None:
    path = old_journal(tmp_path)
    going_on = path.with_name("20251128T101113.000001Z-4567abcd.jsonl")
    going_on.write_text(path.read_text().splitlines(keepends=True)[0].replace("0123abcd", "4567abcd"))
    before = rows(tmp_path)
    assert [row["run"] for row in before] == ["0123abcd", "4567abcd"]
    compact_journal(str(tmp_path))
    assert (path.exists(), going_on.exists()) == (False, True)
    assert rows(tmp_path) == before


# -- secrets
# --------------------------------------------------------------------------------------------------------------------------------------

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "facts",
    [
        {"storage_options": {"anything": CANARY, "deep": {"er": CANARY}}},
        {"gs": {"storage_option": [f"token={CANARY}"]}},
        {"url": f"https://user:{CANARY}@host/path"},
        {"recipe_path": f"https://{CANARY}@host/path"},
        {"message": f"cannot read s3://key:p@{CANARY}@bucket/x"},
        {"args": ["run", f"https://h/p?x=1&X-Amz-Signature={CANARY}&y=2"]},
        {"args": (f"az://a@b/?sig={CANARY}",)},
        {"password": CANARY, "API_KEY": CANARY, "GitHubToken": CANARY, "aws_secret_access_key": CANARY, "account_key": CANARY},
        {"nested": [{"connection_string": CANARY}], "headers": {"Authorization": f"Bearer {CANARY}"}},
        {"variables": [["X", f"http://u:{CANARY}@h/x?{CANARY}"]]},
    ],
)
def test_no_secret_is_ever_written(tmp_path: Path, facts: dict[str, Any]) -> None:
    journal = RunJournal(str(tmp_path))
    journal.begin(**facts)
    journal.end(status="failed", exit_code=1, **facts)
    assert journal.notes == []
    assert not any(CANARY.encode() in Path(file).read_bytes() for file in journal.files)


def test_names_are_known_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
