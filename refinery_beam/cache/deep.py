"""The deep half of `verify`: read every row of a shard and compute its digest anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinery_beam.cache.content import content_field
from refinery_beam.cache.findings import Finding
from refinery_beam.cache.manifest import FileEntry, Manifest
from refinery_beam.dtypes import normal_dtype
from refinery_beam.identity import record_key
from refinery_beam.plugins.base import ArrayType, BadRecord, Cell, Plugin
from refinery_beam.rows import SourceBytes, row_digest, shard_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows decoded at once: 64 images of 224x224x3 are under 10 MB.
_ROWS = 64


def check_rows(
    manifest: Manifest, plugin: Plugin, entry: FileEntry, file: pq.ParquetFile, file_of_key: dict[bytes, str]
) -> tuple[list[Finding], list[str]]:
    """Check one open shard: columns and types, ids unique and in key order, values of the declared type, and ``rows_digest``.

    ``plugin`` reads the content. ``file_of_key`` holds the record keys of the whole instance and gets those of the shard (32 bytes a
    record). Gives the findings and notes: the digest of a row covers its content before encoding, so a shard of a lossy encoding is checked
    in everything but the digest.
    """
    check = _Shard(manifest, plugin, entry, file)
    if check.findings:
        return check.findings, []
    for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
        check.batch(batch, file_of_key)
    return check.finish()


class _Shard:
    def __init__(self, manifest: Manifest, plugin: Plugin, entry: FileEntry, file: pq.ParquetFile) -> None:
        self.entry, self.kind = entry, plugin.kind
        self.findings: list[Finding] = []
        self.digests: list[bytes] = []
        self.last = b""
        self.schema = manifest.schema
        self.content = manifest.image_field
        self.encoding = plugin.encoding(manifest.encoding or "") if self.content is not None else None
        self.field: Any = None
        arrow = file.schema_arrow
        expected, present = {"record_id", *self.schema}, set(arrow.names)
        for name in sorted(expected - present):
            self.add("schema", f"lacks the column {name!r}")
        for name in sorted(present - expected):
            self.add("schema", f"has the column {name!r}, which is not in the output schema")
        if self.findings:
            return
        for name, declared in self.schema.items():
            if name != self.content and not _fits(arrow.field(name).type, declared):
                self.add("schema", f"stores {name!r} as {arrow.field(name).type}, the output schema says {declared}")
        if self.content is not None and self.encoding is not None:
            try:
                self.field = content_field(arrow, self.content, self.encoding.name)
            except ValueError as error:
                self.add("schema", f"column {self.content!r}: {error}")

    def add(self, code: str, message: str) -> None:
        self.findings.append(Finding(code, self.entry.path, message))

    def batch(self, batch: pa.RecordBatch, file_of_key: dict[bytes, str]) -> None:
        plain = [name for name in batch.schema.names if name != self.content]
        rows = batch.select(plain).to_pylist()
        cells: Sequence[Any] = [None] * len(rows)
        if self.content is not None and self.encoding is not None:
            try:
                cells = self.encoding.cells(batch.column(self.content), self.field)
            except ValueError as error:
                self.add("schema", f"column {self.content!r}: {error}")
                return
        for row, cell in zip(rows, cells, strict=True):
            self.row(row, cell, file_of_key)

    def row(self, row: dict[str, Any], cell: Cell, file_of_key: dict[bytes, str]) -> None:
        record_id = row["record_id"]
        if not isinstance(record_id, str):
            self.add("value", f"record_id {record_id!r} is not text")
            return
        key = record_key(record_id)
        if key in file_of_key:
            self.add("duplicate-id", f"{record_id!r} is in {file_of_key[key]} already")
        file_of_key[key] = self.entry.path
        if key < self.last:
            self.add("order", f"{record_id!r} is out of order: rows are sorted by record key")
        self.last = key
        try:
            fields = [
                (name, declared["dtype"], self.proof(cell, declared) if name == self.content else row[name])
                for name, declared in self.schema.items()
                if name != "record_id"
            ]
            self.digests.append(row_digest(record_id, fields))
        except (BadRecord, TypeError, ValueError) as error:
            self.add("value", f"{record_id!r}: {error}")

    def proof(self, cell: Cell, declared: dict[str, Any]) -> Any:
        """The value of a row's content for the row's digest."""
        assert self.encoding is not None
        content = self.encoding.read(cell)
        if self.encoding.from_source:
            return SourceBytes.of(content)
        if declared.get("shape") is None:
            return self.kind.proof(self.kind.plain(content))
        return self.kind.proof(self.kind.settle(content, ArrayType(declared["dtype"], tuple(declared["shape"]))))

    def finish(self) -> tuple[list[Finding], list[str]]:
        notes = []
        if self.encoding is not None and not self.encoding.lossless:
            notes.append(
                f"{self.kind.noun} are stored as {self.encoding.name}: what was hashed before encoding is gone, so rows_digest was not "
                "computed anew (files, counts, ids, order, values and decoding were checked)"
            )
        elif not self.findings and shard_digest(self.digests) != self.entry.rows_digest:
            self.add("rows-digest", f"its rows give {shard_digest(self.digests)}, the manifest says {self.entry.rows_digest}")
        return self.findings, notes


def _fits(stored: Any, declared: dict[str, Any]) -> bool:
    """Whether an Arrow type stores a declared dtype (and shape, for lists)."""
    import pyarrow as pa

    for _ in declared.get("shape") or ():
        if not (pa.types.is_list(stored) or pa.types.is_fixed_size_list(stored) or pa.types.is_large_list(stored)):
            return False
        stored = stored.value_type
    word = normal_dtype(declared["dtype"])
    if word == "bytes":
        return bool(pa.types.is_binary(stored) or pa.types.is_large_binary(stored))
    if word == "str":
        return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))
    # An odd word in the schema is a misfit, not a crash.
    try:
        return bool(stored == pa.type_for_alias(word))
    except ValueError:
        return False
