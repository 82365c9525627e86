"""Objects on a store that live for a moment: what is written to find something out, such as the time there.

``<root>/staging/.probe-<8 digits>`` says which process wrote it. Its process removes it, whatever the answer was. Where it could not, since
it was killed or the store refused, a later build, hit or `clean` does: at once where the process is known to be gone, else an hour later
by the clock of the store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from refinery_beam import locations
from refinery_beam.cache.attempts.locks import identity_of_process, process_is_gone
from refinery_beam.errors import StoreError

PROBE = ".probe-"
OLD_SECONDS = 3600.0
"""So old is no probe whose process still waits for an answer."""


@contextmanager
def probe(staging: str) -> Iterator[tuple[str, bytes]]:
    """The location of a new probe and what is to be written there; it is gone afterwards. Raises OSError."""
    location = locations.join(staging, f"{PROBE}{os.urandom(4).hex()}")
    try:
        yield location, json.dumps(identity_of_process()).encode()
    except BaseException:
        # The store may have done what it gave no answer to.
        with suppress(OSError, StoreError):
            locations.remove(location)
        raise
    locations.remove(location)


def time_there(staging: str) -> datetime:
    """What time it is by the store's clock, which only the store knows. Raises OSError."""
    with probe(staging) as (location, text):
        locations.write(location, text)
        return locations.modified(location)


def dead_probes(staging: str, names: Iterable[str], now: datetime) -> list[str]:
    """The locations of probes that nobody waits for any more, among the names below ``staging/``; `now` is by the store's clock."""
    every = (locations.join(staging, name) for name in names if name.startswith(PROBE))
    return [location for location in every if _is_dead(location, now)]


def _is_dead(location: str, now: datetime) -> bool:
    try:
        if (now - locations.modified(location)).total_seconds() >= OLD_SECONDS:
            return True
        holder = json.loads(locations.read(location))
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    # Two machines may share a name, so one that could not tell more than it has a process nobody can know.
    return isinstance(holder, dict) and " " in str(holder.get("where", "")) and process_is_gone(holder)
