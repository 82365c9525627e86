"""How fast is an epoch read? Shuffled batches of photographs for training, beside other libraries that store the same pixels.

usage: read.py IMAGES [--count N] [--repeat N] [--size N] [--work DIR]

IMAGES holds one folder a class. Every library stores the same uint8 pixels (size x size x 3) and a number as label, in the way that its own
documentation recommends, and gives batches of 64 as torch tensors through a DataLoader with 0 and with 2 workers. Epochs take turns, so
that a busy moment meets all; the figures are medians of whole epochs, the start of workers included, files in the system's page cache.

It needs torch, datasets, litdata and mosaicml-streaming beside refinery-beam: `make bench-read` installs them in an environment of their
own.
"""

from __future__ import annotations

import argparse
import gc
import glob
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import litdata
import numpy as np
import pyarrow.parquet as pq
import streaming
import torch
from measuring import machine, versions
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import refinery_beam as rb
import refinery_beam.torch as rbt

BATCH = 64
WORKERS = (0, 2)
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ sources: [{{ name: photos, type: image_folder, path: {images} }}] }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Output:
  record_schema: {{ image: {{ dtype: uint8, shape: [{size}, {size}, 3] }}, label: {{ dtype: str }} }}
  {output}
Splits: {{ ratios: {{ train: 1.0 }} }}
Transformations:
  - {{ name: resize, op: resize, params: {{ size: {size}, method: bilinear }}, splits: [train] }}
  - {{ name: normalize, op: normalize, fit_source: train, splits: [train] }}
