"""The rule of ``Input.max_bad_fraction``: how many bad records a run may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from refinery_beam.errors import DataError, display
from refinery_beam.planning.nodes import Plan
from refinery_beam.records import ASKED_FOR, LedgerRow


def check_budget(plan: Plan, records_in: int, ledger: Sequence[LedgerRow], *, at: str = "Input.max_bad_fraction") -> None:
    """Bad records within Input.max_bad_fraction, or DataError ``too-many-bad-records`` with the first of them."""
    bad = [row for row in ledger if row.reason not in ASKED_FOR]
    if len(bad) > plan.max_bad_fraction * records_in:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(Counter(row.reason for row in bad).items()))
        some = "; ".join(f"{display(row.record_id)}: {row.reason}: {row.detail}" for row in bad[:5])
        more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
        raise DataError(
            f"{len(bad):,} of {records_in:,} records are bad ({reasons}): {some}{more}",
            code="too-many-bad-records",
            at=at,
            value=len(bad) / records_in,
            fraction=f"{plan.max_bad_fraction:g}",
        )
