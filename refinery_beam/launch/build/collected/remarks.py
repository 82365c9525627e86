"""Warns of what the decoder assumed or mended in records that it took."""

from __future__ import annotations

from collections.abc import Iterable

from refinery_beam.plugins.base import Kind
from refinery_beam.plugins.notes import Tally, join_noted, read_notes
from refinery_beam.records import ShardRow


def remarks(kind: Kind, shards: Iterable[ShardRow]) -> list[tuple[str, str]]:
    """A warning for every note of the decoder that needs one, over all shards."""
    tally: Tally = {}
    for row in shards:
        join_noted(tally, read_notes(row.notes))
    return kind.remarks(tally)
