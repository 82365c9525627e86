"""What other processes prepare is what threads prepare, byte for byte, whatever the sizes of batches."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refinery_beam.errors import DataError, RefineryError
from refinery_beam.forked import elsewhere
from refinery_beam.forked.elsewhere import Elsewhere
from refinery_beam.job.job import WORK_FOLDERS, Job
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.settings import Settings
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.planning.splits.refs import make_refs
from refinery_beam.record import batch
from refinery_beam.record.prepared import ONE_THREAD, Crew
from refinery_beam.record.shard import write_shard
from refinery_beam.record.worker import Worker
from refinery_beam.records import Ref, ShardRow
from support.recipes import SMALL, write_recipe

MANY = 90


class Pool:
    """Calls a function as another process would: whatever goes in or out is pickled."""

    def __init__(self) -> None:
        self.lines, self.processes = ThreadPoolExecutor(2), 2
        self.words: list[str] = []
        self.calls, self.closed = 0, False
        self.pays: bool | None = None

    def decide(self, pays: bool) -> bool:
        first, self.pays = self.pays is None, pays if self.pays is None else self.pays
        return first

    def close(self) -> None:
        self.closed = True

    def tell(self, words: str) -> None:
        self.words.append(words)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.calls += 1
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))  # noqa: S301
        return pickle.loads(pickle.dumps(function(*arguments)))  # noqa: S301


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.lines.shutdown()
    elsewhere._known.cache_clear()


@pytest.fixture
def made(tmp_path: Path) -> tuple[Worker, list[Any], Job]:
    noise = np.random.default_rng(1)
    for number in range(MANY):
        location = tmp_path / "photos" / "abc"[number % 3] / f"{number:03}.png"
        location.parent.mkdir(parents=True, exist_ok=True)
        size = (9, 8) if number % 7 else (200, 150)
        Image.fromarray(noise.integers(0, 256, (*size, 3), np.uint8)).save(location)
    steps = [
        "{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train]}",
        "{name: normalize, op: normalize, fit_source: train, splits: [train]}",
    ]
    recipe = write_recipe(tmp_path / "photos", tmp_path, base=SMALL, splits={"ratios": {"train": 1.0}}, transformations=steps)
    ready = prepare(recipe, Settings(cache_root=str(tmp_path / "cache")))
    refs, _ = make_refs(ready.index, ready.plan, ready.plugin)
    for name in WORK_FOLDERS:
        (tmp_path / "work" / name).mkdir(parents=True)
    job = Job(
        plan=ready.plan, instance=str(tmp_path), work=str(tmp_path / "work"), threads=2, records=MANY, shard_records=MANY, grouped=False
    )
    return Worker(ready.plan), [ref._replace(split="train") for ref in refs], job


def write(made: tuple[Worker, list[Any], Job], name: str, crew: Crew) -> tuple[ShardRow, str]:
    """The row of the shard, and a digest of all its files and statistics."""
    worker, refs, job = made
    folder = Path(job.work) / name
    for part in ("facts", "scratch"):
        (folder / part).mkdir(parents=True)
    where = {"folder": str(folder / "dataset"), "scratch": str(folder / "scratch"), "facts": str(folder / "facts")}
    shard = write_shard(worker, refs, {}, split="train", shard=0, shards=1, crew=crew, **where)
    files = sorted(folder.rglob("*.parquet"))
    assert len(files) == 4
    proof = b"".join(file.name.encode() + file.read_bytes() for file in files)
    return shard.row, hashlib.sha256(proof + b"".join(p.dumps() for p in shard.partials.values())).hexdigest()


def test_processes_threads_and_batches_of_any_size_write_the_same(
    made: tuple[Worker, list[Any], Job], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write(made, "plain", ONE_THREAD)
    crew = Crew(elsewhere=Elsewhere(pool, made[2]))  # type: ignore[arg-type]
    monkeypatch.setattr(elsewhere, "MOVED", 1e12)
    assert write(made, "elsewhere", crew) == plain
    assert pool.calls > 0 and pool.words[-1].endswith("2 processes prepare them")
    with ThreadPoolExecutor(3) as threads:
        for records in (1, 7):
            monkeypatch.setattr(batch, "RECORDS", records)
            assert write(made, f"threads{records}", Crew(pool=threads, threads=3)) == plain
            assert write(made, f"elsewhere{records}", crew) == plain


@pytest.mark.parametrize("decided", [None, True, False])
def test_processes_that_ended_are_asked_nothing(
    decided: bool | None, made: tuple[Worker, list[Any], Job], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "forked_pool", lambda: pool)
    pool.pays = decided
    assert (Elsewhere.of(made[2]) is None) == (decided is False)


def test_what_is_dear_to_move_stays_here(made: tuple[Worker, list[Any], Job], pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "MOVED", 0)
    write(made, "here", Crew(elsewhere=Elsewhere(pool, made[2])))  # type: ignore[arg-type]
    assert pool.calls == 0 and pool.closed and pool.words[-1].endswith("1 threads prepare them")


def test_bad_records_stop_a_run_alike(made: tuple[Worker, list[Any], Job], pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first in the order of keys is the error; those prepared ahead are in its group, or come later."""
    worker, refs, job = made
    last = max(refs, key=lambda ref: ref.key)
    monkeypatch.setattr(elsewhere, "MOVED", 1e12)
    location = Path(worker.plan.sources[0].root) / last.path
    broken = (worker, [ref._replace(digest=hashlib.sha256(b"?").digest()) if ref == last else ref for ref in refs], job)
    found = []
    for name, crew in (("here", ONE_THREAD), ("elsewhere", Crew(elsewhere=Elsewhere(pool, job)))):  # type: ignore[arg-type]
        with pytest.raises(DataError) as caught:
            write(broken, name, crew)
        found.append((caught.value.code, caught.value.at))
    assert found == [("changed-during-run", str(location))] * 2


