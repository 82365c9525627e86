import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.cache import RunJournal, read_journal, redact
from refinery_beam.cache import journal as journal_module


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    journal = RunJournal(str(tmp_path), attempt="0123abcd")
    journal.start(runner="direct", workers=2, key={"recipe_hash": "ab"}, versions={"pillow": "12"})
    journal.append("instance:healed", damage="x")
    journal.end(status="built", exit_code=0)
    end, healed, start = read_journal(str(tmp_path))
    assert [e["event"] for e in (start, healed, end)] == ["run:start", "instance:healed", "run:end"]
    assert [e["seq"] for e in (start, healed, end)] == [0, 1, 2]
    assert {e["attempt"] for e in (start, healed, end)} == {"0123abcd"}
    assert (start["pid"], start["workers"], start["key"]) == (os.getpid(), 2, {"recipe_hash": "ab"})
    assert {"host", "user", "time", "python"} <= start.keys()
    assert (end["status"], end["exit_code"]) == ("built", 0)
    assert end["seconds"] >= 0
    assert journal.notes == []
    assert len(os.listdir(tmp_path / "journal")) == 1


def test_times_always_have_microseconds_and_never_step_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [datetime(2030, 1, 1, 12, 0, s, 0, tzinfo=UTC) for s in (5, 3, 9)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moments.pop(0)

    monkeypatch.setattr(journal_module, "datetime", Clock)
    journal = RunJournal(str(tmp_path))
    journal._last = datetime(2029, 1, 1, tzinfo=UTC)
    for n in range(3):
        journal.append("e", n=n)
    events = read_journal(str(tmp_path))
    assert [e["n"] for e in events] == [2, 1, 0]
    assert [e["time"] for e in events] == ["2030-01-01T12:00:09.000000Z", "2030-01-01T12:00:05.000000Z", "2030-01-01T12:00:05.000000Z"]


def test_broken_lines_and_files_are_left_out(tmp_path: Path) -> None:
    journal = RunJournal(str(tmp_path))
    journal.start()
    assert journal.path is not None
    with open(journal.path, "ab") as file:
        file.write(b'{"event": "run:end", "ti\n\xff\xfe\n[1]\n{"event": 5, "time": "x"}\n')
    (tmp_path / "journal" / "empty.jsonl").write_bytes(b"")
    (tmp_path / "journal" / "folder.jsonl").mkdir()
    (tmp_path / "journal" / "notes.txt").write_text('{"event": "e", "time": "t"}')
    assert [e["event"] for e in read_journal(str(tmp_path))] == ["run:start"]
    assert read_journal(str(tmp_path / "none")) == []


def test_a_journal_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    journal = RunJournal(str(tmp_path))
    journal.start()
    journal.end(status="hit", exit_code=0)
    assert len(journal.notes) == 2
    assert "could not be written" in journal.notes[0]


def test_many_runs_at_once(tmp_path: Path) -> None:
    def run(n: int) -> None:
        journal = RunJournal(str(tmp_path))
        journal.start(n=n)
        journal.end(status="built", exit_code=0)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = read_journal(str(tmp_path))
    assert sorted(e["n"] for e in events if e["event"] == "run:start") == list(range(16))
    assert sum(e["event"] == "run:end" for e in events) == 16


CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "facts",
    [
        {"storage_options": {"anything": CANARY, "deep": {"er": CANARY}}},
        {"gs": {"storage_option": [f"token={CANARY}"]}},
        {"url": f"https://user:{CANARY}@host/path"},
        {"url": f"s3://key:p@{CANARY}@bucket/x"},
        {"args": ["run", f"https://h/p?x=1&X-Amz-Signature={CANARY}&y=2"]},
        {"args": (f"az://a@b/?sig={CANARY}",)},
        {"password": CANARY, "API_KEY": CANARY, "GitHubToken": CANARY, "aws_secret_access_key": CANARY, "account_key": CANARY},
        {"nested": [{"connection_string": CANARY}]},
    ],
)
def test_no_secret_is_ever_written(tmp_path: Path, facts: dict[str, Any]) -> None:
    journal = RunJournal(str(tmp_path))
    journal.start(**facts)
    journal.end(status="failed", exit_code=1, **facts)
    assert journal.notes == [] and journal.path is not None
    assert CANARY not in Path(journal.path).read_text()


def test_what_is_no_secret_stays() -> None:
    facts = {"recipe_hash": "ab", "seed": 3, "url": "abfss://container@account.dfs/x?n=1", "workers": None, "keys": ["a@b"], "ratio": 0.5}
    assert redact(facts) == facts
    assert redact({"a": {2, 1}, "b": (Path("x"),)}) == {"a": [1, 2], "b": ["x"]}
