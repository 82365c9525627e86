"""Index building as a Beam pass: the SHA-256 of files on a store, computed by workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import apache_beam as beam

from refinery_beam import locations
from refinery_beam.job.cancel import at_work
from refinery_beam.job.index_parts import read_groups
from refinery_beam.job.job import shared_pool
from refinery_beam.pipeline.heartbeat import Heartbeat
from refinery_beam.pipeline.rows.read_index import DealGroups
from refinery_beam.pipeline.rows.write_rows import WriteRows
from refinery_beam.record.readahead import ordered_map
from refinery_beam.records import DigestRow, Ref

THREADS = 16
"""How many files a bundle requests from a store at once: it waits for the network, not for the processor."""

ROWS_A_FILE = 20_000


class DigestFiles(beam.PTransform):
    """The refs in ``work/index``, without digests -> `DigestRow` files in ``work/digests``. `root` is the URL of their source."""

    def __init__(self, root: str, work: str, *, records: int, heartbeat: bool = False) -> None:
        super().__init__()
        self._root, self._work, self._heartbeat = root, work, heartbeat
        self._files = max(1, records // ROWS_A_FILE)

    def expand(self, pipeline: Any) -> Any:
        rows = (
            pipeline
            | "Index" >> DealGroups(locations.join(self._work, "index"))
            | "Digest" >> beam.ParDo(DigestGroup(self._root, self._work, heartbeat=self._heartbeat))
        )
        rows.element_type = DigestRow
        return rows | "Rows" >> WriteRows(locations.join(self._work, "digests"), DigestRow, files=self._files)


class DigestGroup(beam.DoFn):
    """Reads the files that one part of the index names, some at a time."""

    def __init__(self, root: str, work: str, *, heartbeat: bool) -> None:
        self._root, self._work, self._heartbeat = root, work, heartbeat

    def setup(self) -> None:
        self._progress = Heartbeat(self._work, "digest", enabled=self._heartbeat)

    def process(self, group: tuple[int, Iterable[str]]) -> Iterator[DigestRow]:
        refs = read_groups(group, locations.join(self._work, "index"))
        with at_work(self._work):
            for row in ordered_map(partial(digest_file, root=self._root), refs, pool=shared_pool(THREADS), threads=THREADS):
                self._progress.done()
                yield row
        self._progress.flush()


def digest_file(ref: Ref, *, root: str) -> DigestRow:
    """Read one file whole. A file that cannot be read, or whose size differs from the listing, gives a row with a reason, no error."""
    try:
        data = locations.read(locations.join(root, ref.path))
    except OSError as error:
        return DigestRow(ref.path, "", "unreadable", (error.strerror or type(error).__name__).lower())
    if len(data) != ref.size:
        return DigestRow(ref.path, "", "changed_during_run", f"listed with {ref.size} bytes, read {len(data)}")
    return DigestRow(ref.path, hashlib.sha256(data).hexdigest(), "", "")
