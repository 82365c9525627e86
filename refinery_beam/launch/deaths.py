"""What a death teaches: the record that ends every process that works on it, or that none does.

The records that were at work are tried again, each alone (`runners.suspects`). A record that crashes every time is a bad record like any
other: it ends the run under ``on_error: fail``, and under ``quarantine`` the run starts over with it in the ledger. What the tries show
decides, never which worker died first; so the ledger is the same on every run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from refinery_beam import places
from refinery_beam.cache import dead_attempts, home, sweep
from refinery_beam.errors import EngineError, RefineryError, display, raise_all
from refinery_beam.launch.collect import check_budget
from refinery_beam.launch.prepare import Prepared
from refinery_beam.records import LedgerRow

if TYPE_CHECKING:
    from refinery_beam.crashes.markers import Mark
    from refinery_beam.crashes.suspects import Suspect
    from refinery_beam.crashes.worker_deaths import JobDied

T = TypeVar("T")

Deadly = Mapping[str, str]
"""Records that are known to end every process that works on them, with how."""

NAMED = 5
"""So many records are named in an error."""


def left_behind(prepared: Prepared) -> dict[str, str]:
    """The deadly records among those that dead runs of the same key had in their hands. Raises EngineError ``poison-record``.

    A run in threads dies with its codec and says nothing; the next one finds its marks. Nearly always there are none.
    """
    marks = _marks_of_dead_attempts(prepared)
    if not marks:
        return {}
    from refinery_beam.crashes.suspects import try_alone

    prepared.settings.tell(f"an earlier run died at work on {_names(marks)}: trying them alone")
    return _deadly(prepared, try_alone(prepared.plan, marks))


def survived(prepared: Prepared, attempt: Callable[[], T]) -> T:
    """What an attempt at the run gives, in a child process. Raises JobDied with the records it held if the child dies."""
    from refinery_beam.crashes.forked_run import ChildDied, in_a_child
    from refinery_beam.crashes.worker_deaths import worker_died

    try:
        return in_a_child(attempt)
    except ChildDied as error:
        marks = _marks_of_dead_attempts(prepared)
        sweep(home(prepared.settings.cache_root), prepared.key)
        raise worker_died(error.how, marks) from error


def _marks_of_dead_attempts(prepared: Prepared) -> list[Mark]:
    from refinery_beam.crashes.markers import read_marks

    return [mark for work in dead_attempts(home(prepared.settings.cache_root), prepared.key) for mark in read_marks(work)]


def learn(prepared: Prepared, error: JobDied, known: Deadly) -> dict[str, str]:
    """All deadly records after one more death, for the run to start over without them. Raises what the run ends with otherwise."""
    from refinery_beam.crashes.suspects import try_alone

    if not error.marks:
        raise error
    prepared.settings.tell(f"{error.message} at work on {_names(error.marks)}: trying them alone")
    suspects = try_alone(prepared.plan, error.marks)
    found = {**known, **_deadly(prepared, suspects)}
    if len(found) == len(known):
        raise _nobody(prepared, error, suspects) from error
    rows = [LedgerRow(record_id, "", "Input", "", "kills_worker", how) for record_id, how in sorted(found.items())]
    check_budget(prepared.plan, len(prepared.index.entries), rows, place=prepared.recipe.place(("Input", "max_bad_fraction")))
    prepared.settings.tell(f"starting over without {', '.join(display(r) for r in sorted(set(found) - set(known)))}")
    return found


def _deadly(prepared: Prepared, suspects: Sequence[Suspect]) -> dict[str, str]:
    """The records that quarantine may send to the ledger. Raises EngineError for a record that it may not."""
    killers = [s for s in suspects if s.deaths]
    if prepared.plan.on_error == "quarantine" and all(s.crashes for s in killers):
        return {s.record_id: f"{s.doing} ends the process: {s.tries[0].ended}" for s in killers}
    errors: dict[str, RefineryError] = {s.record_id: _poison(prepared, s) for s in killers}
    raise_all(errors[record_id] for record_id in sorted(errors))
    return {}


def _poison(prepared: Prepared, suspect: Suspect) -> EngineError:
    how = " or ".join(sorted({t.ended for t in suspect.deaths}))
    out = "take the file out of the source"
    if "SIGKILL" in how:
        remedy = f"memory ran out, most likely: give it more, lower Input.limits.max_pixels, or {out}"
    elif not suspect.crashes:
        remedy = f"{out}; it does not end its process each time in the same way, so quarantine would depend on luck"
    else:
        remedy = (
            f"{out}, or set Input.on_error: quarantine with Input.max_bad_fraction to go on without it; and report it to the codec's makers"
        )
    return EngineError(
        f"{suspect.doing} ends the process, {len(suspect.deaths)} of {len(suspect.tries)} times alone: {how} "
        f"(record {display(suspect.record_id)})",
        code="poison-record",
        place=_file(prepared, suspect.mark),
        value=how,
        rule="no record ends the process that works on it",
        remedy=remedy,
    )


def _nobody(prepared: Prepared, error: JobDied, suspects: Sequence[Suspect]) -> EngineError:
    """The error of a death that no record explains."""
    slow = [s for s in suspects if any(t.ended for t in s.tries)]
    well = (
        f"alone each came through {len(suspects[0].tries)} times" if not slow else f"alone {_names([s.mark for s in slow])} took too long"
    )
    return EngineError(
        f"{error.message}; at work on {_names(error.marks)}; {well}",
        code=error.code,
        place=_file(prepared, error.marks[0]),
        value=error.value,
        rule=error.rule,
        remedy="memory ran out, most likely, or somebody ended the worker: try fewer --workers, or run again; nothing was promoted",
    )


def _file(prepared: Prepared, mark: Mark) -> str:
    return display(places.join(prepared.plan.sources[mark.ref.source].root, mark.ref.path))


def _names(marks: Sequence[Mark]) -> str:
    names = sorted({display(mark.ref.record_id) for mark in marks})
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
