"""Peeks into one file before shards are written: its header for filters by header, its facts for filters by them, its signature for near
duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refinery_beam.planning.nodes import FilterStep
from refinery_beam.plugins.base import BoundOp, DuplicatesOp, HeaderFilterOp, MeasuredFilterOp, Use
from refinery_beam.record.observed import Observed
from refinery_beam.record.worker import Worker
from refinery_beam.records import LedgerRow, Ref


class Peek:
    """Peeks into the file of a ref: a pure function of its bytes and the plan. Without a `step`: the signature that splits need."""

    def __init__(self, worker: Worker, step: FilterStep | None) -> None:
        self._worker = worker
        self._header: BoundOp[HeaderFilterOp] | None = None
        self._measured: BoundOp[MeasuredFilterOp] | None = None
        self._duplicates: BoundOp[DuplicatesOp] | None = None
        if step is not None and step.kind == "header":
            self._header = worker.plugin.bind(step, HeaderFilterOp)
        elif step is not None and step.kind == "measured":
            self._measured = worker.plugin.bind(step, MeasuredFilterOp)
        else:
            near = Use("keep_duplicates_together", worker.plan.split.near_op, {})
            self._duplicates = worker.plugin.bind(step if step is not None else near, DuplicatesOp)

    def __call__(self, ref: Ref, *, observed: Observed) -> tuple[bytes, Ref] | LedgerRow:
        """(signature, ref), or for a filter by header or facts (b'', ref) or its ledger row. `observed` gets what a filter by facts finds
        out. Raises BadRecord, PluginError.
        """
        worker = self._worker
        with worker.plugin.named(ref.record_id):
            data = worker.files.read(ref)
            if self._duplicates is not None:
                return worker.files.signature(ref, data, self._duplicates).to_bytes(8, "big"), ref
            if self._measured is not None:
                bound: BoundOp[HeaderFilterOp] | BoundOp[MeasuredFilterOp] = self._measured
                facts: Mapping[str, Any]
                facts = worker.files.facts(ref, data, observed=observed)
            else:
                assert self._header is not None
                bound, facts = self._header, worker.files.decoder.header(data)
            why = bound.call(bound.op.refusal, facts, bound.params)
        if why:
            return LedgerRow(ref.record_id, ref.split, "Filters", bound.name, "filtered", why)
        return b"", ref
