"""Records that a dead worker had in its hands, each worked on again in a process of its own: which of them ends it?

One death says little: several records were at work, and memory may have run out. So every suspect is tried `TRIES` times, alone, under a
time limit. One that ends its process in every try is a *poison record*. Nothing here depends on what the dead worker did first or last.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from refinery_beam.pipeline.lineage import file_record_id
from refinery_beam.pipeline.marks import Mark

TRIES = 3
SECONDS = 30.0
"""How long one try may take, the start of its process included."""

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


NO_END = "no end"


def try_alone(plan: Any, marks: Sequence[Mark], *, tries: int = TRIES, seconds: float = SECONDS) -> list[Suspect]:
    """Every mark tried `tries` times, as many processes at once as there are processors."""
    from refinery_beam.runners.local import available_cpus

    chosen = list(marks)[:MOST]
    with ThreadPoolExecutor(available_cpus()) as pool:
        ended = list(pool.map(lambda mark: _once(plan, mark, seconds), [mark for mark in chosen for _ in range(tries)]))
    return [Suspect(mark, tuple(ended[i * tries : (i + 1) * tries])) for i, mark in enumerate(chosen)]


def all_go_well(plan: Any, marks: Sequence[Mark], *, seconds: float = SECONDS) -> bool:
    """Whether one process comes through all of them: the quick answer where no death is proved yet."""
    return not _process(plan, marks[:MOST], seconds)[1].ended


def _once(plan: Any, mark: Mark, seconds: float) -> Try:
    said, how = _process(plan, [mark], seconds)
    return Try(how.ended, decoding="decoded 0" not in said)


def _process(plan: Any, marks: Sequence[Mark], seconds: float) -> tuple[list[str], Try]:
    """What a process said that works on `marks`, and how it ended. One that did not even begin has proved nothing."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
    process = subprocess.Popen(
        [sys.executable, "-m", "refinery_beam.pipeline.alone"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    late = False
    try:
        out, _ = process.communicate(pickle.dumps((plan, list(marks))), timeout=seconds)
    except subprocess.TimeoutExpired:
        late = True
        process.kill()
        out, _ = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    said = out.decode(errors="replace").splitlines()
    if not said or said[-1] == f"done {len(marks) - 1}":
        return said, Try("")
    return said, Try(NO_END if late else name_of_end(process.returncode))


def name_of_end(code: int) -> str:
    """How a process ended, by its return code, as `subprocess` or a shell tells it.

    >>> name_of_end(-11), name_of_end(139), name_of_end(3)
    ('SIGSEGV', 'SIGSEGV', 'exit code 3')
    """
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit code {code}"
