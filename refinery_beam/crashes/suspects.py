"""Finds which of the records that a dead worker was working on killed it: tries each of them in its own process.

One dead worker proves little: it may have been working on several records, and memory may have run out. So every suspect is tried `TRIES`
times, in a process without other records, with a time limit. A record that kills its process in every try is a *poison record*. The answer
does not depend on which worker died first.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from refinery_beam.crashes.endings import CRASHES, NO_END
from refinery_beam.crashes.markers import Marker
from refinery_beam.planning.nodes import Plan
from refinery_beam.processes import child_environment
from refinery_beam.record.lineage import file_record_id

TRIES = 3
SECONDS = 30.0
"""How long one try may take."""

MOST = 64
"""How many suspects are tried at most. Only large clusters have more."""


@dataclass(frozen=True)
class Try:
    """How one try ended: `ended` is '' if the process survived, else a signal's name, ``exit code N`` or ``no end``; `decoding` is true if
    it ended before the file was decoded.
    """

    ended: str
    decoding: bool = False


@dataclass(frozen=True)
class Suspect:
    """A record with a marker, and its tries."""

    marker: Marker
    tries: tuple[Try, ...]

    @property
    def killing(self) -> tuple[Try, ...]:
        """The tries that killed their process. A try that had to be stopped does not count: slowness is no proof."""
        return tuple(t for t in self.tries if t.ended and t.ended != NO_END)

    @property
    def kills_always(self) -> bool:
        """True if every try killed its process."""
        return bool(self.tries) and len(self.killing) == len(self.tries)

    @property
    def always_crashes(self) -> bool:
        """True if every try ended with the same crash signal (never SIGKILL)."""
        return self.kills_always and len({t.ended for t in self.tries}) == 1 and self.tries[0].ended in CRASHES

    @property
    def while_decoding(self) -> bool:
        """True if every try that killed its process did so before the file was decoded."""
        return bool(self.killing) and all(t.decoding for t in self.killing)

    @property
    def record_id(self) -> str:
        """The record to blame: the file's own record if decoding is enough, else the record that was being made from the file."""
        return file_record_id(self.marker.ref) if self.while_decoding else self.marker.ref.record_id

    @property
    def doing(self) -> str:
        """What killed the process, in words."""
        return "decoding it" if self.while_decoding else "working on it"


def retry_alone(plan: Plan, markers: Sequence[Marker], *, tries: int = TRIES, seconds: float = SECONDS) -> list[Suspect]:
    """Try each record with a marker `tries` times. Tries nothing where processes cannot fork."""
    first = list(markers)[:MOST]
    ended: list[list[Try]] = [[] for _ in first]
    if hasattr(os, "fork"):
        for number, how, decoding in _run_tries(plan, first, tries, seconds):
            ended[number].append(Try(how, decoding))
    return [Suspect(marker, tuple(tried)) for marker, tried in zip(first, ended, strict=True)]


def _run_tries(plan: Plan, markers: Sequence[Marker], tries: int, seconds: float) -> list[tuple[int, str, bool]]:
    """The answers of `retry_alone`. It is a process of its own because it forks, and this process has threads."""
    process = subprocess.Popen(
        [sys.executable, "-m", "refinery_beam.crashes.retry_alone", str(tries), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
    )
    try:
        out, _ = process.communicate(pickle.dumps((plan, list(markers))))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return [tuple(json.loads(line)) for line in out.decode().splitlines()]