def test_a_plugins_fault_names_its_record(made: tuple[Worker, list[Any], Job], pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plugin raises may be of a class that no other process knows, so the process says whose fault it was."""

    class Odd(Exception):
        pass

    def broken(self: Any, *_: Any, **__: Any) -> None:
        raise Odd("no")

    monkeypatch.setattr(elsewhere, "MOVED", 1e12)
    crew = Crew(elsewhere=Elsewhere(pool, made[2]))  # type: ignore[arg-type]
    tried = crew.elsewhere.tried  # type: ignore[union-attr]

    def and_break(**found: Any) -> None:
        monkeypatch.setattr(type(made[0].kind), "decode", broken)
        tried(**found)

    monkeypatch.setattr(crew.elsewhere, "tried", and_break)
    with pytest.raises(RefineryError) as caught:
        write(made, "faulty", crew)
    assert "Odd: no" in caught.value.message and "photos/" in caught.value.message


def test_processes_observe_what_threads_observe(made: tuple[Worker, list[Any], Job], pool: Pool) -> None:
    """A fit point's accumulator, of the records in batches of any size; a bad record stops a run where its turn comes."""
    worker, refs, job = made
    (point,) = worker.plan.fits
    there = Elsewhere(pool, job)  # type: ignore[arg-type]

    def total(many: int, observe: Callable[..., batch.FitBatch]) -> bytes:
        whole = worker.partial(point)
        for some in batch.batches(refs, 0, most=many):
            observed = observe(point, some, {})
            assert observed.error is None and [record_id for record_id, _ in observed.partials] == [some[0].record_id]
            whole.merge(observed.partials[0][1])
        return whole.dumps()

    def here(point: FitPoint, some: list[Ref], fitted: Any) -> batch.FitBatch:
        return batch.observe_batch(worker, point, some, fitted, markers=None)

    one_by_one = total(1, here)
    assert {total(7, here), total(64, here), total(1, there.observe), total(64, there.observe)} == {one_by_one}
    location = Path(worker.plan.sources[0].root) / refs[5].path
    location.write_bytes(location.read_bytes()[:40])
    size, digest = 40, hashlib.sha256(location.read_bytes()).digest()
    broken = [*refs[:5], refs[5]._replace(size=size, digest=digest), *refs[6:]]
    for observe in (here, there.observe):
        observed = observe(point, broken, {})
        assert observed.error is not None and observed.error.at == str(location)
        before = worker.partial(point)
        for ref in refs[:5]:
            before.merge(worker.observe(point, ref, {}))
        assert observed.partials[0][1].dumps() == before.dumps()


def test_large_files_are_batches_of_their_own() -> None:
    """The last batches of a shard should end together, so none has many files that take long."""

    def sizes(files: list[int], row_bytes: int | None, most: int = batch.RECORDS) -> list[list[int]]:
        refs = [Ref(str(size), b"", 0, "", size, b"", None, "", b"", "train", "", "") for size in files]
        return [[ref.size for ref in some] for some in batch.batches(refs, row_bytes, most=most)]

    assert sizes([1] * 100, 3_072) == [[1] * 64, [1] * 36]
    assert sizes([1] * 40, 150_528) == [[1] * 27, [1] * 13]
    assert sizes([1] * 10, None) == [[1] * 4, [1] * 4, [1] * 2]
    assert sizes([1] * 20, 3_072, most=8) == [[1] * 8, [1] * 8, [1] * 4]
    large = batch.FILE_BYTES
    assert sizes([large + 1, 1, large, 1, large - 1, 1], 3_072) == [[large + 1], [1], [large], [1, large - 1], [1]]
    assert sizes([], 3_072) == []
