"""The same work without refinery-beam: what a careful person would write by hand. The yardstick of `make bench`.

Two threads read, hash, decode, resize and count the pixels of every image; the main thread writes them to Parquet, as 8-bit pixels in a
column of fixed size bytes, zstd level 1. No splits, no identity, no proof, no second process.

usage: bare_loop.py IMAGES OUT.parquet
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

SIZE = 224
THREADS = 2
CHUNK = 64
EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def prepare(file: Path) -> tuple[bytes, bytes, np.ndarray]:
    """The digest, the resized pixels and their histogram."""
    content = file.read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return hashlib.sha256(content).digest(), image.tobytes(), np.array(image.histogram(), np.int64)


def main(images: Path, out: Path) -> None:
    files = sorted(f for f in images.rglob("*") if f.suffix.lower() in EXTENSIONS)
    schema = pa.schema([("path", pa.string()), ("label", pa.string()), ("digest", pa.binary(32)), ("image", pa.binary(SIZE * SIZE * 3))])
    plain = [name for name in schema.names if name != "image"]
    histogram = np.zeros(768, np.int64)
    with (
        ThreadPoolExecutor(THREADS) as pool,
        pq.ParquetWriter(out, schema, compression="zstd", compression_level=1, use_dictionary=plain, write_statistics=plain) as writer,
    ):
        chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
        ahead = deque((chunk, pool.map(prepare, chunk)) for chunk in chunks[:2])
        for following in [*chunks[2:], None, None][: len(chunks)]:
            chunk, results = ahead.popleft()
            digests, pixels, histograms = zip(*results, strict=True)
            if following:  # the threads work on while this one writes
                ahead.append((following, pool.map(prepare, following)))
            histogram += sum(histograms)
            columns = [[str(f.relative_to(images)) for f in chunk], [f.parent.name for f in chunk], digests, pixels]
            writer.write_table(pa.table([pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)], schema=schema))
    byte_values = np.arange(256)
    print(len(files), [float((h * byte_values).sum() / h.sum()) for h in histogram.reshape(3, 256)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