"""
Epoch = Callable[[int], Iterable[Any]]
"""The batches of an epoch, given the number of workers."""


def decoded(path: str, size: int) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


class Files(Dataset[dict[str, Any]]):
    """Image files that are decoded each time, and brought to a size unless they have it."""

    def __init__(self, paths: list[str], size: int | None) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self.size is not None:
            return {"image": decoded(self.paths[index], self.size), "label": 1}
        with Image.open(self.paths[index]) as image:
            return {"image": np.asarray(image), "label": 1}


def stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    images = [torch.from_numpy(np.require(row["image"], requirements=["C", "W"])) for row in rows]
    return {"image": torch.stack(images), "label": torch.tensor([int(row["label"]) for row in rows])}


def litdata_row(argument: tuple[str, int]) -> dict[str, Any]:
    return {"image": decoded(*argument), "label": 1}


def prepared(work: Path, name: str, images: Path, size: int, output: str = "") -> rb.Instance:
    recipe = work / f"{name}.yaml"
    recipe.write_text(RECIPE.format(images=images, size=size, output=output), encoding="utf-8")
    return rb.run(recipe, cache_root=work / "cache")


def all_epochs(images: Path, count: int, size: int, work: Path) -> dict[str, Epoch]:
    """Write what each library stores, and give its epochs."""
    folder = work / "images"
    folder.mkdir()
    photographs = sorted(p for p in images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))[:count]
    for path in photographs:
        (folder / path.parent.name).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / path.parent.name / path.name)
    paths = [str(p) for p in photographs]

    ours = prepared(work, "lz4", folder, size)
    raw = ours.split("train", raw=True)
    plain = prepared(work, "none", folder, size, "compression: none").split("train", raw=True)
    jpeg = prepared(work, "jpeg", folder, size, "encoding: jpeg").split("train", raw=True)
    (work / "jpegs").mkdir()
    shards = sorted(glob.glob(f"{Path(jpeg.manifest.location)}/dataset/train/*.parquet"))
    cells = [cell for shard in shards for cell in pq.read_table(shard, columns=["image"])["image"].to_pylist()]
    for number, cell in enumerate(cells):
        (work / "jpegs" / f"{number}.jpg").write_bytes(cell["bytes"] if isinstance(cell, dict) else cell)
    jpegs = sorted(str(p) for p in (work / "jpegs").iterdir())

    litdata.optimize(litdata_row, [(p, size) for p in paths], output_dir=str(work / "litdata"), chunk_bytes="64MB", num_workers=2)
    with streaming.MDSWriter(out=str(work / "mds"), columns={"image": "ndarray", "label": "int"}, compression=None) as writer:
        for path in paths:
            writer.write({"image": decoded(path, size), "label": 1})
    arrow = datasets.Dataset.from_generator(
        lambda: ({"image": decoded(p, size).tobytes(), "label": 1} for p in paths), cache_dir=str(work / "hf")
    )
    arrow = arrow.with_transform(
        lambda rows: {"image": [np.frombuffer(b, np.uint8).reshape(size, size, 3).copy() for b in rows["image"]], "label": rows["label"]}
    )

    def loader(dataset: Any, **options: Any) -> Epoch:
        return lambda workers: DataLoader(dataset, batch_size=BATCH, num_workers=workers, **options)

    def ours_of(reader: Any, **options: Any) -> Epoch:
        columns = reader.columns("image", "label")
        # One loader for all epochs, as in training.
        loaders = {n: rbt.Loader(columns, batch_size=BATCH, workers=n, channels_first=False, **options) for n in WORKERS}
        return lambda workers: loaders[workers]

    return {
        "refinery-beam, stream": ours_of(raw),
        "refinery-beam, stream, compression none": ours_of(plain),
        "refinery-beam, rows (map-style)": loader(
            rbt.Rows(raw.columns("image", "label"), channels_first=False), shuffle=True, collate_fn=rbt.collate
        ),
        "refinery-beam, in order": ours_of(raw, shuffle=False),
        "refinery-beam, stream, normalized float32": ours_of(ours["train"]),
        "refinery-beam, stream, JPEG": ours_of(jpeg),
        "the same JPEG, decoded bare": loader(Files(jpegs, None), shuffle=True, collate_fn=stacked),
        "litdata": lambda workers: litdata.StreamingDataLoader(
            litdata.StreamingDataset(str(work / "litdata"), shuffle=True), batch_size=BATCH, num_workers=workers, collate_fn=stacked
        ),
        "MosaicML streaming": lambda workers: DataLoader(
            streaming.StreamingDataset(local=str(work / "mds"), shuffle=True, batch_size=BATCH),
            batch_size=BATCH,
            num_workers=workers,
            collate_fn=stacked,
        ),
        "Hugging Face datasets, Arrow": loader(arrow, shuffle=True, collate_fn=stacked),
        "the folder, decoded each time": loader(Files(paths, size), shuffle=True, collate_fn=stacked),
    }


def bare_epochs(work: Path) -> dict[str, Callable[[], Iterable[Any]]]:
    """Without torch: the column in order."""
    data = rb.open_instance(work / "lz4.yaml", cache_root=work / "cache")
    shards = sorted(glob.glob(f"{data.path}/dataset/train/*.parquet"))
    raw = data.split("train", raw=True, columns=["image"])

    def pyarrow() -> Iterable[Any]:
        for shard in shards:
            with pq.ParquetFile(shard, memory_map=True) as file:
                yield from file.iter_batches(BATCH, columns=["image"])

    return {"refinery-beam, batches": lambda: raw.batches(BATCH), "refinery-beam, rows": lambda: raw, "pyarrow, bare": pyarrow}


def timed(batches: Iterable[Any], expected: int | None) -> tuple[float, float]:
    """Seconds of an epoch, and seconds of processors, of workers too."""
    begun, used = time.perf_counter(), os.times()
    rows = 0
    for batch in batches:
        rows += len(batch["image"]) if isinstance(batch, dict) and hasattr(batch["image"], "shape") and batch["image"].ndim == 4 else 0
    seconds, now = time.perf_counter() - begun, os.times()
    if expected is not None and rows != expected:
        raise SystemExit(f"{rows} rows where {expected} are")
    return seconds, sum(now[:4]) - sum(used[:4])


def table(title: str, found: dict[str, list[tuple[float, float]]], count: int) -> None:
    print(f"\n{title}\n\n| | rows/s | least to most | rows per second of processor |\n|---|---|---|---|")
    for name, turns in found.items():
        speeds = sorted(count / seconds for seconds, _ in turns)
        used = count / max(1e-9, statistics.median(cpu for _, cpu in turns))
        print(f"| {name} | {statistics.median(speeds):,.0f} | {speeds[0]:,.0f} to {speeds[-1]:,.0f} | {used:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Epochs of refinery-beam beside those of other libraries.")
    parser.add_argument("images", type=Path, help="photographs (JPEG) in class folders")
    parser.add_argument("--count", type=int, default=2000, help="how many of them (default 2000)")
    parser.add_argument("--size", type=int, default=224, help="to which size (default 224)")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each (default 3)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = ("refinery-beam", "torch", "pyarrow", "numpy", "litdata", "mosaicml-streaming", "datasets", "pillow")
    print(f"{versions(*names)}; {machine()}; {args.count} images of {args.size}x{args.size}x3, batches of {BATCH}")
    with tempfile.TemporaryDirectory(prefix="refinery-bench-") as scratch:
        work = Path(scratch)
        epochs = all_epochs(args.images.absolute(), args.count, args.size, work)
        # litdata leaves another one behind.
        multiprocessing.set_start_method("fork", force=True)
        count = min(args.count, len(list((work / "jpegs").iterdir())))
        for workers in WORKERS:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in epochs}
            for turn in range(args.repeat + 1):
                for name, epoch in epochs.items():
                    gc.collect()
                    took = timed(epoch(workers), count)
                    if turn:
                        found[name].append(took)
            table(f"{workers} workers", found, count)
        bare: dict[str, list[tuple[float, float]]] = {}
        for turn in range(args.repeat + 1):
            for name, rows in bare_epochs(work).items():
                took = timed(rows(), None)
                if turn:
                    bare.setdefault(name, []).append(took)
        table("One column in order, without torch", bare, count)


if __name__ == "__main__":
    main()
