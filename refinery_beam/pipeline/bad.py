"""A record that cannot come out: the exception that says why, and the error a run ends with under ``on_error: fail``."""

from __future__ import annotations

import os

from refinery_beam.errors import DataError, display
from refinery_beam.records import Ref


class BadRecord(Exception):
    """One record cannot come out: a stable reason word, and a detail without machine paths."""

    def __init__(self, reason: str, detail: str, *, stage: str, op: str = "") -> None:
        super().__init__(reason, detail, stage, op)
        self.reason, self.detail, self.stage, self.op = reason, detail, stage, op


def describe(ref: Ref, error: BadRecord, source_root: str) -> DataError:
    """A bad record as the error that stops a run under ``on_error: fail``: it names the file, the reason and what to do."""
    remedies = {
        "changed_during_run": "run again when nothing writes to the source",
        "unreadable": "check the file's permissions",
    }
    fix = remedies.get(error.reason, "mend or remove the file")
    who = display(ref.record_id)
    if error.reason.startswith("schema:"):
        fix = "correct Output.record_schema or the operations of the split"
        who += f" of split {ref.split}"
    return DataError(
        f"{error.reason}: {error.detail} (record {who})",
        code=error.reason,
        place=display(os.path.join(source_root, *ref.path.split("/"))),
        value=error.detail,
        rule="every record is readable and has the declared schema (Input.on_error: fail)",
        remedy=fix + ", or set Input.on_error: quarantine with Input.max_bad_fraction to go on without such records",
    )
