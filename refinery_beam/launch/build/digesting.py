"""The Beam pass that reads files on a store for their digests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from refinery_beam import locations
from refinery_beam.cache import InstanceKey, open_attempt
from refinery_beam.identity import nfc, record_key, value_digest
from refinery_beam.index import Source
from refinery_beam.index.listing.sources import FileFact
from refinery_beam.job.index_parts import write_index
from refinery_beam.job.row_files import read_rows
from refinery_beam.launch.build.engine import Engine
from refinery_beam.launch.settings import Settings
from refinery_beam.pipeline.rows.digest_files import DigestFiles
from refinery_beam.records import DigestRow, Ref
from refinery_beam.runners.options import check_locations, read_options


def digest_pass(source: Source, files: Iterable[FileFact], count: int, settings: Settings) -> Iterator[DigestRow]:
    """A row for each of the `count` files of a source, with its digest or the reason why there is none. Raises what the engine raises."""
    options = read_options(settings.runner, settings.beam_options)
    check_locations(options, cache_root=settings.root, sources=[source.root], shared_files=settings.shared_files)
    settings.tell(f"source {source.name!r}: reading {count} files for their digests")
    # An attempt like that of an instance: locked while it lives, swept when its run died, never promoted.
    name = value_digest("digests", [source.name, source.root])
    key = InstanceKey(recipe_hash=name, input_hash=name, seed=0)
    with open_attempt(settings.root, key) as staging:
        engine = Engine.of(settings, staging, records=count, noun="files")
        write_index(locations.join(engine.work, "index"), _refs(source, files), count=count)
        passed = DigestFiles(source.root, engine.work, records=count, heartbeat=engine.heartbeat)
        engine.run(lambda pipeline: pipeline | "Digests" >> passed)
        last = None
        for row in read_rows(locations.join(engine.work, "digests"), DigestRow):
            if row != last:
                yield row
            last = row


def _refs(source: Source, files: Iterable[FileFact]) -> Iterator[Ref]:
    for file in files:
        record_id = f"{source.name}/{nfc(file.path)}"
        yield Ref(record_id, record_key(record_id), 0, file.path, file.size, b"", None, "", b"", "", "", "")
