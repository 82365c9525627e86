"""Which codec, and how large a row group? Rows of photographs through the product's own writer, then read in order and at random.

usage: storage.py DIR [--mb N] [--repeat N] [--cells tensor:224,png:32,...]

DIR holds photographs, at any depth. Crops of them are brought to three sizes and encoded once; what is timed is the writing of finished
rows into one Parquet file, reading it from its first row group to its last, and reading single rows at random as `SplitReader` does where
its cache is of no help: with the footer at hand, by opening the file and decoding the row group of the row. Times are processor time of one
thread. All forms of one cell take turns, and the medians of the turns are printed. PNG and JPEG cells are read as files: decoding costs the
same however they are stored.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from refinery_beam.identity import record_key
from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.planning.storage import GROUP_ROWS, ROW_GROUP_BYTES, Storage
from refinery_beam.plugins.base import FieldType
from refinery_beam.plugins.image_classification.encodings import ENCODINGS
from refinery_beam.record.row import Row
from refinery_beam.record.shard import ShardFile
from refinery_beam.records import Ref

SIZES = (32, 224, 512)
CELLS = [*(f"{encoding}:{size}" for encoding in ("tensor", "png", "jpeg") for size in SIZES), "tensor:128", "float32:224", "drawn:32"]
CODECS = {"tensor": ("none", "lz4", "snappy", "zstd:1", "zstd:3"), "file": ("none", "lz4", "zstd:1")}
GROUPS = (1 << 12, 1 << 18, 1 << 19, 1 << 20, 1 << 23)
MAX_ROWS = 20_000
RANDOM_SECONDS = 0.4


class Form(NamedTuple):
    """A codec of the content column, and the bytes of a row group; None ends row groups as the product does."""

    codec: str
    group: int | None


class Measured(NamedTuple):
    """Rows a second of processor time, bytes of a row in the file, and rows of a row group."""

    write: float
    in_order: float
    at_random: float
    row_bytes: float
    group_rows: float


def crops(folder: Path, size: int, count: int) -> Iterator[np.ndarray[Any, Any]]:
    """Squares of one to four times the size from photographs, brought to the size. The same at every call."""
    chance = random.Random(size)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and p.is_file())
    chance.shuffle(files)
    made = 0
    while made < count:
        before = made
        for file in files:
            with Image.open(file) as opened:
                if min(opened.size) < size or made >= count:
                    continue
                opened.draft("RGB", (4096, 4096))
                image = opened.convert("RGB")
            for _ in range(-(-count // min(len(files), 40))):
                side = chance.randint(size, min(4 * size, *image.size))
                x, y = (chance.randint(0, whole - side) for whole in image.size)
                yield np.asarray(image.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.BILINEAR))
                made += 1
                if made >= count:
                    break
        if made == before:
            raise SystemExit(f"{folder} holds no photograph of {size} x {size} pixels")


def drawn(size: int, count: int) -> Iterator[np.ndarray[Any, Any]]:
    """Figures of one colour on black, which compress far better than photographs."""
    chance = random.Random(size)
    for number in range(count):
        image = Image.new("RGB", (size, size))
        left, top = chance.randrange(size // 2), chance.randrange(size // 2)
        box = (left, top, left + chance.randint(size // 4, size // 2), top + chance.randint(size // 4, size // 2))
        figure = (ImageDraw.Draw(image).ellipse, ImageDraw.Draw(image).rectangle)[number % 2]
        figure(box, fill=(chance.randrange(256), chance.randrange(256), chance.randrange(256)))
        yield np.asarray(image)


def finished_rows(folder: Path, cell: str, megabytes: int) -> tuple[OutputPlan, list[Row]]:
    """The plan of a cell's output, without its storage, and rows as a worker hands them to the writer."""
    word, _, size = cell.partition(":")
    side = int(size)
    dtype = "float32" if word == "float32" else "uint8"
    encoding = ENCODINGS[word if word in ENCODINGS else "tensor"]
    count = min(MAX_ROWS, (megabytes << 20) // (side * side * 3))
    rows = []
    pictures = drawn(side, count) if word == "drawn" else crops(folder, side, count)
    for number, pixels in enumerate(pictures):
        content = ((pixels / np.float32(255) - np.float32(0.45)) / np.float32(0.22)) if dtype == "float32" else pixels
        cell_bytes = encoding.write(content, quality=95)
        path = f"class_{number % 20:02d}/{number:06d}.jpg"
        record_id, label = f"photos/{path}", f"class_{number % 20:02d}"
        ref = Ref(record_id, record_key(record_id), 0, path, 1, b"", label, "", b"", "train", "", "")
        rows.append(Row(ref=ref, values=(cell_bytes, label, path), digest=b"", size=len(cell_bytes)))
    fields = (("image", FieldType(dtype, (side, side, 3))), ("label", FieldType("str")), ("path", FieldType("str")))
    output = OutputPlan(
        fields=fields,
        content_field="image",
        encoding=encoding.name,
        quality=95,
        shard_records=None,
        shard_bytes=None,
        storage=Storage(content="none", fields="zstd:1", row_group_bytes=ROW_GROUP_BYTES, row_group_rows=GROUP_ROWS),
    )
    return output, rows


def measured(output: OutputPlan, rows: list[Row], form: Form, path: Path) -> Measured:
    """Write the rows in a form, and read them."""
    encoding = ENCODINGS[output.encoding]
    storage = replace(output.storage, content=form.codec)
    if form.group is not None:
        storage = replace(storage, row_group_bytes=form.group, row_group_rows=None)
    output = replace(output, storage=storage)
    begun = time.process_time()
    file = ShardFile(str(path), output, encoding)
    for row in rows:
        file.append(row)
    file.close()
    writing = time.process_time() - begun

    footer = pq.read_metadata(path)
    columns = ["record_id", "image", "label", "path"]
    schema = footer.schema.to_arrow_schema()

    def group(number: int) -> Any:
        with pq.ParquetFile(path, metadata=footer) as opened:
            table = opened.read_row_group(number, columns=columns, use_threads=False)
        for name in ("record_id", "label", "path"):
            table.column(name).to_pylist()
        return encoding.cells(table.column("image").combine_chunks(), schema.field("image"))

    begun = time.process_time()
    read = sum(len(group(number)) for number in range(footer.num_row_groups))
    reading = time.process_time() - begun
    assert read == len(rows)

    starts = np.cumsum([0] + [footer.row_group(number).num_rows for number in range(footer.num_row_groups)])
    chance, singles = random.Random(0), 0
    begun = time.process_time()
    while (spent := time.process_time() - begun) < RANDOM_SECONDS:
        position = chance.randrange(len(rows))
        number = int(np.searchsorted(starts, position, side="right")) - 1
        cell = group(number)[position - starts[number]]
        if output.encoding == "tensor":
            encoding.read(cell)
        singles += 1
    size = path.stat().st_size
    path.unlink()
    return Measured(len(rows) / writing, len(rows) / reading, singles / spent, size / len(rows), len(rows) / footer.num_row_groups)


def main() -> None:
    parser = argparse.ArgumentParser(description="Codecs and row groups, measured.")
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--mb", type=int, default=128, help="decoded bytes of a cell's rows (default 128)")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each form (default 3)")
    parser.add_argument("--cells", default=",".join(CELLS), help=f"encoding:size, of {', '.join(CELLS)}")
    args = parser.parse_args()
    print("| content | codec | rows a group | write rows/s | in order rows/s | at random rows/s | kB a row |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="refinery-storage-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:
        for cell in args.cells.split(","):
            output, rows = finished_rows(args.photographs, cell, args.mb)
            smallest = min(row.size for row in rows)
            codecs = CODECS["tensor" if output.encoding == "tensor" else "file"]
            groups = [g for i, g in enumerate(GROUPS) if i + 1 == len(GROUPS) or GROUPS[i + 1] > smallest]
            forms = [Form(codec, group) for codec in codecs for group in (None, *groups)]
            turns = [{form: measured(output, rows, form, Path(scratch) / "rows.parquet") for form in forms} for _ in range(args.repeat)]
            for form in forms:
                m = Measured(*(statistics.median(values) for values in zip(*(turn[form] for turn in turns), strict=True)))
                numbers = f"{m.group_rows:,.0f} | {m.write:,.0f} | {m.in_order:,.0f} | {m.at_random:,.0f} | {m.row_bytes / 1000:.2f}"
                grouped = "" if form.group is not None else " (the product's groups)"
                print(f"| {cell} | {form.codec}{grouped} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
