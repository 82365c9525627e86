"""One shard: rows in record_key order, streamed into one Parquet file that is counted and hashed as it is written.

Bytes are a pure function of the rows, the schema and the plan's `Storage`: row groups are cut by bytes, and the content column has no
statistics and no dictionary (they cost half the speed there and say nothing). The file is written under an attempt name and renamed
to a name that holds its own digest, so a retried or a duplicated attempt can only ever produce the same file again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refinery_beam import locations
from refinery_beam.errors import DataError, ErrorGroup, StoreError
from refinery_beam.exact import Partial
from refinery_beam.locations.space import is_full, no_space
from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.plugins.base import Encoding
from refinery_beam.plugins.compression import codec_and_level
from refinery_beam.plugins.notes import Tally, add_notes, write_notes
from refinery_beam.record.columns import arrow_schema
from refinery_beam.record.extras import Gather
from refinery_beam.record.facts import FactsPart, part_location
from refinery_beam.record.partials import joined
from refinery_beam.record.prepared import ONE_THREAD, Crew, prepared
from refinery_beam.record.row import Row
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker
from refinery_beam.records import LedgerRow, Ref, ShardRow
from refinery_beam.rows import shard_digest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Shard:
    """The results of writing one shard: its row, the ledger rows of lost records, and its merged partials by fit point."""

    row: ShardRow
    ledger: list[LedgerRow] = field(default_factory=list)
    partials: dict[str, Partial] = field(default_factory=dict)
    extras: list[tuple[str, Any]] = field(default_factory=list)


class HashingFile:
    """A writable binary file that counts and hashes (SHA-256) the bytes written. It has only the methods that pyarrow calls."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        done = 0
        while done < len(view):
            done += self._file.write(view[done:]) or 0
        self.size += len(view)
        return len(view)

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Does nothing: the file is unbuffered."""

    def close(self) -> None:
        self._file.close()
        self.closed = True

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class ShardFile:
    """A Parquet file of finished rows, cut into row groups by the bytes of their content."""

    def __init__(self, path: str, output: OutputPlan, encoding: Encoding | None) -> None:
        self._output, self._encoding = output, encoding
        self._schema = arrow_schema(output, encoding)
        self.file = HashingFile(path)
        self._writer: Any = None
        self._rows: list[Row] = []
        self._bytes = 0
        self.records = 0

    def append(self, row: Row) -> None:
        self._rows.append(row)
        self._bytes += row.size
        self.records += 1
        # Metadata-only rows have no content bytes: bound their number instead.
        if self._output.storage.full(len(self._rows), self._bytes) or len(self._rows) >= 1 << 16:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._opened().close()
        self.file.close()

    def abandon(self) -> None:
        """Close the writer and ignore what it wrote. A pyarrow writer that stays open prints an error later, when its file is closed."""
        with suppress(Exception):
            self._writer.close()
        self.file.close()

    def _opened(self) -> Any:
        """The writer, made at its first use: making one writes already, and may fail like any write."""
        import pyarrow.parquet as pq

        if self._writer is None:
            # The leaves of a struct column are named by path; listing the plain columns leaves the content's own leaves out.
            plain = [c.name for c in self._schema if c.name != self._output.content_field]
            codecs = column_compression(self._schema, self._output)
            self._writer = pq.ParquetWriter(
                self.file,
                self._schema,
                compression={path: name for path, (name, _) in codecs.items()},
                compression_level={path: level for path, (_, level) in codecs.items() if level is not None},
                use_dictionary=plain,
                write_statistics=plain,
            )
        return self._writer

    def _flush(self) -> None:
        import pyarrow as pa

        names = [name for name, _ in self._output.fields]
        columns: list[pa.Array] = []
        for column in self._schema:
            if column.name == "record_id":
                columns.append(pa.array([r.ref.record_id for r in self._rows], type=column.type))
                continue
            values = [r.values[names.index(column.name)] for r in self._rows]
            if self._encoding is not None and column.name == self._output.content_field:
                columns.append(self._encoding.column(values, [r.ref.path for r in self._rows], column))
            else:
                columns.append(pa.array(values, type=column.type))
        batch = pa.record_batch(columns, schema=self._schema)
        self._opened().write_batch(batch, row_group_size=len(self._rows))
        self._rows = []
        self._bytes = 0


def column_compression(schema: pa.Schema, output: OutputPlan) -> dict[str, tuple[str, int | None]]:
    """The codec, by name and level, of every leaf column of a schema, by its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Only Parquet knows the paths of leaves in lists and structs.
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    leaves = pq.read_metadata(pa.BufferReader(empty.getvalue())).schema
    content, fields = codec_and_level(output.storage.content), codec_and_level(output.storage.fields)
    paths = [leaves.column(i).path for i in range(len(leaves))]
    return {path: content if path.split(".")[0] == output.content_field else fields for path in paths}


