"""Digests of files on a store that its listing does not give: a Beam pass on the chosen engine, over what no hint covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from refinery_beam import places
from refinery_beam.cache import InstanceKey, open_attempt
from refinery_beam.identity import nfc, record_key, value_digest
from refinery_beam.index import HintCache, SourceListing
from refinery_beam.index.digests.digest_files import Digested
from refinery_beam.index.digests.hints import ObjectState
from refinery_beam.index.listing.sources import FileFact, path_key, sorted_files
from refinery_beam.records import Ref
from refinery_beam.runners.options import check_places, read_options
from refinery_beam.sorting import Sorter

if TYPE_CHECKING:
    from refinery_beam.launch.prepare import Settings

_BATCH = 8192


class Outcome(NamedTuple):
    """What is known of one file: its digest, from a hint or (``hashed``) from its bytes, or the reason why there is none."""

    key: bytes
    digest: bytes
    reason: str
    detail: str
    hashed: bool


def digest_remote(listing: SourceListing, hints: HintCache, *, settings: Settings, scratch: str) -> Iterator[Digested]:
    """The files of a listing on a store with their SHA-256, in its order. Raises what the engine raises; a file that cannot be read is a
    problem of that file.
    """
    outcomes = Sorter(key=lambda outcome: outcome.key, make=Outcome._make, folder=scratch)
    unknown = sorted_files(scratch)
    for batch in _batches(listing.files):
        known = hints.lookup([_place(listing, file) for file in batch])
        for file in batch:
            hint = known.get(_place(listing, file))
            if hint is not None and file.version and hint[0] == _state(file).pack():
                outcomes.add(Outcome(path_key(file), hint[1], "", "", False))
            else:
                unknown.add(file)
    if len(unknown):
        for outcome in _computed(listing, unknown, settings):
            outcomes.add(outcome)
        _remember(listing, unknown, outcomes, hints)
    for file, found in zip(listing.files, outcomes, strict=True):
        yield Digested(file, found.digest or None, (found.reason, found.detail) if found.reason else None, found.hashed)


def _computed(listing: SourceListing, unknown: Sorter[FileFact], settings: Settings) -> Iterator[Outcome]:
    """Run the pass, and read what it wrote."""
    from refinery_beam.runners.local import quiet_beam

    with quiet_beam(enabled=not settings.debug):
        from refinery_beam.job.index_parts import write_index
        from refinery_beam.job.row_files import read_rows
        from refinery_beam.launch.engine import Engine
        from refinery_beam.pipeline.rows.digest_files import DigestFiles
    from refinery_beam.records import DigestRow

    source, records = listing.source, len(unknown)
    options = read_options(settings.runner, settings.beam_options)
    check_places(options, cache_root=settings.cache_root, sources=[source.root], shared_files=settings.shared_files)
    settings.tell(f"source {source.name!r}: reading {records} files for their digests")
    # An attempt like that of an instance: locked while it lives, swept when its run died, never promoted.
    name = value_digest("digests", [source.name, source.root])
    key = InstanceKey(recipe_hash=name, input_hash=name, seed=0)
    with open_attempt(settings.cache_root, key) as staging:
        engine = Engine.of(settings, staging, records=records)
        write_index(places.join(engine.work, "index"), _refs(listing, unknown), count=records)
        passed = DigestFiles(source.root, engine.work, records=records, heartbeat=engine.heartbeat)
        engine.run(lambda pipeline: pipeline | "Digests" >> passed)
        last = None
        for row in read_rows(places.join(engine.work, "digests"), DigestRow):
            if row != last:
                yield Outcome(nfc(row.path).encode(), bytes.fromhex(row.digest), row.reason, row.detail, not row.reason)
            last = row


def _refs(listing: SourceListing, files: Iterable[FileFact]) -> Iterator[Ref]:
    for file in files:
        record_id = f"{listing.source.name}/{nfc(file.path)}"
        yield Ref(record_id, record_key(record_id), 0, file.path, file.size, b"", None, "", b"", "", "", "")


def _remember(listing: SourceListing, unknown: Iterable[FileFact], outcomes: Iterable[Outcome], hints: HintCache) -> None:
    """Store hints of what was hashed, in batches. Both come in the order of paths."""
    hashed = (outcome for outcome in outcomes if outcome.hashed or outcome.reason)
    pairs = ((file, found) for file, found in zip(unknown, hashed, strict=True) if found.digest and file.version)
    while batch := list(islice(pairs, _BATCH)):
        hints.store([(_place(listing, file), _state(file), found.digest) for file, found in batch])


def _batches(files: Iterable[FileFact]) -> Iterator[list[FileFact]]:
    stream = iter(files)
    while batch := list(islice(stream, _BATCH)):
        yield batch


def _place(listing: SourceListing, file: FileFact) -> str:
    return places.join(listing.source.root, file.path)


def _state(file: FileFact) -> ObjectState:
    return ObjectState(file.size, file.version)
