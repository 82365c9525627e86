"""Which files changed while a run read them: the worker that meets the first one ends the run, and a person wants to know them all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

from refinery_beam import locations
from refinery_beam.errors import DataError, RefineryError
from refinery_beam.index.build import Entry
from refinery_beam.index.text import Few, plural
from refinery_beam.planning.nodes import Plan

NAMED = 20
"""Files that are named; of more the number is."""

LOOKED_AT = 100_000
"""Files whose size is compared: a failure must not take long to tell."""

CODE = "changed-during-run"


def every_change(error: RefineryError, plan: Plan, entries: Iterable[Entry]) -> RefineryError:
    """The error of a run that met a changed file, naming the others that have another size by now, or are gone. Other errors are given back
    as they are.
    """
    met = error.errors()
    if any(one.code != CODE for one in met):
        return error
    found = {str(one.value) for one in met} | {entry.record_id for entry in islice(entries, LOOKED_AT) if _differs(plan, entry)}
    few = Few(NAMED)
    for record_id in sorted(found):
        few.add(record_id)
    return DataError(f"{plural(few.count, 'file')} changed during the run: {few}", code=CODE, at=met[0].at, value=few.first)


def _differs(plan: Plan, entry: Entry) -> bool:
    root = plan.sources[entry.source].root
    if locations.is_url(root):
        return False
    try:
        return os.stat(locations.join(root, entry.path)).st_size != entry.size
    except OSError:
        return True
