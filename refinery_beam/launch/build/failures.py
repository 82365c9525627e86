"""What a failed attempt says beyond what the worker that failed could know: every file that changed, how much room is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice

from refinery_beam import locations
from refinery_beam.errors import DataError, ErrorGroup, RefineryError, StoreError
from refinery_beam.index.build import Entry
from refinery_beam.index.text import Few, plural
from refinery_beam.planning.nodes import Plan

NAMED = 20
"""Files that are named; of more the number is."""

COMPARED = 100_000
"""Files whose size is compared: a failure must not take long to report."""


def explained(error: RefineryError, plan: Plan, entries: Iterable[Entry], *, wanted: int) -> RefineryError:
    """The error of an attempt. Where it met a changed file, it names all that have another size by now or are gone; where a disk is full,
    it says how many bytes the dataset takes, about `wanted`. Other errors are given back as they are.
    """
    found = error.errors()
    if all(one.code == "changed-during-run" for one in found):
        return _every_change(found, plan, entries)
    for one in found:
        if one.code == "no-space":
            message = f"{one.message}; the dataset takes about {wanted / 1e6:,.1f} MB"
            return StoreError(message, code=one.code, at=one.at, value=one.value)
    return error


def named(failures: Sequence[RefineryError]) -> RefineryError:
    """The errors of workers as one: each is named, up to `NAMED`, and the last says how many more there are."""
    shown = list(failures[:NAMED])
    if len(failures) > NAMED:
        last = shown[-1]
        last.message += f"; and {plural(len(failures) - NAMED, 'more error')} like these by then"
        last.args = (last.message,)
    return shown[0] if len(shown) == 1 else ErrorGroup(shown)


def _every_change(found: Iterable[RefineryError], plan: Plan, entries: Iterable[Entry]) -> RefineryError:
    met = list(found)
    changed = {str(one.value) for one in met} | {entry.record_id for entry in islice(entries, COMPARED) if _differs(plan, entry)}
    few = Few(NAMED)
    for record_id in sorted(changed):
        few.add(record_id)
    return DataError(f"{plural(few.count, 'file')} changed during the run: {few}", code="changed-during-run", at=met[0].at, value=few.first)


def _differs(plan: Plan, entry: Entry) -> bool:
    root = plan.sources[entry.source].root
    if locations.is_url(root):
        return False
    try:
        return os.stat(locations.join(root, entry.path)).st_size != entry.size
    except OSError:
        return True
