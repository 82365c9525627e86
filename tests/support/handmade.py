"""Instances written by hand, without the pipeline: what the cache and the readers are tested on."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from refinery_beam.cache import InstanceKey, Manifest, Staging, compute_files, promote
from refinery_beam.identity import record_key
from refinery_beam.rows import SourceBytes, row_digest, shard_digest

KEY = InstanceKey("ab" * 32, "cd" * 32, 42)
SHAPE = (4, 5, 3)


def pixels(record_id: str, shape: Sequence[int] = SHAPE) -> np.ndarray[Any, Any]:
    """Pixels that depend on the id alone."""
    need = int(np.prod(shape))
    data = b"".join(hashlib.sha256(f"{record_id}:{i}".encode()).digest() for i in range(need // 32 + 1))
    return np.frombuffer(data[:need], np.uint8).reshape(tuple(shape)).copy()


def encode(array: np.ndarray[Any, Any], encoding: str) -> bytes:
    out = io.BytesIO()
    form = {"png": "PNG", "source": "PNG", "jpeg": "JPEG", "webp": "WEBP"}[encoding]
    Image.fromarray(array[:, :, 0] if array.shape[-1:] == (1,) else array).save(out, form)
    return out.getvalue()


def write_shard(
    staging: Staging,
    split: str,
    shard: int,
    shards: int,
    ids: Sequence[str],
    *,
    encoding: str | None = "tensor",
    shape: Sequence[int] = SHAPE,
    row_group: int = 3,
    tweak: str = "",
    order: bool = True,
    image: Callable[[str], np.ndarray[Any, Any]] | None = None,
) -> dict[str, Any]:
    ids = sorted(ids, key=record_key) if order else list(ids)
    arrays = [image(i) if image else pixels(i + tweak, shape) for i in ids]
    labels = [i.split("/")[1] if "/" in i else "x" for i in ids]
    columns: dict[str, Any] = {"record_id": pa.array(ids, pa.string())}
    fields = [pa.field("record_id", pa.string())]
    cells: list[Any] = [None] * len(ids)
    if encoding == "tensor":
        size = int(np.prod(shape))
        meta = {b"refinery:encoding": b"tensor", b"refinery:dtype": b"uint8", b"refinery:shape": json.dumps(list(shape)).encode()}
        fields.append(pa.field("image", pa.binary(size), metadata=meta))
        columns["image"] = pa.array([a.tobytes() for a in arrays], pa.binary(size))
        cells = arrays
    elif encoding is not None:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        fields.append(pa.field("image", kind, metadata={b"refinery:encoding": encoding.encode()}))
        data = [encode(a, encoding) for a in arrays]
        columns["image"] = pa.array([{"bytes": d, "path": i} for d, i in zip(data, ids, strict=True)], kind)
        cells = [SourceBytes.of(d) for d in data] if encoding == "source" else arrays
    fields += [pa.field("label", pa.string()), pa.field("score", pa.float32()), pa.field("tags", pa.list_(pa.int64()))]
    scores, tags = [len(i) / 3 for i in ids], [[len(i), n] for n, i in enumerate(ids)]
    columns |= {"label": pa.array(labels), "score": pa.array(scores, pa.float32()), "tags": pa.array(tags, pa.list_(pa.int64()))}
    rows = []
    for record_id, cell, label, score, tag in zip(ids, cells, labels, scores, tags, strict=True):
        row: list[tuple[str, str, Any]] = [("label", "str", label), ("score", "float32", score), ("tags", "int64", tag)]
        rows.append(row_digest(record_id, row + ([("image", "uint8", cell)] if encoding else [])))
    folder = os.path.join(staging.instance, "dataset", split)
    os.makedirs(folder, exist_ok=True)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), sink, row_group_size=row_group)
    data_bytes = sink.getvalue()
    sha = hashlib.sha256(data_bytes).hexdigest()
    name = f"part-{shard:05d}-of-{shards:05d}-{sha[:12]}.parquet"
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data_bytes)
    return {
        "path": f"dataset/{split}/{name}", "bytes": len(data_bytes), "sha256": sha, "split": split, "shard": shard, "shards": shards,
        "records": len(ids), "rows_digest": shard_digest(rows),
    }  # fmt: skip


def fill(
    staging: Staging,
    *,
    splits: Mapping[str, int] | None = None,
    shards: int = 2,
    encoding: str | None = "tensor",
    tweak: str = "",
    shape: Sequence[int] = SHAPE,
    extra: Mapping[str, Any] | None = None,
    statistics: Mapping[str, Any] | None = None,
    order: bool = True,
    image: Callable[[str], np.ndarray[Any, Any]] | None = None,
) -> dict[str, Any]:
    """Write everything an instance holds; gives the manifest's body."""
    splits = {"train": 14, "val": 3} if splits is None else splits
    entries = []
    for split, records in splits.items():
        ids = [f"s/{'cat' if n % 2 else 'dog'}/{split}-{n}.png" for n in range(records)]
        for shard in range(shards):
            entries.append(
                write_shard(
                    staging, split, shard, shards, ids[shard::shards], encoding=encoding, tweak=tweak, shape=shape, order=order, image=image
                )
            )
    for name, text in {"recipe.yaml": "schema_version: 3\n", "report/report.md": "# Report\n"}.items():
        with open(os.path.join(staging.instance, name), "w", encoding="utf-8") as file:
            file.write(text)
    for name, value in (statistics or {}).items():
        with open(os.path.join(staging.instance, "fitted_statistics", f"{name}.json"), "w", encoding="utf-8") as file:
            file.write(json.dumps(value, sort_keys=True, indent=2) + "\n")
    schema: dict[str, Any] = {
        "label": {"dtype": "str", "shape": None}, "score": {"dtype": "float32", "shape": None}, "tags": {"dtype": "int64", "shape": [None]},
    }  # fmt: skip
    if encoding:
        schema["image"] = {"dtype": "uint8", "shape": list(shape)}
    return {
        "contract": 1, "refinery_beam": "0.1.0", "plugin": {"name": "image_classification", "version": 1}, "splits": list(splits),
        "counts": dict(splits), "ledger": {}, "files": compute_files(staging.instance, shards=entries), "warnings": [],
        "output": {"schema": schema, "image_field": "image" if encoding else None, "encoding": encoding, "quality": 95},
        "op_versions": {}, "codec_fingerprint": "00", "deferred": [], "replay": {"decode": {}, "steps": []}, **(extra or {}),
    }  # fmt: skip


def build(root: str, key: InstanceKey = KEY, *, durable: bool = False, **options: Any) -> Manifest:
    """A whole instance, promoted."""
    with Staging.open(str(root), key) as staging:
        return promote(staging, fill(staging, **options), durable=durable)[1]
