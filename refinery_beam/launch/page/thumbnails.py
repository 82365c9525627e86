"""Pictures of records from facts/thumbnails.parquet, which the write pass left: no raw file is read for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.reporting.page import Picture, Record
from refinery_beam.reporting.page.bounds import TILES

THUMBNAILS = "facts/thumbnails.parquet"


class Thumbnails(NamedTuple):
    """The records of the grid of samples, and pictures by record id."""

    samples: tuple[Record, ...] = ()
    pictures: dict[str, Picture] = {}  # noqa: RUF012


def read_thumbnails(manifest: Manifest, wanted: Collection[str]) -> Thumbnails:
    """The first pictures of every class and split, as many as the page has room for, and those of the `wanted` records that are there."""
    import pyarrow.parquet as pq

    if manifest.file(THUMBNAILS) is None:
        return Thumbnails()
    ranked: list[tuple[int, int, Record]] = []
    pictures: dict[str, Picture] = {}
    with locations.opened(locations.join(manifest.location, THUMBNAILS)) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches(batch_size=512):
            for row in batch.to_pylist():
                record = Record(row["record_id"], row["split"] or "", row["label"] or "")
                if row["ledger"] and record.record_id not in wanted:
                    continue
                if not row["ledger"]:
                    ranked.append((row["position"], len(ranked), record))
                pictures[record.record_id] = Picture("image/jpeg", row["jpeg"], row["width"], row["height"])
    samples = [record for _, _, record in sorted(sorted(ranked)[:TILES], key=lambda one: one[1])]
    kept = {record.record_id for record in samples} | set(wanted)
    return Thumbnails(tuple(samples), {name: picture for name, picture in pictures.items() if name in kept})
