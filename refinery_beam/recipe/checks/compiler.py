"""Checks that others carry out, once the static ones are through, and the table of which error belongs to which check.

`unexecuted.refuse_unexecuted` and the compiler (`planning.build.build_plan`) find these errors; `checks.complete` hands them over.
"""

from __future__ import annotations

from refinery_beam.recipe.checks.context import Context, Findings


def schema_reachable(c: Context) -> Findings:
    """108: what the operations make has the dtypes and shapes that Output declares."""
    return iter(())


def everything_executed(c: Context) -> Findings:
    """111: this release carries out everything that the recipe uses."""
    return iter(())


def plan_can_be_made(c: Context) -> Findings:
    """112: the compiler finds nothing else that is wrong."""
    return iter(())


LABELS, EXECUTED, PLANNED = 19, 111, 112
LATER = {108: schema_reachable, EXECUTED: everything_executed, PLANNED: plan_can_be_made}

BELONGS_TO = {
    "fit-source": 6,
    "unknown-split": 15,
    "unknown-field-name": 17,
    "unknown-op": 18,
    "stats-import": 22,
    "sink-field": 24,
    "duplicate-name": 102,
    "assertion-field": 105,
    "schema-reachable": 108,
    "op-type": 108,
    "output-options": 109,
    "not-executed-yet": EXECUTED,
}
"""The check that an error of the compiler belongs to, by its code; those that are not here belong to `plan_can_be_made`."""

LISTED = {
    **dict.fromkeys(("source-path", "unreadable-folder", "no-class-folder", "no-images", "class-without-files"), 101),
    **dict.fromkeys(("no-labels", "row-order", "padded-label"), LABELS),
}
"""The same for what listing finds. Codes that begin with ``label-`` belong to `LABELS`."""


def check_of(code: str) -> int:
    """The number of the check that an error belongs to."""
    return {**BELONGS_TO, **LISTED}.get(code, LABELS if code.startswith("label-") else PLANNED)
