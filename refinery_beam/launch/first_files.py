"""Decodes the first few files before a run: what their decoder notes is worth knowing before all of them are decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from refinery_beam import locations
from refinery_beam.launch.prepare import Prepared
from refinery_beam.plugins.base import BadRecord, Plugin, PluginFailed
from refinery_beam.plugins.notes import Tally, add_notes, noting
from refinery_beam.recipe import Recipe, decode_limits, decode_policy
from refinery_beam.record.source import Decoder
from refinery_beam.scaffold import FolderFacts, first_pictures

FILES, BYTES = 16, 16 << 20
"""How many files are decoded, and the size of the largest."""

File = tuple[str, str]
"""A name and a location."""


def first_remarks(prepared: Prepared) -> list[tuple[str, str]]:
    """(code, text) of warnings about the first files by record key, of those on this machine that the kind itself decodes. A file that does
    not decode says nothing here: the run names it.
    """
    plan, kind = prepared.plan, prepared.plugin.kind
    if not plan.decodes:
        return []
    return _remarks(Decoder(kind, plan.decode, plan.limits), _first(prepared), of=prepared.index.records_in)


def remarks_of_folder(recipe: Recipe, plugin: Plugin, found: FolderFacts) -> list[tuple[str, str]]:
    """The same of the first pictures of each source that `init` found, by name."""
    policy, limits = (model.model_dump(mode="json") for model in (decode_policy(recipe, plugin), decode_limits(recipe, plugin)))
    decoder = Decoder(plugin.kind, policy, limits)
    files = [(name, location) for source in found.sources for name, location in first_pictures(source, FILES)]
    return _remarks(decoder, files[:FILES], of=0)


def _first(prepared: Prepared) -> Iterator[File]:
    plan = prepared.plan
    own = {k for k, source in enumerate(prepared.index.sources) if not source.remote and not plan.sources[k].loader}
    entries = (entry for entry in prepared.index.entries if entry.source in own and entry.size <= BYTES)
    for entry in islice(entries, FILES):
        yield entry.record_id, locations.join(prepared.index.sources[entry.source].root, entry.path)


def _remarks(decoder: Decoder, files: Iterable[File], *, of: int) -> list[tuple[str, str]]:
    """What the decoder notes of some files, in words; `of` is how many there are in all."""
    tally: Tally = {}
    tried = 0
    for name, location in files:
        tried += 1
        with noting() as notes:
            try:
                decoder.decode(locations.read(location))
            except (BadRecord, PluginFailed, OSError):
                continue
        add_notes(tally, name, notes)
    return [(code, text if tried == of else f"of the first {tried} files: {text}") for code, text in decoder.kind.remarks(tally)]
