"""The same work without refinery-beam: what a careful person would write by hand. The yardstick of `make bench-all`.

Two threads read, hash, decode, resize, change, encode and count the pixels of every image; the main thread writes them to Parquet with
LZ4. Floats take two passes, as they must. No exact splits, no identity, no proof, no second process.

usage: bare_loop.py WORKLOAD IMAGES OUT.parquet
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from by_hand import WORKS, Made, fit, listed, make

THREADS = 2
CHUNK = 64


def ahead(pool: Executor, work: partial[Made], files: list[Path]) -> Iterator[tuple[list[Path], list[Made]]]:
    """Chunks of files and what was made of them; the threads work on while the caller writes."""
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    waiting = deque((chunk, pool.map(work, chunk)) for chunk in chunks[:2])
    for following in [*chunks[2:], None, None][: len(chunks)]:
        chunk, results = waiting.popleft()
        made = list(results)
        if following:
            waiting.append((following, pool.map(work, following)))
        yield chunk, made


def main(name: str, images: Path, out: Path) -> None:
    work, files = WORKS[name], listed(images)
    fields = [("path", pa.string()), ("label", pa.string()), ("digest", pa.binary(32)), ("image", pa.binary(work.row_bytes))]
    schema, plain = pa.schema(fields), ["path", "label", "digest"]
    codecs = {"path": "zstd", "label": "zstd", "digest": "zstd", "image": "lz4"}
    with (
        ThreadPoolExecutor(THREADS) as pool,
        pq.ParquetWriter(out, schema, compression=codecs, use_dictionary=plain, write_statistics=plain) as writer,
    ):
        task, fitted, histograms = partial(make, work=work), None, []
        if work.floats:
            fitted = fit(made.histogram for _, chunk in ahead(pool, task, files) for made in chunk)
            task = partial(make, work=work, fitted=fitted)
        for chunk, results in ahead(pool, task, files):
            histograms.append(sum(made.histogram for made in results))
            rows = [
                (str(file.relative_to(images)), file.parent.name, made.digest, cell)
                for file, made in zip(chunk, results, strict=True)
                for cell in made.cells
            ]
            arrays = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema))
    print(len(files), fitted or (work.encoding == "source" or fit(histograms)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
