"""Parts: kept and found by name, proved, and never those of the job itself. No engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_beam.identity import record_key
from refinery_beam.records import LedgerRow, Ref, ShardRow
from refinery_beam.resume.keys import law_of, part_key
from refinery_beam.resume.parts import FACTS, INSTANCE, PartFile, Parts, discard, folders_of_other_inputs, kept_for_next
from refinery_beam.resume.reused import FIT, SHARD, Counter, Reused, read_reused
from refinery_beam.resume.shards import FinishedShard


def ref(record_id: str, **more: object) -> Ref:
    plain = {
        "source": 0,
        "path": record_id,
        "size": 3,
        "digest": b"d" * 32,
        "label": None,
        "partition": "",
        "group": b"g",
        "split": "train",
    }
    return Ref(**{"record_id": record_id, "key": record_key(record_id), "fields": "", "lineage": "", "split": "train", **plain, **more})  # type: ignore[arg-type]


REFS = [ref("a"), ref("b"), ref("c")]
LAW = law_of("ab" * 32, 7, {"packages": {"numpy": "2"}})


def key(refs: list[Ref] = REFS, *, law: str = LAW, kind: str = SHARD, parts: tuple[object, ...] = ("train", 0, 3), **more: object) -> str:
    return part_key(law, kind, parts, refs, more.get("merged", {}), more.get("poison", ()))  # type: ignore[arg-type]


def test_a_name_holds_everything_that_bytes_follow_from() -> None:
    others = [
        key(REFS[:2]),
        key([*REFS[:2], ref("c", label="x")]),
        key([*REFS[:2], ref("c", digest=b"e" * 32)]),
        key([*REFS[:2], ref("c", tags='["t"]')]),
        key(law=law_of("cd" * 32, 7, {"packages": {"numpy": "2"}})),
        key(law=law_of("ab" * 32, 8, {"packages": {"numpy": "2"}})),
        key(law=law_of("ab" * 32, 7, {"packages": {"numpy": "3"}})),
        key(kind=FIT),
        key(parts=("train", 1, 3)),
        key(parts=("train", 0, 4)),
        key(merged={"train-0": b"1"}),
        key(merged={"train-0": b"2"}),
        key(poison=[("a", "decoding it ends the process: SIGSEGV")]),
    ]
    assert len({key(), *others}) == len(others) + 1
    assert key(REFS[::-1]) == key(), "the order in which records come says nothing"
    assert key(poison=[("elsewhere", "x")]) == key(), "nor do records of other shards"


texts = st.text(max_size=8)
rows = st.builds(
    FinishedShard,
    st.builds(ShardRow, texts, st.integers(0), st.integers(1), st.integers(0), texts, st.integers(0), texts, texts, texts, texts),
    st.lists(st.builds(LedgerRow, *[texts] * 6), max_size=3).map(tuple),
    st.lists(st.tuples(texts, st.binary(max_size=20)), max_size=3).map(tuple),
    st.just((("final", REFS[0]), ("final", ref("ä", label="ü")))),
)


@given(rows)
def test_rows_come_back_as_they_were(finished: FinishedShard) -> None:
    import json

    assert FinishedShard.from_body(json.loads(json.dumps(finished.to_body()))) == finished


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, str]:
    for home in (INSTANCE, FACTS):
        (tmp_path / "one" / home / "x").mkdir(parents=True)
    (tmp_path / "one" / INSTANCE / "x" / "shard").write_bytes(b"rows")
    (tmp_path / "one" / FACTS / "x" / "facts").write_bytes(b"facts!")
    return {home: str(tmp_path / "one" / home) for home in (INSTANCE, FACTS)}


def entries() -> list[PartFile]:
    import hashlib

    return [
        PartFile(INSTANCE, "x/shard", 4, hashlib.sha256(b"rows").hexdigest()),
        PartFile(FACTS, "x/facts", 6, hashlib.sha256(b"facts!").hexdigest()),
    ]


def test_kept_and_found(tmp_path: Path, homes: dict[str, str]) -> None:
    folder, later = str(tmp_path / "resume" / "k"), {home: str(tmp_path / "two" / home) for home in homes}
    mine = Parts(folder, homes, by="me")
    assert mine.find("p") is None and kept_for_next(folder) == ""
    assert mine.keep("p", {"n": 1}, entries()) and mine.keep("p", {"n": 1}, entries())
    assert os.stat(f"{homes[INSTANCE]}/x/shard").st_nlink == 2, "no byte is copied, and no name is left behind"
    assert mine.find("p") is None, "work that is repeated is done again"
    found = Parts(folder, later, by="another").find("p")
    assert found == ({"n": 1}, entries())
    assert (tmp_path / "two" / INSTANCE / "x" / "shard").read_bytes() == b"rows"
    assert sorted(os.listdir(tmp_path / "two" / FACTS / "x")) == ["facts"]
    discard(folder)
    assert Parts(folder, later, by="another").find("p") is None


def test_all_files_or_none(tmp_path: Path, homes: dict[str, str]) -> None:
    folder, later = str(tmp_path / "resume" / "k"), {home: str(tmp_path / "two" / home) for home in homes}
    Parts(folder, homes, by="me").keep("p", {}, entries())
    facts = tmp_path / "resume" / "k" / "p" / FACTS / "x" / "facts"
    facts.unlink()
    facts.write_bytes(b"facts?")
    assert Parts(folder, later).find("p") is None
    assert not (tmp_path / "two").exists() or not [p for p in (tmp_path / "two").rglob("*") if p.is_file()]


def test_what_cannot_be_kept_costs_nothing(tmp_path: Path, homes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    folder = str(tmp_path / "resume" / "k")
    assert not Parts(folder, homes).keep("p", {}, entries())
    assert Parts(folder, homes).find("p") is None
    assert not Parts("", homes).keep("p", {}, entries())


def test_parts_of_other_inputs(tmp_path: Path) -> None:
    one, two = "a" * 16, "b" * 16
    for name in (f"{one}-{one}-7", f"{one}-{two}-7", f"{one}-{two}-8", f"{two}-{two}-7"):
        (tmp_path / name).mkdir()
    assert folders_of_other_inputs(str(tmp_path / f"{one}-{one}-7")) == (str(tmp_path / f"{one}-{two}-7"),)
    assert folders_of_other_inputs(f"s3://b/resume/{one}-{one}-7") == ()


def test_what_was_taken_over_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "reused").mkdir()
    for _ in range(2):  # a repeated bundle
        counter = Counter(str(tmp_path))
        counter.add(SHARD, "dataset-train-0", records=5, size=100)
        counter.add(FIT, "fit-0", records=9)
        counter.flush()
    assert read_reused(str(tmp_path)) == Reused(shards=1, records=5, bytes=100, fit_records=9)
    assert not Reused() and Reused(fit_records=1)