def shard_name(shard: int, shards: int, sha256: str) -> str:
    """The name of a shard file: its number, the number of shards, and twelve hex digits of its own digest.

    >>> shard_name(3, 12, "abcdef0123456789")
    'part-00003-of-00012-abcdef012345.parquet'
    """
    return f"part-{shard:05d}-of-{shards:05d}-{sha256[:12]}.parquet"


def write_shard(
    worker: Worker,
    refs: Iterable[Ref],
    fitted: Fitted,
    *,
    split: str,
    shard: int,
    shards: int,
    folder: str,
    scratch: str,
    crew: Crew = ONE_THREAD,
    progress: Any = None,
    gather: Gather | None = None,
    facts: str = "",
) -> Shard:
    """Write the shard of `refs` below `folder`/`split`, through a temporary file in `scratch`.

    `folder` may be on a store; the file is then uploaded when it is whole and hashed, and an attempt that is repeated puts the same object
    again. `scratch` is local, and on one file system with a local `folder`.

    Rows are in record_key order whatever order `refs` came in. Bad records stop the run (``on_error: fail``, DataError) or become ledger
    rows. `crew` does the work. `gather` takes the extras of rows: evidence, sink files, refs for a sample. `facts` is the folder for the
    facts of the rows; '' for none.
    """
    locations.make_folder(locations.join(folder, split))
    gather = gather or Gather(worker.plan, instance=locations.parent(folder))
    # Random, because two attempts at one shard may run at the same time; the file is renamed or removed.
    temporary = os.path.join(scratch, f"{split}-{shard:05d}-{os.urandom(8).hex()}")
    output = worker.plan.output
    out = ShardFile(temporary, output, worker.encoding)
    ledger: list[LedgerRow] = []
    partials: dict[str, Partial] = {}
    points = {point.name: point for point in worker.plan.fits}
    labels: Counter[str | None] = Counter()
    notes: Tally = {}
    digests: list[bytes] = []
    part = FactsPart(worker.kind, seed=worker.plan.seed) if facts else None
    bad: list[DataError] = []

    try:
        for some, batch in prepared(worker, refs, fitted, crew, bounds=part.bounds if part is not None else None, bad=bad):
            for position, (ref, result) in enumerate(zip(some, batch.outcomes, strict=True)):
                if isinstance(result, DataError):
                    raise result
                if isinstance(result, LedgerRow):
                    ledger.append(result)
                    if part is not None:
                        part.lose(ref, result, batch.sketches.get(position))
                else:
                    out.append(result)
                    labels[ref.label] += 1
                    digests.append(result.digest)
                    add_notes(notes, ref.record_id, result.notes)
                    gather.add(ref, result.extras, temporary=f"{temporary}-sink")
            for name, record_id, partial in batch.partials:
                if name in partials:
                    joined(worker.plan, points[name], record_id, partials[name].merge, partial)
                else:
                    partials[name] = partial
            if part is not None and batch.facts is not None:
                part.add(batch.facts)
            if progress is not None:
                progress.done(len(some))
        out.close()
        if part is not None:
            part.write(part_location(facts, split, shard, shards), temporary=f"{temporary}-facts")
        sha256 = out.file.hexdigest()
        name = shard_name(shard, shards, sha256)
        locations.put_file(temporary, locations.join(folder, split, name))
    except BaseException as error:
        out.abandon()
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _cannot_write(error, folder) from error
        if error in bad and len(bad) > 1:
            # Read ahead: who mends one file wants to know of the others.
            raise ErrorGroup(sorted(bad, key=lambda one: one.at)) from error
        raise
    row = ShardRow(
        split=split,
        shard=shard,
        shards=shards,
        records=out.records,
        file=f"{locations.basename(folder)}/{split}/{name}",
        bytes=out.file.size,
        sha256=sha256,
        rows_digest=shard_digest(digests),
        labels=label_counts(labels),
        notes=write_notes(notes),
    )
    return Shard(row=row, ledger=ledger, partials=partials, extras=gather.rows())


def _cannot_write(error: OSError, folder: str) -> StoreError:
    if locations.is_url(folder) and str(error.filename).startswith(folder):
        return locations.fault(error, "write a shard below", folder)
    if is_full(error):
        return no_space(error, folder, "write a shard below")
    return StoreError(f"a shard cannot be written: {error.strerror or error}", code="store-io", at=folder, value=error.errno)


def label_counts(rows: Mapping[str | None, int]) -> str:
    """Canonical JSON of records by label; the unlabeled ones under ''."""
    return json.dumps({k or "": v for k, v in sorted(rows.items(), key=lambda kv: kv[0] or "")}, ensure_ascii=False, separators=(",", ":"))
