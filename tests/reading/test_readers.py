import copy
import gc
import multiprocessing
import operator
import os
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refinery_beam.errors import PluginError, StoreError, UsageError
from refinery_beam.identity import record_key
from refinery_beam.plugins.base import ArrayType, OpSpec, Params
from refinery_beam.plugins.discovery import find_plugin
from refinery_beam.reading import Instance, SplitReader, groups, open_instance, recorded
from support import handmade


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.fixture(scope="module", params=["tensor", "png"])
def instance(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return open_instance(handmade.build(str(tmp_path_factory.mktemp("cache")), encoding=request.param).location)


def test_an_instance_says_what_it_is(instance: Instance) -> None:
    assert instance.splits == ("train", "val")
    assert instance.counts == {"train": 14, "val": 3}
    assert instance.schema["image"] == {"dtype": "uint8", "shape": [4, 5, 3]}
    assert repr(instance).startswith("<Instance train: 14 rows, val: 3 rows; ")
    assert open_instance(os.path.join(instance.path, "manifest.json")).path == instance.path
    assert pickle.loads(pickle.dumps(instance)).counts == instance.counts  # noqa: S301


def test_rows_are_what_was_written(instance: Instance) -> None:
    for split in instance.splits:
        reader = instance.split(split)
        rows = list(reader)
        assert len(rows) == len(reader) == instance.counts[split]
        for row in rows:
            assert set(row) == {"record_id", "image", "label", "score", "tags"}
            assert next(iter(row)) == "record_id"
            assert same(row["image"], handmade.pixels(row["record_id"]))
            assert row["label"] == row["record_id"].split("/")[1]
            assert row["score"] == np.float32(len(row["record_id"]) / 3)
            assert row["tags"][0] == len(row["record_id"])
        # Order: shard by shard, sorted by key inside.
        ends = np.cumsum([s.records for s in instance.manifest.shards(split)])
        for part in np.split(np.array([record_key(r["record_id"]).hex() for r in rows]), ends[:-1]):
            assert list(part) == sorted(part)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 26])
def test_random_access_equals_iteration(instance: Instance, cache_bytes: int) -> None:
    reader = instance.split("train", cache_bytes=cache_bytes)
    rows = list(reader)
    locations = [random.Random(3).randrange(-14, 14) for _ in range(40)]
    assert all(same(reader[i], rows[i]) for i in locations)
    assert same(reader.__getitems__(locations), [rows[i] for i in locations])
    assert same(reader[np.int64(5)], rows[5])  # type: ignore[call-overload]
    for cut in (slice(None), slice(2, 9, 3), slice(-3, None), slice(9, 2, -2), slice(20, 30)):
        assert same(reader[cut], rows[cut])
    for beyond in (14, -15, 1000):
        with pytest.raises(IndexError, match="which has 14"):
            reader[beyond]
    with pytest.raises(TypeError):
        reader["1"]  # type: ignore[call-overload]
    if cache_bytes == 0:
        assert len(reader._groups._cache) == 1


def test_rows_belong_to_the_caller(instance: Instance) -> None:
    reader = instance.split("train")
    before = copy.deepcopy(reader[0])
    row = reader[0]
    row["image"][:] = 0
    row["tags"].append(99)
    assert same(reader[0], before)
    assert row["image"].flags.writeable
    assert row["image"].flags.c_contiguous


def test_batches(instance: Instance) -> None:
    reader = instance.split("train")
    rows = list(reader)
    batches = list(reader.batches(4))
    assert [len(b["record_id"]) for b in batches] == [4, 4, 4, 2]
    assert batches[0]["image"].shape == (4, 4, 5, 3)
    assert same(np.concatenate([b["image"] for b in batches]), np.stack([r["image"] for r in rows]))
    assert [label for b in batches for label in b["label"]] == [r["label"] for r in rows]
    assert [len(b["label"]) for b in reader.batches(4, drop_last=True)] == [4, 4, 4]
    with pytest.raises(UsageError):
        reader.batches(0)


def test_fewer_columns(instance: Instance) -> None:
    reader = instance.split("train").columns("label")
    assert reader[3] == {k: instance.split("train")[3][k] for k in ("record_id", "label")}
    assert list(next(iter(instance.split("train", columns=["tags", "image"])))) == ["record_id", "image", "tags"]
    with pytest.raises(UsageError, match="labl") as caught:
        reader.columns("labl")
    assert "did you mean 'label'?" in caught.value.remedy


def test_unknown_names_are_helped(instance: Instance) -> None:
    with pytest.raises(UsageError) as caught:
        instance.split("trian")
    assert (caught.value.code, caught.value.remedy) == ("unknown-split", "did you mean 'train'?")
    with pytest.raises(UsageError) as caught:
        instance.statistics("normalize")
    assert caught.value.code == "unknown-statistics"


