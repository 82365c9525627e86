"""Tells living runs from dead ones on a store: stores have no locks, so a living run renews a lease.

::

    <root>/staging/<recipe16>-<input16>-<seed>-<attempt>/lease      written over every BEAT_SECONDS while the run lives
                                                        /rows/      what its workers report

The law
-------
* A run is dead when its lease was last written LEASE_SECONDS ago or longer **by the store's own clock**: ages are taken against the lease
  that the observer has just written itself, so no two clocks are compared. A run of this machine whose process is gone is dead at once.
* A run clears what dead runs of its key left only while no other run of the key works. A lease is ``sweeping`` or ``ready``. A run begins
  as sweeping, lists the living runs of its key, clears only if none of them is ready, sets its lease to ready, and starts its work only
  when no other living run is sweeping. So of two runs at least one finds the other's lease: the files of a living run are never swept.
* A run that could not renew its lease for half of LEASE_SECONDS counts itself as dead: it promotes nothing and clears nothing.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime

from refinery_beam import locations
from refinery_beam.cache.attempts.locks import identity_of_process, process_is_gone
from refinery_beam.cache.attempts.probes import PROBE, dead_probes, time_there
from refinery_beam.errors import StoreError

LEASE_SECONDS = 180.0
BEAT_SECONDS = 30.0
POLL_SECONDS = 2.0
FRESH_SECONDS = 10.0
"""A lease this young counts as "now": ages taken against it are too small rather than too large. Stores slow down who writes one object
every second.
"""

_ATTEMPT = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}--?\d+-[0-9a-f]{8}")
SWEEPING, READY = "sweeping", "ready"


class Lease:
    """The lease of one attempt; renewed by a thread until `release`. It ignores failures to renew until the lease counts as lost."""

    def __init__(self, staging: str, key: str, attempt: str) -> None:
        self.staging, self.key = staging, key
        self.folder = locations.join(staging, f"{key}-{attempt}")
        self._location = locations.join(self.folder, "lease")
        self._state = SWEEPING
        self._written = 0.0
        self._dead: list[str] = []
        self._probes: list[str] = []
        self._over = threading.Event()
        self._writing = threading.Lock()

    @property
    def lost(self) -> bool:
        """Whether other runs may count this run as dead soon, or do so already."""
        return _clock() - self._written > LEASE_SECONDS / 2

    def begin(self, clear: Callable[[], None]) -> list[str]:
        """Write the first lease, call `clear` if the law allows it, and return when work may start. Removes dead probes, and gives the
        folders of dead attempts.
        """
        self._say(SWEEPING)
        threading.Thread(target=self._renew, name="refinery-lease", daemon=True).start()
        dead = self.sweep(clear)
        locations.remove_all(self._probes)
        self._say(READY)
        while any(state == SWEEPING for state in self.others().values()):
            time.sleep(POLL_SECONDS)
        return dead

    def sweep(self, clear: Callable[[], None]) -> list[str]:
        """Set the lease to sweeping, and call `clear` unless another living run of the key is ready. Gives the folders of dead attempts."""
        if self._state != SWEEPING:
            # From working back to sweeping: a run that began meanwhile may be working, ready or not.
            self._say(SWEEPING)
            allowed = not self.others()
        else:
            allowed = READY not in self.others().values()
        if allowed and not self.lost:
            clear()
        return self._dead

    def others(self) -> dict[str, str]:
        """The states of the other living runs of the key, by attempt. Also remembers dead runs and dead probes."""
        if _clock() - self._written > FRESH_SECONDS:
            self._say(self._state)
        # Read back: its time is "now" by the store's clock.
        now = locations.modified(self._location)
        living: dict[str, str] = {}
        self._dead = []
        names = locations.names(self.staging)
        self._probes = dead_probes(self.staging, names, now)
        for name in names:
            folder = locations.join(self.staging, name)
            if not name.startswith(f"{self.key}-") or folder == self.folder:
                continue
            state = _state_of(locations.join(folder, "lease"), now)
            if state is None:
                self._dead.append(folder)
            else:
                living[name] = state
        return living

    def release(self) -> None:
        """Stop renewing and remove the lease, the last object of an attempt."""
        self._over.set()
        with self._writing:
            locations.remove(self._location)

    def _say(self, state: str) -> None:
        with self._writing:
            if self._over.is_set():
                return
            self._state = state
            begun = _clock()
            locations.write(self._location, json.dumps({"state": state, **identity_of_process()}).encode())
            self._written = begun

    def _renew(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._say(self._state)
            except (OSError, StoreError):
                continue  # `lost` says when that has lasted too long


def living_keys(root: str) -> set[str]:
    """The key names that living runs of any machine are at work on, in a cache root on a store."""
    staging = locations.join(locations.absolute(root), "staging")
    names = [name for name in locations.names(staging) if _ATTEMPT.fullmatch(name)]
    if not names:
        return set()
    now = time_there(staging)
    return {name.rpartition("-")[0] for name in names if _state_of(locations.join(staging, name, "lease"), now) is not None}


def is_left(root: str, key: str) -> bool:
    """Whether a run of a key that is dead, or a dead probe, left something below ``staging/``, in a cache root on a store. One listing
    where nothing is there.
    """
    staging = locations.join(locations.absolute(root), "staging")
    names = locations.names(staging)
    mine = [name for name in names if _ATTEMPT.fullmatch(name) and name.startswith(f"{key}-")]
    if not mine and not any(name.startswith(PROBE) for name in names):
        return False
    now = time_there(staging)
    return bool(dead_probes(staging, names, now)) or any(_state_of(locations.join(staging, name, "lease"), now) is None for name in mine)


def _state_of(location: str, now: datetime) -> str | None:
    """The state of another run's lease, or None when it is dead: too old, its process gone, or no lease at all."""
    try:
        written, said = locations.modified(location), json.loads(locations.read(location))
    except FileNotFoundError:
        return None  # removed between listing and reading, or a sweep died half-way through its folder
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    # The name of a machine is not enough: two machines may share one, so the boot id counts too.
    gone = " " in str(said.get("where", "")) and process_is_gone(said)
    return None if gone or (now - written).total_seconds() >= LEASE_SECONDS else str(said.get("state", READY))


def _clock() -> float:
    """A clock that goes on while the machine sleeps, where there is one: a run that slept through its lease must notice."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
