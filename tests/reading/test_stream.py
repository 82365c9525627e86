"""Streams give the same batches whoever reads them: any number of ranks and workers, from any step, in threads and in other processes."""

import hashlib
import json
import multiprocessing
import pickle
import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from refinery_beam.errors import DataError, StoreError, UsageError
from refinery_beam.reading import SplitReader
from refinery_beam.reading.content import Lookup
from refinery_beam.reading.order import LANES, WINDOW_BYTES
from refinery_beam.reading.stream import EpochStream, Share
from support.recipes import SMALL, write_recipe

FLIP = "{name: flip, op: horizontal_flip, params: {p: 0.5}, materialization: lazy, splits: [train]}"
NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train]}"
RESIZE = "{name: resize, op: resize, params: {size: 8, method: nearest}, splits: [train]}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(3)
    for label in "abc":
        (folder / label).mkdir()
        for n in range(170):
            Image.fromarray(draw.integers(0, 256, (10, 8, 3), np.uint8)).save(folder / label / f"{n}.png")
    return folder


def build(photos: Path, folder: Path, **parts: Any) -> rb.Instance:
    given = {"transformations": [RESIZE, NORMALIZE], "output": {"shard_records": 100, "row_group_bytes": 4096}, **parts}
    image = {**{"image": {"shape": [8, 8, 3]}}, **given.pop("fields", {})}
    recipe = write_recipe(photos, folder, base=SMALL, splits={"ratios": {"train": 1.0}, "seed": 1}, fields=image, **given)
    return rb.run(recipe, cache_root=folder / "cache")


