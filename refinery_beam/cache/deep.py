"""The deep half of `verify`: read every row of a shard and compute its digest anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinery_beam.cache.findings import Finding
from refinery_beam.cache.manifest import FileEntry, Manifest
from refinery_beam.cache.stored import LOSSLESS, ImageForm, declared_rank, decode_encoded, image_form
from refinery_beam.errors import StoreError
from refinery_beam.identity import record_key
from refinery_beam.rows import Pixels, SourceBytes, row_digest, shard_digest

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Rows decoded at once: 64 images of 224x224x3 are under 10 MB.
_ROWS = 64


def check_rows(manifest: Manifest, entry: FileEntry, file: pq.ParquetFile, seen: dict[bytes, str]) -> tuple[list[Finding], list[str]]:
    """Check one open shard: columns and types, ids unique and in key order, values of the declared type, and ``rows_digest``.

    ``seen`` holds the record keys of the whole instance and is added to (32 bytes a record). Gives the findings and notes: pixels stored
    as jpeg or webp are not the pixels that were hashed before encoding, so of such shards everything is checked but the digest.
    """
    check = _Shard(manifest, entry, file)
    if check.findings:
        return check.findings, []
    for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
        for row in batch.to_pylist():
            check.row(row, seen)
    return check.finish()


class _Shard:
    def __init__(self, manifest: Manifest, entry: FileEntry, file: pq.ParquetFile) -> None:
        self.entry = entry
        self.findings: list[Finding] = []
        self.digests: list[bytes] = []
        self.last = b""
        self.schema = manifest.schema
        self.image = manifest.image_field
        self.rank = declared_rank(manifest.schema, self.image)
        self.form: ImageForm | None = None
        arrow = file.schema_arrow
        expected, present = {"record_id", *self.schema}, set(arrow.names)
        for name in sorted(expected - present):
            self.add("schema", f"lacks the column {name!r}")
        for name in sorted(present - expected):
            self.add("schema", f"has the column {name!r}, which is not in the output schema")
        if self.findings:
            return
        for name, declared in self.schema.items():
            if name != self.image and not _fits(arrow.field(name).type, declared):
                self.add("schema", f"stores {name!r} as {arrow.field(name).type}, the output schema says {declared}")
        if self.image is not None:
            try:
                self.form = image_form(arrow.field(self.image), place=entry.path)
            except StoreError as error:
                self.add("schema", error.message)
        if self.form is not None and self.form.encoding != manifest.encoding:
            self.add("schema", f"stores images as {self.form.encoding}, the manifest says {manifest.encoding}")

    def add(self, code: str, message: str) -> None:
        self.findings.append(Finding(code, self.entry.path, message))

    def row(self, row: dict[str, Any], seen: dict[bytes, str]) -> None:
        record_id = row["record_id"]
        if not isinstance(record_id, str):
            self.add("value", f"record_id {record_id!r} is not text")
            return
        key = record_key(record_id)
        if key in seen:
            self.add("duplicate-id", f"{record_id!r} is in {seen[key]} already")
        seen[key] = self.entry.path
        if key < self.last:
            self.add("order", f"{record_id!r} is out of order: rows are sorted by record key")
        self.last = key
        try:
            fields = [
                (name, declared["dtype"], self.pixels(row[name], declared) if name == self.image else row[name])
                for name, declared in self.schema.items()
                if name != "record_id"
            ]
            self.digests.append(row_digest(record_id, fields))
        except (StoreError, TypeError, ValueError) as error:
            self.add("value", f"{record_id!r}: {error}")

    def pixels(self, cell: Any, declared: dict[str, Any]) -> Pixels | SourceBytes:
        assert self.form is not None
        if self.form.encoding == "tensor":
            assert self.form.shape is not None
            shape, pixels = self.form.shape, Pixels(self.form.dtype, self.form.shape, cell)
        elif self.form.encoding == "source":
            return SourceBytes.of(cell["bytes"])
        else:
            array = decode_encoded(cell["bytes"], rank=self.rank, place=self.entry.path)
            shape, pixels = array.shape, Pixels(array.dtype.name, array.shape, array.tobytes())
        wanted = declared.get("shape")
        if pixels.dtype != declared["dtype"]:
            raise ValueError(f"pixels are {pixels.dtype}, the output schema says {declared['dtype']}")
        if wanted is not None and (len(wanted) != len(shape) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True))):
            raise ValueError(f"the shape is {list(shape)}, the output schema says {list(wanted)}")
        return pixels

    def finish(self) -> tuple[list[Finding], list[str]]:
        notes = []
        if self.form is not None and self.form.encoding not in LOSSLESS | {"source"}:
            notes.append(
                f"images are stored as {self.form.encoding}: the pixels that were hashed before encoding are gone, so rows_digest was not "
                "computed anew (files, counts, ids, order, values and decoding were checked)"
            )
        elif not self.findings and shard_digest(self.digests) != self.entry.rows_digest:
            self.add("rows-digest", f"its rows give {shard_digest(self.digests)}, the manifest says {self.entry.rows_digest}")
        return self.findings, notes


def _fits(stored: Any, declared: dict[str, Any]) -> bool:
    """Whether an Arrow type is how a declared dtype (and shape, for lists) is stored."""
    import pyarrow as pa

    for _ in declared.get("shape") or ():
        if not (pa.types.is_list(stored) or pa.types.is_fixed_size_list(stored) or pa.types.is_large_list(stored)):
            return False
        stored = stored.value_type
    word = declared["dtype"]
    if word == "bytes":
        return bool(pa.types.is_binary(stored) or pa.types.is_large_binary(stored))
    if word in ("str", "string"):
        return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))
    # An odd word in the schema is a misfit, not a crash.
    names = {"int": "int64", "float": "float64", "boolean": "bool"}
    try:
        return bool(stored == pa.type_for_alias(names.get(word, word)))
    except ValueError:
        return False
