"""The same work in other libraries, each in the way that its documentation recommends, with two processes. They store the rows and no more:
no digest, no fitted statistics but those of float32, no splits.

usage: peers.py datasets|litdata|mds WORKLOAD IMAGES OUT
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from by_hand import WORKS, Made, Work, fit, listed, make

PROCESSES = 2


def rows(file: str, work: Work, fitted: Any) -> Iterator[dict[str, Any]]:
    for cell in make(Path(file), work, fitted).cells:
        yield {"image": cell, "label": Path(file).parent.name, "path": file}


def listed_rows(file: str, work: Work, fitted: Any) -> list[dict[str, Any]]:
    return list(rows(file, work, fitted))


def rows_of_all(files: list[str], work: Work, fitted: Any) -> Iterator[dict[str, Any]]:
    for file in files:
        yield from rows(file, work, fitted)


def counted(file: str, work: Work) -> Made:
    return make(Path(file), work)._replace(cells=[])


def with_datasets(files: list[str], work: Work, fitted: Any, out: str) -> None:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Value("binary"), "label": datasets.Value("string"), "path": datasets.Value("string")})
    given = {"files": files, "work": work, "fitted": fitted}  # a list is divided among the processes, a tuple is not
    made = datasets.Dataset.from_generator(rows_of_all, features, cache_dir=f"{out}.scratch", gen_kwargs=given, num_proc=PROCESSES)
    os.makedirs(out)
    made.to_parquet(f"{out}/rows.parquet")


def with_litdata(files: list[str], work: Work, fitted: Any, out: str) -> None:
    import litdata

    litdata.optimize(partial(rows, work=work, fitted=fitted), files, output_dir=out, chunk_bytes="64MB", num_workers=PROCESSES)


def with_mds(files: list[str], work: Work, fitted: Any, out: str) -> None:
    from streaming import MDSWriter

    columns = {"image": "bytes", "label": "str", "path": "str"}
    packed = "zstd:1" if work.encoding == "tensor" else None
    with ProcessPoolExecutor(PROCESSES) as pool, MDSWriter(out=out, columns=columns, compression=packed, hashes=["sha1"]) as writer:
        for some in pool.map(partial(listed_rows, work=work, fitted=fitted), files, chunksize=64):
            for row in some:
                writer.write(row)


PEERS = {"datasets": with_datasets, "litdata": with_litdata, "mds": with_mds}


def main(peer: str, name: str, images: str, out: str) -> None:
    work, files, fitted = WORKS[name], [str(file) for file in listed(Path(images))], None
    if work.floats:
        with ProcessPoolExecutor(PROCESSES) as pool:
            fitted = fit(made.histogram for made in pool.map(partial(counted, work=work), files, chunksize=64))
    PEERS[peer](files, work, fitted, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
