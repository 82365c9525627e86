"""Decodes the first few files before a run: what their decoder notes is worth knowing before all of them are decoded."""

from __future__ import annotations

from itertools import islice

from refinery_beam import locations
from refinery_beam.launch.prepare import Prepared
from refinery_beam.plugins.base import BadRecord, PluginFailed
from refinery_beam.plugins.notes import Tally, add_notes, noting
from refinery_beam.record.source import Decoder

FILES, BYTES = 16, 16 << 20
"""How many files are decoded, and the size of the largest."""


def first_remarks(prepared: Prepared) -> list[tuple[str, str]]:
    """(code, text) of warnings about the first files by record key, of those on this machine that the kind itself decodes. A file that does
    not decode says nothing here: the run names it.
    """
    plan, kind = prepared.plan, prepared.plugin.kind
    if not plan.decodes:
        return []
    decoder = Decoder(kind, plan.decode, plan.limits)
    own = {k for k, source in enumerate(prepared.index.sources) if not source.remote and not plan.sources[k].loader}
    tally: Tally = {}
    tried = 0
    for entry in islice((e for e in prepared.index.entries if e.source in own and e.size <= BYTES), FILES):
        tried += 1
        with noting() as notes:
            try:
                decoder.decode(locations.read(locations.join(prepared.index.sources[entry.source].root, entry.path)))
            except (BadRecord, PluginFailed, OSError):
                continue
        add_notes(tally, entry.record_id, notes)
    whole = tried == prepared.index.records_in
    return [(code, text if whole else f"of the first {tried} files: {text}") for code, text in kind.remarks(tally)]
