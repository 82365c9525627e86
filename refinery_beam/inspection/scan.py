"""Every row and every input of an instance as small tuples in the order of record ids, however many there are: what a comparison merges.

Rows are read shard by shard, a bounded number at a time, and sorted with `sorting.Sorter`, which goes to disk beyond some ten thousand
rows. Content is hashed as it is stored and never kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.inspection.columns import batches, opened
from refinery_beam.inspection.inputs import INPUT
from refinery_beam.sorting import Sorter

CONTENT_ROWS = 64
"""Rows whose content is in memory at a time."""


class InputFact(NamedTuple):
    """A listed file: its record, the digest of its bytes (b'' where no instance states it) and its label ('' for none)."""

    base: str
    digest: bytes
    label: str


class RowFact(NamedTuple):
    """A stored row: the record it comes from, its own id, where it lies, its label, and digests of its other fields and of its content."""

    base: str
    record_id: str
    split: str
    position: int
    label: str
    fields: bytes
    content: bytes


def scan_inputs(manifest: Manifest) -> Sorter[InputFact]:
    """The rows of input.parquet by record id; empty for an instance of format 1, which has none."""
    found: Sorter[InputFact] = Sorter(key=lambda row: row[0], make=InputFact._make)
    if manifest.file(INPUT) is None:
        return found
    with ExitStack() as stack:
        file = opened(stack, manifest, INPUT)
        for batch in batches(file, ["record_id", "digest", "label"], locations.join(manifest.location, INPUT)):
            for record_id, digest, label in zip(*(batch.column(k).to_pylist() for k in range(3)), strict=True):
                found.add(InputFact(record_id, digest or b"", label or ""))
    return found


def scan_rows(manifest: Manifest, *, content: bool) -> Sorter[RowFact]:
    """The stored rows by the record they come from; with `content` also what they hold. StoreError ``damaged``."""
    found: Sorter[RowFact] = Sorter(key=lambda row: (row[0], row[1]), make=RowFact._make)
    for row in _rows(manifest, content=content):
        found.add(row)
    return found


def _rows(manifest: Manifest, *, content: bool) -> Iterator[RowFact]:
    image, label_field = manifest.image_field, str(manifest.raw.get("label_field", ""))
    for split in manifest.splits:
        position = 0
        for shard in manifest.shards(split):
            with ExitStack() as stack:
                file = opened(stack, manifest, shard.path)
                names = [name for name in file.schema_arrow.names if name != image or content]
                location = locations.join(manifest.location, shard.path)
                for batch in batches(file, names, location, rows=CONTENT_ROWS if content and image else None):
                    columns = {name: batch.column(name) for name in names}
                    ids = columns.pop("record_id").to_pylist()
                    hashes = [_digest(cell) for cell in columns.pop(image)] if image in columns else [b""] * len(ids)
                    labels = columns.pop(label_field).to_pylist() if label_field in columns else [None] * len(ids)
                    fields = [column.to_pylist() for column in columns.values()]
                    for k, record_id in enumerate(ids):
                        rest = _hash(repr([column[k] for column in fields]).encode("utf-8", "surrogatepass")) if fields else b""
                        label = "" if labels[k] is None else str(labels[k])
                        yield RowFact(record_id.partition("#")[0], record_id, split, position, label, rest, hashes[k])
                        position += 1


def _digest(cell: Any) -> bytes:
    """What a cell of content holds; of a file beside its path the bytes alone."""
    if not cell.is_valid:
        return b"-"
    value = cell["bytes"] if hasattr(cell, "keys") else cell
    buffer = value.as_buffer() if hasattr(value, "as_buffer") else None
    return _hash(buffer if buffer is not None else repr(value.as_py()).encode("utf-8", "surrogatepass"))


def _hash(data: Any) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
