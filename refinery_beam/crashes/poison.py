"""Finds the record that kills its worker, if one does, and decides how the run goes on.

When a worker dies, the records that were being worked on are tried again, each alone (`crashes.suspects`). A record that crashes every time
is a bad record like any other: under ``on_error: fail`` it ends the run, and under ``on_error: quarantine`` the run starts over with the
record in the ledger. Only the tries decide, never which worker died first; so the ledger is the same on every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from refinery_beam import locations
from refinery_beam.crashes.forked_run import ChildDied, run_forked
from refinery_beam.crashes.job_died import JobDied, worker_died
from refinery_beam.crashes.markers import Marker, read_markers
from refinery_beam.crashes.suspects import Suspect, retry_alone
from refinery_beam.errors import EngineError, RefineryError, display, raise_all
from refinery_beam.planning.budget import check_budget
from refinery_beam.planning.nodes import Plan
from refinery_beam.records import LedgerRow

T = TypeVar("T")

Poison = Mapping[str, str]
"""Records that kill their worker: record id -> how the worker ended."""

NAMED = 5
"""How many records an error names at most."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as this module needs it: its plan, how many `records` its index has, the position of ``Input.max_bad_fraction`` in the recipe
    (`budget_at`), and `tell`, which prints a line for the user.

    `dead_runs` gives the work folders that dead runs of the same instance left behind, and `sweep` removes them. `meanwhile` is what a
    parent does before it waits for its child.
    """

    plan: Plan
    records: int
    budget_at: str
    tell: Callable[[str], None]
    dead_runs: Callable[[], Iterable[str]]
    sweep: Callable[[], object]
    meanwhile: Callable[[], object] = lambda: None


def run_without_poison(run: Run, attempt: Callable[[Poison], T], *, forked: bool) -> T:
    """Call `attempt` with the records to leave out, in a child process if `forked`, and give its result.

    After a JobDied it calls `attempt` again, if ``on_error: quarantine`` allows the run to go on without the records that killed their
    worker. Raises EngineError ``poison-record`` or ``worker-died``, or DataError ``too-many-bad-records``, if the run cannot go on.
    """
    poison = poison_of_dead_runs(run)
    while True:
        try:
            return _forked(run, attempt, poison) if forked else attempt(poison)
        except JobDied as error:
            poison = poison_after(run, error, poison)


def poison_of_dead_runs(run: Run) -> dict[str, str]:
    """The poison records among those that dead runs of the same instance were working on. Raises EngineError ``poison-record``.

    A run in threads dies together with its codec and reports nothing; the next run finds its markers. Nearly always there are none.
    """
    markers = _markers_of_dead_runs(run)
    if not markers:
        return {}
    run.tell(f"an earlier run died at work on {_names(markers)}: trying them alone")
    return _quarantined(run.plan, retry_alone(run.plan, markers))


def poison_after(run: Run, error: JobDied, known: Poison) -> dict[str, str]:
    """All poison records after one more worker died; the run starts over without them. Otherwise raises the error that ends the run."""
    if not error.markers:
        raise error
    run.tell(f"{error.message} at work on {_names(error.markers)}: trying them alone")
    suspects = retry_alone(run.plan, error.markers)
    found = {**known, **_quarantined(run.plan, suspects)}
    if len(found) == len(known):
        raise _no_record_explains(run.plan, error, suspects) from error
    rows = [LedgerRow(record_id, "", "Input", "", "kills_worker", how) for record_id, how in sorted(found.items())]
    check_budget(run.plan, run.records, rows, at=run.budget_at)
    run.tell(f"starting over without {', '.join(display(r) for r in sorted(set(found) - set(known)))}")
    return found


def _forked(run: Run, attempt: Callable[[Poison], T], poison: Poison) -> T:
    """Run the attempt in a child process and give its result. Raises JobDied, with the child's records, if the child dies."""
    try:
        return run_forked(lambda: attempt(poison), meanwhile=run.meanwhile)
    except ChildDied as error:
        markers = _markers_of_dead_runs(run)
        run.sweep()
        raise worker_died(error.how, markers) from error


def _markers_of_dead_runs(run: Run) -> list[Marker]:
    return [marker for work in run.dead_runs() for marker in read_markers(work)]


def _quarantined(plan: Plan, suspects: Sequence[Suspect]) -> dict[str, str]:
    """The poison records that quarantine may put into the ledger. Raises EngineError for poison records that it may not."""
    killers = [s for s in suspects if s.killing]
    if plan.on_error == "quarantine" and all(s.always_crashes for s in killers):
        return {s.record_id: f"{s.doing} ends the process: {s.tries[0].ended}" for s in killers}
    errors: dict[str, RefineryError] = {s.record_id: _poison_record(plan, s) for s in killers}
    raise_all(errors[record_id] for record_id in sorted(errors))
    return {}


def _poison_record(plan: Plan, suspect: Suspect) -> EngineError:
    how = " or ".join(sorted({t.ended for t in suspect.killing}))
    out = "take the file out of the source"
    if "SIGKILL" in how:
        remedy = f"memory ran out, most likely: give it more, lower Input.limits.max_pixels, or {out}"
    elif not suspect.always_crashes:
        remedy = f"{out}; it does not end its process each time in the same way, so quarantine would depend on luck"
    else:
        remedy = (
            f"{out}, or set Input.on_error: quarantine with Input.max_bad_fraction to go on without it; and report it to the codec's makers"
        )
    return EngineError(
        f"{suspect.doing} ends the process, {len(suspect.killing)} of {len(suspect.tries)} times alone: {how} "
        f"(record {display(suspect.record_id)})",
        code="poison-record",
        at=_file(plan, suspect.marker),
        value=how,
        remedy=remedy,
    )


def _no_record_explains(plan: Plan, error: JobDied, suspects: Sequence[Suspect]) -> EngineError:
    """The error for a worker that died although no record kills it."""
    slow = [s for s in suspects if any(t.ended for t in s.tries)]
    well = (
        f"alone each came through {len(suspects[0].tries)} times" if not slow else f"alone {_names([s.marker for s in slow])} took too long"
    )
    return EngineError(
        f"{error.message}; at work on {_names(error.markers)}; {well}",
        code=error.code,
        at=_file(plan, error.markers[0]),
        value=error.value,
        rule=error.rule,
        remedy="memory ran out, most likely, or somebody ended the worker: try fewer --workers, or run again; nothing was promoted",
    )


def _file(plan: Plan, marker: Marker) -> str:
    return locations.join(plan.sources[marker.ref.source].root, marker.ref.path)


def _names(markers: Sequence[Marker]) -> str:
    names = sorted({display(marker.ref.record_id) for marker in markers})
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
