"""A record that cannot come out: the exception that says why, and the errors a run ends with.

`BadRecord` is the record's fault: it goes to the ledger, or ends the run under ``on_error: fail``. What an op raises beside what its
protocol allows is the op's fault, whatever the policy: `calling` marks where an op is called, `named` adds the record it failed on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from refinery_beam.errors import DataError, PluginError, RefineryError, display
from refinery_beam.plugins.base import Plugin
from refinery_beam.plugins.image_classification.pixels import BadImage
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


class OpFailed(Exception):
    """An op raised what its protocol does not know. ``step`` is its name in the recipe, ``op`` the op's."""

    def __init__(self, step: str, op: str, error: Exception) -> None:
        super().__init__(step, op, str(error))
        self.step, self.op, self.error = step, op, error


@contextmanager
def calling(step: str, op: str) -> Iterator[None]:
    """Inside, an op is called. Raises OpFailed for what it raises, other than BadImage, a RefineryError, or memory running out."""
    try:
        yield
    except (BadImage, RefineryError, MemoryError):
        raise
    except Exception as error:
        raise OpFailed(step, op, error) from error


@contextmanager
def named(record_id: str, plugin: Plugin) -> Iterator[None]:
    """Inside, one record is worked on. Turns OpFailed into a PluginError ``op-failed`` that names the op, its plugin and the record."""
    try:
        yield
    except OpFailed as error:
        origin = plugin.origins.get(f"op:{error.op}") or plugin.origin
        whose = f" of the plugin {origin.name!r}" if origin is not None else ""
        raise PluginError(
            f"the op {error.op!r}{whose} failed on {display(record_id)}: {type(error.error).__name__}: {display(str(error.error))}",
            code="op-failed",
            place=display(record_id),
            value=error.step,
            rule="an op raises BadImage for a record it cannot take, and nothing else",
            remedy="mend the op (--debug shows where it failed)" if whose else "report this with the recipe and the file",
        ) from error.error