def open_files() -> set[str]:
    return {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_files_are_open_as_long_as_their_reader_lives(instance: Instance) -> None:
    reader = instance.split("train")
    half = iter(reader)
    for _ in range(5):
        next(half)
    reader[13]
    mine = {name for name in open_files() if name.startswith(instance.path)}
    assert mine
    del reader, half
    gc.collect()
    assert not mine & open_files()


def test_a_bounded_number_of_files_and_footers_is_held(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "OPEN_FILES", 1)
    reader = instance.split("train")
    rows = list(reader)
    assert all(same(reader[k], rows[k]) for k in (0, 13, 1, 12))
    assert (len(reader._groups._footers), len(reader._groups._files.held), len(reader._groups._starts)) == (1, 1, 2)


def test_a_reader_survives_pickling(instance: Instance) -> None:
    reader = instance.split("train")
    rows = list(reader)
    reader[0]
    data = pickle.dumps(reader)
    assert len(data) < 10_000
    other = pickle.loads(data)  # noqa: S301
    assert same(list(other), rows)
    assert same(other[7], rows[7])


def _rows(reader: SplitReader, numbers: list[int]) -> list[dict[str, Any]]:
    return [reader[n] for n in numbers]


def test_a_spawned_worker(instance: Instance) -> None:
    reader = instance.split("train")
    rows = list(reader)
    reader[0]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        # A function that any process can import, whatever the test runner calls this module.
        assert same(list(pool.apply(operator.itemgetter(3, 0, 13), (reader,))), [rows[n] for n in (3, 0, 13)])


def test_a_forked_worker(instance: Instance) -> None:
    reader = instance.split("train")
    rows = list(reader)
    reader[0]
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    # A thread of the parent may hold the lock at the moment of the fork; in the child nobody would ever give it back.
    with reader._groups._lock:
        child = fork.Process(target=lambda: theirs.send(_rows(reader, [3, 0, 13])))
        child.start()
    assert ours.poll(100)
    assert same(ours.recv(), [rows[n] for n in (3, 0, 13)])
    child.join()


def test_many_threads_one_reader(instance: Instance) -> None:
    reader = instance.split("train", cache_bytes=2000)
    rows = list(reader)
    gate = threading.Barrier(8)

    def work(seed: int) -> bool:
        gate.wait()
        locations = random.Random(seed).choices(range(14), k=60)
        return all(same(reader[i], rows[i]) for i in locations)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert reader._groups._held == sum(g.nbytes for g in reader._groups._cache.values())


def test_the_cache_stays_in_its_bounds(tmp_path: Path) -> None:
    location = handmade.build(str(tmp_path), splits={"train": 60}, shards=1, shape=(32, 32, 3)).location
    reader = open_instance(location).split("train", cache_bytes=30_000)
    for i in range(60):
        reader[i]
        assert reader._groups._held <= 30_000
    assert len(reader._groups._cache) > 1
    list(reader)
    assert reader._groups._held <= 30_000


def test_an_empty_split(tmp_path: Path) -> None:
    reader = open_instance(handmade.build(str(tmp_path), splits={"train": 2, "val": 0}, shards=1).location).split("val")
    assert (len(reader), list(reader), reader[:], list(reader.batches(3))) == (0, [], [], [])
    with pytest.raises(IndexError):
        reader[0]


def test_metadata_only(tmp_path: Path) -> None:
    reader = open_instance(handmade.build(str(tmp_path), encoding=None).location).split("val")
    assert set(reader[0]) == {"record_id", "label", "score", "tags"}


@pytest.mark.parametrize("encoding", ["tensor", "png"])
def test_a_single_channel_keeps_its_axis(tmp_path: Path, encoding: str) -> None:
    reader = open_instance(handmade.build(str(tmp_path), encoding=encoding, shape=(4, 5, 1)).location).split("val")
    assert same(reader[1]["image"], handmade.pixels(reader[1]["record_id"], (4, 5, 1)))


def test_fields_keep_the_order_of_the_recipe(tmp_path: Path) -> None:
    types = ("uint8", "str", "float32", "str")
    output = {
        "schema": {n: {"dtype": d, "shape": None} for n, d in zip(("image", "label", "score", "record_id"), types, strict=True)},
        "fields": ["score", "record_id", "image", "label"], "image_field": "image", "encoding": "tensor",
    }  # fmt: skip
    output["schema"]["tags"] = {"dtype": "int64", "shape": [None]}  # type: ignore[call-overload,index]
    output["fields"].append("tags")  # type: ignore[attr-defined]
    instance = open_instance(handmade.build(str(tmp_path), extra={"output": output}).location)
    assert list(instance.schema) == ["score", "record_id", "image", "label", "tags"]
    assert list(instance.split("train")[0]) == ["record_id", "score", "image", "label", "tags"]


def test_what_is_not_there_or_broken(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_instance(tmp_path / "none")
    assert (caught.value.code, caught.value.exit_code) == ("instance-missing", 3)
    location = Path(handmade.build(str(tmp_path)).location)
    reader = open_instance(location).split("train")
    path = location / reader.manifest.shards("train")[1].path
    path.write_bytes(b"x" * path.stat().st_size)
    for read in (lambda: reader[13], lambda: list(reader)):
        with pytest.raises(StoreError) as caught:
            read()
        assert caught.value.code == "damaged"
        assert caught.value.at == str(path)
    path.unlink()
    with pytest.raises(StoreError) as caught:
        open_instance(location)
    assert caught.value.code == "damaged"
    assert path.name in caught.value.message


# -- the deferred tail, with a plugin made for the test ---------------------------------------------------------------------------


class ScaleParams(Params):
    by: float = 2.0


class Scale:
    spec = OpSpec(name="scale", section="Transformations", version=3, params=ScaleParams, summary="", fitted=True, deferrable=True)

    def infer(self, before: ArrayType, params: ScaleParams) -> ArrayType:
        return ArrayType("float32", before.shape)

    def apply(self, pixels: Any, params: ScaleParams, fitted: Any, out: ArrayType) -> Any:
        return (pixels * params.by - fitted["mean"]).astype(out.dtype)


def tail(splits: list[str], **changes: Any) -> dict[str, Any]:
    step = {
        "name": "my_scale", "op": "scale", "version": 3, "params": {"by": 0.5}, "statistics": "fitted_statistics/my_scale.json",
        "before": {"dtype": "uint8", "shape": [4, 5, 3]}, "out": {"dtype": "float32", "shape": [4, 5, 3]}, "splits": splits,
    }  # fmt: skip
    return {"deferred": [step | changes]}


@pytest.fixture
def scale_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = replace(find_plugin("image_classification"), ops={"scale": Scale()})
    monkeypatch.setattr(recorded, "find_plugin", lambda name, **_: plugin)


@pytest.mark.usefixtures("scale_plugin")
def test_the_tail_is_applied_where_it_belongs(tmp_path: Path) -> None:
    location = handmade.build(str(tmp_path), extra=tail(["train"]), statistics={"my_scale": {"mean": 7.25}}).location
    instance = open_instance(location)
    assert instance.statistics("my_scale") == {"mean": 7.25}
    assert instance.statistics_names == ("my_scale",)
    row, raw = instance.split("train")[4], instance.split("train", raw=True)[4]
    assert same(raw["image"], handmade.pixels(raw["record_id"]))
    assert same(row["image"], (raw["image"] * 0.5 - 7.25).astype(np.float32))
    assert instance.split("val")[0]["image"].dtype == np.uint8
    assert next(instance.split("train").batches(3))["image"].dtype == np.float32
    assert "image" not in instance.split("train").columns("label")[0]


@pytest.mark.usefixtures("scale_plugin")
def test_another_op_version_is_refused(tmp_path: Path) -> None:
    location = handmade.build(str(tmp_path), extra=tail(["train"], version=2), statistics={"my_scale": {"mean": 0}}).location
    with pytest.raises(PluginError, match="version 3 here, the instance was built for version 2") as caught:
        open_instance(location).split("train")[0]
    assert caught.value.code == "op-version"
    assert open_instance(location).split("train", raw=True)[0]["image"].dtype == np.uint8


@pytest.mark.usefixtures("scale_plugin")
def test_an_unknown_op_is_refused(tmp_path: Path) -> None:
    location = handmade.build(str(tmp_path), extra=tail(["train"], op="scael"), statistics={"my_scale": {"mean": 0}}).location
    with pytest.raises(PluginError) as caught:
        open_instance(location).split("train")[0]
    assert caught.value.code == "unknown-op"


@pytest.mark.usefixtures("scale_plugin")
def test_changed_statistics_are_found(tmp_path: Path) -> None:
    location = Path(handmade.build(str(tmp_path), extra=tail(["train"]), statistics={"my_scale": {"mean": 7}}).location)
    path = location / "fitted_statistics" / "my_scale.json"
    path.write_text(path.read_text().replace("7", "8"))
    instance = open_instance(location)
    for read in (lambda: instance.split("train")[0], lambda: instance.statistics("my_scale")):
        with pytest.raises(StoreError) as caught:
            read()
        assert caught.value.code == "damaged"
