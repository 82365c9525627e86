"""Records that a dead worker had in its hands, each worked on again in a process of its own: which of them ends it?

One death says little: several records were at work, and memory may have run out. So every suspect is tried `TRIES` times, alone, under a
time limit. One that ends its process in every try is a *poison record*. Nothing here depends on what the dead worker did first or last.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refinery_beam.crashes.markers import Mark
from refinery_beam.crashes.retry_alone import NO_END
from refinery_beam.processes import child_environment
from refinery_beam.record.lineage import file_record_id

TRIES = 3
SECONDS = 30.0
"""How long one try may take."""

MOST = 64
"""So many suspects are tried. More hang together on large clusters only, and say less each."""

CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"})
"""Signals that a process draws upon itself. SIGKILL comes from outside: memory ran out, or somebody ended it."""


@dataclass(frozen=True)
class Try:
    """How one process ended that worked on one record: `ended` is '' if it came through, else a signal's name, ``exit code N`` or
    ``no end``; `decoding` whether it had not even decoded the file by then.
    """

    ended: str
    decoding: bool = False


@dataclass(frozen=True)
class Suspect:
    """A marked record and its tries."""

    mark: Mark
    tries: tuple[Try, ...]

    @property
    def deaths(self) -> tuple[Try, ...]:
        """The tries that ended their process. A try that had to be stopped is none: slowness is no proof."""
        return tuple(t for t in self.tries if t.ended and t.ended != NO_END)

    @property
    def poison(self) -> bool:
        """Whether every try ended its process."""
        return bool(self.tries) and len(self.deaths) == len(self.tries)

    @property
    def crashes(self) -> bool:
        """Whether it is poison by its own doing, on any machine with these codecs: always the same crash, never for want of memory."""
        return self.poison and len({t.ended for t in self.tries}) == 1 and self.tries[0].ended in CRASHES

    @property
    def record_id(self) -> str:
        """The record at fault: that of the file if decoding it is enough, else the one that was being made from it."""
        at_decoding = self.deaths and all(t.decoding for t in self.deaths)
        return file_record_id(self.mark.ref) if at_decoding else self.mark.ref.record_id

    @property
    def doing(self) -> str:
        """What ended the process, in a word."""
        return "decoding it" if self.deaths and all(t.decoding for t in self.deaths) else "working on it"


def try_alone(plan: Any, marks: Sequence[Mark], *, tries: int = TRIES, seconds: float = SECONDS) -> list[Suspect]:
    """Every mark, tried `tries` times. No try at all where a process cannot fork."""
    chosen = list(marks)[:MOST]
    ended: list[list[Try]] = [[] for _ in chosen]
    if hasattr(os, "fork"):
        for number, how, decoding in _answers(plan, chosen, tries, seconds):
            ended[number].append(Try(how, decoding))
    return [Suspect(mark, tuple(tried)) for mark, tried in zip(chosen, ended, strict=True)]


def _answers(plan: Any, marks: Sequence[Mark], tries: int, seconds: float) -> list[tuple[int, str, bool]]:
    """What the process says that makes the tries; it forks, which this one, full of threads, must not."""
    process = subprocess.Popen(
        [sys.executable, "-m", "refinery_beam.crashes.retry_alone", str(tries), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
    )
    try:
        out, _ = process.communicate(pickle.dumps((plan, list(marks))))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return [tuple(json.loads(line)) for line in out.decode().splitlines()]
