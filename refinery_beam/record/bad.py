"""Bad records: under ``on_error: quarantine`` a bad record becomes a row of the ledger, under ``on_error: fail`` it ends the run.

An exception that the op's protocol does not allow is the op's fault, whatever the policy; see `plugins.base.BoundOp`.
"""

from __future__ import annotations

import os

from refinery_beam.errors import DataError, display
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import BadRecord
from refinery_beam.records import LedgerRow, Ref
from refinery_beam.rules.reasons import reason_of


def lost(plan: Plan, ref: Ref, error: BadRecord) -> LedgerRow:
    """The ledger row of a bad record. Under ``on_error: fail``: raises the DataError that stops the run."""
    if plan.on_error == "fail":
        raise describe(ref, error, plan.sources[ref.source].root) from error
    return LedgerRow(ref.record_id, ref.split, error.stage, error.op, error.reason, error.detail)


def describe(ref: Ref, error: BadRecord, source_root: str) -> DataError:
    """A bad record as the error that stops a run under ``on_error: fail``: it names the file, the reason and what to do."""
    who = display(ref.record_id)
    if error.reason.startswith("schema:"):
        who += f" of split {ref.split}"
    return DataError(
        f"{error.reason}: {error.detail} (record {who})",
        code=error.reason,
        at=os.path.join(source_root, *ref.path.split("/")),
        value=error.detail,
        rule="every record is readable and has the declared schema (Input.on_error: fail)",
        remedy=reason_of(error.reason).remedy
        + ", or set Input.on_error: quarantine with Input.max_bad_fraction to go on without such records",
    )
