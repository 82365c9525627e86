"""Datasets and loaders in PyTorch: the same batches for every number of workers and ranks, and after a restart."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import refinery_beam as rb
from support.recipes import SMALL, write_recipe

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, DistributedSampler  # noqa: E402

import refinery_beam.torch as rbt  # noqa: E402

pytestmark = pytest.mark.torch

NORMALIZE = "{name: normalize, op: normalize, fit_source: train, splits: [train, test]}"
RESIZE = "{name: resize, op: resize, params: {size: 16, method: nearest}, splits: [train, test]}"
FLIP = "{name: flip, op: horizontal_flip, params: {p: 0.5}, materialization: lazy, splits: [train]}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> rb.Instance:
    folder = tmp_path_factory.mktemp("torch")
    draw = np.random.default_rng(3)
    for number, label in enumerate(("cat", "dog", "owl")):
        (folder / "photos" / label).mkdir(parents=True)
        for n in range(60 + 20 * number):
            low = 60 * number
            Image.fromarray(draw.integers(low, low + 100, (18, 20, 3), np.uint8)).save(folder / "photos" / label / f"{n}.png")
    recipe = write_recipe(
        folder / "photos",
        folder,
        base=SMALL,
        transformations=[RESIZE, NORMALIZE],
        augmentations=[FLIP],
        output={"shard_records": 40, "row_group_bytes": 4096},
    )
    return rb.run(recipe, cache_root=folder / "cache")


def digests(batches: Iterable[dict[str, Any]]) -> list[str]:
    return [hashlib.sha256(json.dumps(b["record_id"]).encode() + b["image"].contiguous().numpy().tobytes()).hexdigest() for b in batches]


def test_tensors_of_a_batch(data: rb.Instance) -> None:
    batch = next(iter(rbt.Loader(data["train"], batch_size=32)))
    assert (batch["image"].shape, batch["image"].dtype) == ((32, 3, 16, 16), torch.float32)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last), "no copy was made"
    assert batch["label_id"].dtype == torch.int64
    assert [data.classes[k] for k in batch["label_id"]] == batch["label"]
    plain = next(iter(rbt.Loader(data["train"], batch_size=32, channels_first=False)))
    assert torch.equal(plain["image"].movedim(-1, -3), batch["image"])


def test_every_number_of_workers_gives_the_same_batches(data: rb.Instance) -> None:
    expected = digests(rbt.Loader(data["train"], batch_size=32, seed=5, epoch=2))
    assert len(expected) == len(rbt.Loader(data["train"], batch_size=32)) == 6
    for workers in (1, 2, 3):
        assert digests(rbt.Loader(data["train"], batch_size=32, seed=5, epoch=2, workers=workers)) == expected
    for method in ("spawn", "forkserver"):
        assert (
            digests(rbt.Loader(data["train"], batch_size=32, seed=5, epoch=2, workers=2, more={"multiprocessing_context": method}))
            == expected
        )
    assert digests(rbt.Loader(data["train"], batch_size=32, seed=5, epoch=3)) != expected


def test_workers_share_the_memory_of_images(data: rb.Instance) -> None:
    raw = data.split("train", raw=True)
    for batch in DataLoader(rbt.Batches(raw, batch_size=32), batch_size=None, num_workers=1):
        assert batch["image"].is_shared()
    rows = DataLoader(rbt.Rows(raw), batch_size=32, num_workers=1, collate_fn=rbt.collate)
    single = DataLoader(rbt.Rows(raw), batch_size=32, collate_fn=rbt.collate)
    for batch, same in zip(rows, single, strict=True):
        assert batch["image"].is_shared() and not same["image"].is_shared()
        assert torch.equal(batch["image"], same["image"])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_memory_of_batches_is_used_again(data: rb.Instance, method: str) -> None:
    loader = rbt.Loader(data["train"], batch_size=8, workers=2, more={"multiprocessing_context": method})
    addresses = {batch["image"].data_ptr() for epoch in range(2) for batch in loader}
    assert len(loader) * 2 == 46 and len(addresses) <= 2 * (2 + 3)


def test_batches_that_are_kept_stay_as_they_are(data: rb.Instance) -> None:
    """More of them than there are blocks, and over the end of an epoch and an epoch that is given up."""
    expected = {epoch: digests(rbt.Loader(data["train"], batch_size=8, epoch=epoch)) for epoch in range(3)}
    loader = rbt.Loader(data["train"], batch_size=8, workers=2)
    kept = list(loader)
    loader.set_epoch(1)
    begun = iter(loader)
    some = [next(begun) for _ in range(5)]
    meanwhile = list(loader)
    del begun
    loader.set_epoch(2)
    assert digests(loader) == expected[2]
    assert (digests(kept), digests(some), digests(meanwhile)) == (expected[0], expected[1][:5], expected[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iteration_that_is_given_up_counts_for_nothing(data: rb.Instance, workers: int) -> None:
    loader = rbt.Loader(data["train"], batch_size=32, workers=workers)
    whole = digests(loader)
    for _ in zip(range(2), loader, strict=False):
        pass
    begun = iter(loader)
    first = next(begun)
    state = loader.state_dict()
    assert state["step"] == 1 and digests([first]) == whole[:1]
    other = rbt.Loader(data["train"], batch_size=32)
    other.load_state_dict(state)
    assert digests(other) == whole[1:]


def two_views(batch: dict[str, Any]) -> dict[str, Any]:
    return {"record_id": batch["record_id"], "image": batch["image"], "part": batch["image"][2:, :, 1:3], "mean": batch["image"].mean()}


def another(batch: dict[str, Any]) -> dict[str, Any]:
    return {"record_id": batch["record_id"], "image": (batch["image"] * 2).to(torch.bfloat16), "nested": [batch["image"]]}


def test_what_a_transform_makes_of_a_batch_comes_as_it_is(data: rb.Instance) -> None:
    for transform in (two_views, another):
        one, other = (list(rbt.Loader(data["train"], batch_size=16, workers=workers, transform=transform)) for workers in (0, 2))
        assert [batch.keys() for batch in one] == [batch.keys() for batch in other]
        for a, b in zip(one, other, strict=True):
            for name in a.keys() - {"record_id", "nested"}:
                assert torch.equal(a[name], b[name]) and a[name].stride() == b[name].stride()
            assert all(torch.equal(x, y) for x, y in zip(a.get("nested", []), b.get("nested", []), strict=True))


def test_a_loader_goes_on_in_the_middle_with_other_workers(data: rb.Instance) -> None:
    loader = rbt.Loader(data["train"], batch_size=32, workers=2, epoch=1)
    whole = digests(loader)
    begun = iter(loader)
    first = [next(begun) for _ in range(2)]
    state = json.loads(json.dumps(loader.state_dict()))
    del begun
    for workers in (0, 1, 3):
        other = rbt.Loader(data["train"], batch_size=32, workers=workers)
        other.load_state_dict(state)
        assert digests(first) + digests(other) == whole
        assert digests(other) == whole, "the next iteration is the whole epoch again"


def test_torchdata_goes_on_with_as_many_workers(data: rb.Instance) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader

    def fresh() -> Any:
        return stateful(rbt.Batches(data["train"], batch_size=16, epoch=1), batch_size=None, num_workers=2)

    whole = digests(fresh())
    loader = fresh()
    begun = iter(loader)
    first = [next(begun) for _ in range(4)]
    state = loader.state_dict()
    del begun
    again = fresh()
    again.load_state_dict(state)
    assert digests(first) + digests(again) == whole


def test_rows_with_torchs_own_samplers(data: rb.Instance) -> None:
    rows = rbt.Rows(data["train"])
    assert (len(rows), rows[0]["image"].shape) == (180, (3, 16, 16))
    for workers in (0, 2):
        loader = DataLoader(rows, batch_size=16, shuffle=True, num_workers=workers, collate_fn=rbt.collate)
        found = [i for batch in loader for i in batch["record_id"]]
        assert sorted(found) == sorted(row["record_id"] for row in data["train"])
    parts = [list(DistributedSampler(rows, num_replicas=2, rank=rank, shuffle=True)) for rank in range(2)]  # type: ignore[arg-type]
    assert sorted(parts[0] + parts[1]) == list(range(180))


def test_a_reader_itself_is_a_map_style_dataset(data: rb.Instance) -> None:
    reader = data.split("train", label_ids=True, columns=["image", "label"])
    batch = next(iter(DataLoader(reader, batch_size=8)))  # type: ignore[arg-type]
    assert (batch["image"].shape, batch["label_id"].dtype) == ((8, 16, 16, 3), torch.int64)


def test_class_weights(data: rb.Instance) -> None:
    counts = data["train"].label_counts
    assert counts == {"cat": 45, "dog": 60, "owl": 75}
    assert torch.allclose(rbt.class_weights(data["train"]), torch.tensor([180 / (3 * n) for n in (45, 60, 75)]))


def test_the_tail_is_there_for_those_who_normalize_elsewhere(data: rb.Instance) -> None:
    (step,) = data.tail("train")
    mean, std = (torch.tensor(step["statistics"][word]).view(1, 3, 1, 1) for word in ("mean", "std"))
    raw = next(iter(rbt.Loader(data.split("train", raw=True), batch_size=32)))
    done = next(iter(rbt.Loader(data["train"], batch_size=32)))
    assert raw["image"].dtype == torch.uint8
    assert torch.allclose((raw["image"] - mean) / std, done["image"], atol=1e-5)


def of_rank(rank: int, path: str, store: str, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    batches = list(rbt.Loader(rb.open_instance(path)["train"], batch_size=32, workers=1))
    with open(f"{out}-{rank}", "w", encoding="utf-8") as file:
        json.dump([[batch["record_id"], batch.get("padded", torch.tensor([])).tolist()] for batch in batches], file)
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="gloo on loopback")
def test_two_ranks_with_gloo(data: rb.Instance, tmp_path: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(of_rank, args=(data.path, str(tmp_path / "store"), str(tmp_path / "out")), nprocs=2)
    ranks = [json.loads((tmp_path / f"out-{rank}").read_text()) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == 6
    single = [batch["record_id"] for batch in rbt.Loader(data["train"], batch_size=32)]
    for step, expected in enumerate(single):
        (ids, _), (others, _) = ranks[0][step], ranks[1][step]
        assert [ids, others] == [expected[0::2], expected[1::2]]


def test_a_transform_sees_whole_batches(data: rb.Instance) -> None:
    def halved(batch: dict[str, Any]) -> dict[str, Any]:
        return {"image": batch["image"] / 2, "label_id": batch["label_id"]}

    batch = next(iter(rbt.Loader(data["train"], batch_size=32, transform=halved)))
    plain = next(iter(rbt.Loader(data["train"], batch_size=32)))
    assert list(batch) == ["image", "label_id"]
    assert torch.equal(batch["image"] * 2, plain["image"])