@pytest.fixture(scope="module")
def built(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> rb.Instance:
    return build(photos, tmp_path_factory.mktemp("built"), augmentations=[FLIP])


@pytest.fixture(scope="module")
def train(built: rb.Instance) -> SplitReader:
    return built["train"]


def digest_of(batch: dict[str, Any]) -> str:
    image = batch["image"]
    return hashlib.sha256(json.dumps([batch["record_id"], batch["label"]]).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def digests(stream: EpochStream) -> list[str]:
    return [digest_of(batch) for batch in stream]


def test_every_row_once_as_the_reader_gives_it(train: SplitReader) -> None:
    rows = {row["record_id"]: row for row in train.epoch(3)}
    given = []
    for batch in train.stream(epoch=3, batch_size=32):
        assert batch["image"].dtype == np.float32
        for record_id, label, image in zip(batch["record_id"], batch["label"], batch["image"], strict=True):
            assert (label, image.tobytes()) == (rows[record_id]["label"], rows[record_id]["image"].tobytes())
            given.append(record_id)
    assert sorted(given) == sorted(rows)
    assert given != list(rows)


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One global batch from the parts of its ranks: position j is that of rank j mod their number."""
    size = sum(len(part["record_id"]) - sum(part.get("padded", [])) for part in parts)
    return {
        name: (np.stack if name == "image" else list)([parts[j % len(parts)][name][j // len(parts)] for j in range(size)])  # type: ignore[operator]
        for name in ("record_id", "label", "image")
    }


@pytest.mark.parametrize(("world_size", "workers"), [(1, 2), (1, 3), (2, 2), (4, 1), (8, 4), (1, LANES)])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_same_batches_for_every_number_of_ranks_and_workers(train: SplitReader, world_size: int, workers: int, drop_last: bool) -> None:
    options: dict[str, Any] = {"epoch": 1, "batch_size": 32, "drop_last": drop_last}
    single = digests(train.stream(**options))
    by_rank = []
    for rank in range(world_size):
        stream = train.stream(rank=rank, world_size=world_size, **options)
        shares = [iter(stream.shared(Share(rank=rank, world_size=world_size, worker=k, workers=workers))) for k in range(workers)]
        by_rank.append([next(shares[step % workers]) for step in range(len(stream))])
    assert len({len(batches) for batches in by_rank}) == 1
    assert [digest_of(joined([batches[step] for batches in by_rank])) for step in range(len(single))] == single
    if not drop_last and world_size > 1:
        assert len({len(batches[-1]["record_id"]) for batches in by_rank}) == 1, "ranks have equal batches"


def test_another_epoch_and_seed_are_others(train: SplitReader) -> None:
    first = digests(train.stream(batch_size=32))
    assert digests(train.stream(batch_size=32)) == first
    assert digests(train.stream(batch_size=32, prefetch=0, threads=1)) == first
    others = [train.stream(batch_size=32, epoch=1), train.stream(batch_size=32, seed=1), train.stream(batch_size=32, shuffle=False)]
    for other in others:
        assert not set(digests(other)) & set(first)


def test_a_restart_in_the_middle_on_other_ranks(train: SplitReader) -> None:
    whole = digests(train.stream(epoch=2, batch_size=32))
    stream = train.stream(epoch=2, batch_size=32)
    begun = iter(stream)
    for _ in range(5):
        next(begun)
    state = json.loads(json.dumps(stream.state_dict()))
    begun.close()  # type: ignore[attr-defined]
    assert state["step"] == 5
    again = train.stream(batch_size=32)
    again.load_state_dict(state)
    assert (len(again), digests(again)) == (len(whole) - 5, whole[5:])
    parts = []
    for rank in range(2):
        other = train.stream(batch_size=32, rank=rank, world_size=2)
        other.load_state_dict(state)
        parts.append(list(other))
    assert [digest_of(joined(list(both))) for both in zip(*parts, strict=True)] == whole[5:]
    for workers in (2, 3):
        shares = [iter(again.shared(Share(worker=k, workers=workers))) for k in range(workers)]
        assert [digest_of(next(shares[k % workers])) for k in range(len(again))] == whole[5:], "the first worker has the first batch"
    with pytest.raises(UsageError) as caught:
        train.stream(batch_size=16).load_state_dict(state)
    assert caught.value.code == "other-stream"


@pytest.mark.parametrize(("channels", "values"), [(1, 7), (2, 6), (3, 3 * 4001), (3, 3 * 4000), (4, 4 * 9)])
def test_threads_share_a_lookup(channels: int, values: int) -> None:
    """Parts of several lengths at once."""
    table = np.random.default_rng(0).normal(size=(256, channels)).astype(np.float32)
    images = [np.random.default_rng(k).integers(0, 256, values * (1 + k % 3), np.uint8) for k in range(60)]
    for _ in range(5):
        lookup = Lookup(table)
        found = [np.empty(image.shape, np.float32) for image in images]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lookup.into, images, found))
        for image, one in zip(images, found, strict=True):
            assert np.array_equal(one, table[image, np.arange(len(image)) % channels])


def in_child(data: bytes, out: Any) -> None:
    out.put(digests(pickle.loads(data)))  # noqa: S301


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_and_threads_read_the_same(train: SplitReader, method: str) -> None:
    stream = train.stream(batch_size=32)
    here = digests(stream)
    context = multiprocessing.get_context(method)
    out = context.Queue()
    child = context.Process(target=in_child, args=(pickle.dumps(stream), out))
    child.start()
    assert out.get(timeout=60) == here
    child.join()
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(digests(train.stream(batch_size=32)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [here] * 4


@pytest.mark.parametrize("encoding", ["png", pytest.param("source", marks=pytest.mark.slow)])
def test_images_that_are_files(photos: Path, tmp_path: Path, encoding: str) -> None:
    parts: dict[str, Any] = (
        {"transformations": [RESIZE]} if encoding == "png" else {"transformations": None, "fields": {"image": {"shape": None}}}
    )
    data = build(photos, tmp_path, **{**parts, "output": {"encoding": encoding, "shard_records": 100}})
    rows = {row["record_id"]: row["image"].tobytes() for row in data["train"]}
    found = {
        i: x.tobytes() for batch in data["train"].stream(batch_size=50) for i, x in zip(batch["record_id"], batch["image"], strict=True)
    }
    assert found == rows


def test_the_order_is_that_of_the_data_whatever_is_read(train: SplitReader) -> None:
    whole = [batch["record_id"] for batch in train.stream(batch_size=32)]
    assert [batch["record_id"] for batch in train.columns("label").stream(batch_size=32)] == whole


@pytest.mark.parametrize("encoding", [pytest.param("tensor", marks=pytest.mark.slow), "png"])
def test_a_window_is_bounded_by_bytes_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    photos = tmp_path / "photos" / "a"
    photos.mkdir(parents=True)
    draw = np.random.default_rng(1)
    for n in range(12):
        Image.fromarray(draw.integers(0, 256, (400, 400, 3), np.uint8)).save(photos / f"{n}.png")
    shape, resize = {"image": {"shape": [400, 400, 3]}}, "{name: resize, op: resize, params: {size: 400, method: nearest}, splits: [train]}"
    data = build(photos.parent, tmp_path, fields=shape, transformations=[resize], output={"encoding": encoding})
    for reader in (data["train"], data["train"].columns("label")):
        order = reader.stream(batch_size=4).order
        assert order.window * max(order.sizes) * 400 * 400 * 3 <= 3 * WINDOW_BYTES


def test_batches_in_order_are_the_readers(train: SplitReader) -> None:
    plain = train.epoch(0)
    streamed = list(train.stream(shuffle=False, batch_size=32))
    for ours, theirs in zip(streamed, plain.batches(32), strict=True):
        assert digest_of(ours) == digest_of(theirs)


def test_a_stopped_iteration_leaves_no_thread(train: SplitReader) -> None:
    before = threading.active_count()
    for _ in range(3):
        for _batch in train.stream(batch_size=32):
            break
    assert threading.active_count() == before


def test_damage_is_an_error_of_the_loop(built: rb.Instance, tmp_path: Path) -> None:
    data = rb.open_instance(shutil.copytree(built.path, tmp_path / "copy"))
    shard = next(Path(data.path).glob("dataset/train/*.parquet"))
    content = bytearray(shard.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = random.Random(0).randbytes(third)
    shard.write_bytes(content)
    with pytest.raises((StoreError, DataError)):
        for _batch in data["train"].stream(batch_size=32):
            pass


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"batch_size": 0}, "batch-size"),
        ({"world_size": 3}, "rank-range"),
        ({"rank": 2, "world_size": 2}, "rank-range"),
        ({"epoch": -1}, "epoch-number"),
    ],
)
def test_options_that_mean_nothing(train: SplitReader, options: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        train.stream(**options)
    assert caught.value.code == code
