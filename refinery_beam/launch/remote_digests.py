"""Digests of files on a store whose listing lacks them: from hints, and by a Beam pass for files without a hint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from refinery_beam import locations
from refinery_beam.identity import nfc
from refinery_beam.index import HintCache, SourceListing
from refinery_beam.index.digests.digest_files import Digested
from refinery_beam.index.digests.hints import ObjectState
from refinery_beam.index.listing.sources import FileFact, path_key, sorted_files
from refinery_beam.launch.settings import Settings
from refinery_beam.runners.quiet import import_beam
from refinery_beam.sorting import Sorter

_BATCH = 8192


class Outcome(NamedTuple):
    """The result for one file: its digest, from a hint or (``hashed``) from its bytes, or the reason why there is none."""

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
        known = hints.lookup([_location(listing, file) for file in batch])
        for file in batch:
            hint = known.get(_location(listing, file))
            if hint is not None and file.version and hint[0] == _state(file).pack():
                outcomes.add(Outcome(path_key(file), hint[1], "", "", False))
            else:
                unknown.add(file)
    if len(unknown):
        for outcome in _compute(listing, unknown, len(unknown), settings):
            outcomes.add(outcome)
        _remember(listing, unknown, outcomes, hints)
    for file, found in zip(listing.files, outcomes, strict=True):
        yield Digested(file, found.digest or None, (found.reason, found.detail) if found.reason else None, found.hashed)


def _compute(listing: SourceListing, unknown: Iterable[FileFact], count: int, settings: Settings) -> Iterator[Outcome]:
    """Read the files in a Beam pass."""
    import_beam(talk=settings.debug)
    # Imports Beam, which a run whose files all have hints does not need.
    from refinery_beam.launch.build.digesting import digest_pass

    for row in digest_pass(listing.source, unknown, count, settings):
        yield Outcome(nfc(row.path).encode(), bytes.fromhex(row.digest), row.reason, row.detail, not row.reason)


def _remember(listing: SourceListing, unknown: Iterable[FileFact], outcomes: Iterable[Outcome], hints: HintCache) -> None:
    """Store hints of what was hashed, in batches. Both come in the order of paths."""
    hashed = (outcome for outcome in outcomes if outcome.hashed or outcome.reason)
    pairs = ((file, found) for file, found in zip(unknown, hashed, strict=True) if found.digest and file.version)
    while batch := list(islice(pairs, _BATCH)):
        hints.store([(_location(listing, file), _state(file), found.digest) for file, found in batch])


def _batches(files: Iterable[FileFact]) -> Iterator[list[FileFact]]:
    stream = iter(files)
    while batch := list(islice(stream, _BATCH)):
        yield batch


def _location(listing: SourceListing, file: FileFact) -> str:
    """The name of a file in hints."""
    return locations.join(listing.source.hinted, file.path)


def _state(file: FileFact) -> ObjectState:
    return ObjectState(file.size, file.version)
