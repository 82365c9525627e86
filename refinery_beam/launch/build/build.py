"""After a cache miss: makes attempts at the instance, until one succeeds or the run has to end.

No Beam here: the fork comes first, and its parent needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from refinery_beam.cache import dead_attempts, home, sweep
from refinery_beam.crashes.forked_run import can_fork
from refinery_beam.crashes.poison import Poison, Run, run_without_poison
from refinery_beam.errors import DataError
from refinery_beam.forked.pool import forking
from refinery_beam.launch.build.engine import processes_of_threads, works_in_threads
from refinery_beam.launch.prepare import Prepared
from refinery_beam.launch.report import get_ready
from refinery_beam.runners.quiet import end_import, import_beam

if TYPE_CHECKING:
    from refinery_beam.launch.build.built import Built

T = TypeVar("T")


def build(prepared: Prepared) -> Built:
    """Build the instance of a prepared recipe. Raises RefineryError; leaves only finished parts then, which the next run takes over."""
    return carried_out(prepared, partial(_attempt, prepared))


def carried_out(prepared: Prepared, attempt: Callable[[Poison], T]) -> T:
    """The result of an attempt at a prepared recipe. It is made again without the records that kill their worker. Raises RefineryError."""
    settings, records = prepared.settings, len(prepared.index.entries)
    if not records:
        raise DataError(
            "no record is left to prepare",
            code="no-records",
            at=prepared.recipe.at(("Input", "sources")),
            value=0,
            remedy="check the ledger reasons above, or the source paths",
        )
    local = home(settings.root)
    run = Run(
        plan=prepared.plan,
        records=records,
        budget_at=prepared.recipe.at(("Input", "max_bad_fraction")),
        tell=settings.tell,
        dead_runs=lambda: dead_attempts(local, prepared.key),
        sweep=lambda: sweep(local, prepared.key),
        meanwhile=get_ready,
    )
    end_import()
    # Worker processes need no fork: the driver outlives them.
    forked = settings.forked and works_in_threads(settings, records) and can_fork()
    return run_without_poison(run, attempt, forked=forked)


def _attempt(prepared: Prepared, poison: Poison) -> Built:
    settings = prepared.settings
    with settings.phase("start"):
        import_beam(talk=settings.debug)
        # Imported after the fork, because it imports Beam.
        from refinery_beam.launch.build.attempt import attempt

    with forking(processes_of_threads(settings, len(prepared.index.entries)), settings.tell):
        return attempt(prepared, poison)
