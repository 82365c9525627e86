"""What is seen in one file before shards are written: a header for filters by size, a signature for near duplicates. No Beam."""

from __future__ import annotations

from typing import Any

from refinery_beam.pipeline.bad import calling, named
from refinery_beam.pipeline.work import Worker
from refinery_beam.plan.nodes import FilterStep
from refinery_beam.records import LedgerRow, Ref


class Seer:
    """What one reference's file shows: a pure function of its bytes and the plan."""

    def __init__(self, worker: Worker, step: FilterStep | None) -> None:
        self._worker, self._step = worker, step
        self._op: Any = worker.plugin.ops[step.op if step is not None else worker.plan.split.near_op]
        self._params = self._op.spec.params.model_validate(dict(step.params)) if step is not None else None

    def __call__(self, ref: Ref) -> tuple[bytes, Ref] | LedgerRow:
        """(signature, reference), or for a filter by header (b'', reference) or its ledger row. Raises BadRecord."""
        data = self._worker.files.read(ref)
        if self._step is None or self._step.kind == "duplicates":
            name = self._step.name if self._step is not None else "keep_duplicates_together"
            return self._worker.files.signature(data, self._op, name=name).to_bytes(8, "big"), ref
        width, height = self._worker.files.header(data)
        with named(ref.record_id, self._worker.plugin), calling(self._step.name, self._step.op):
            why = self._op.refusal(width, height, self._params)
        if why:
            return LedgerRow(ref.record_id, ref.split, "Filters", self._step.name, "filtered", why)
        return b"", ref
