"""Some records in a row, prepared or observed in one go by one thread or one process, and what is made of them together.

A task that costs less than a millisecond is not worth a thread of its own, and sums over pixels cost less for many images at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from refinery_beam.errors import DataError
from refinery_beam.exact import ExactError, Partial
from refinery_beam.facts.album import Bounds
from refinery_beam.planning.nodes import FitPoint
from refinery_beam.plugins.base import BadRecord
from refinery_beam.plugins.measures import Sketch
from refinery_beam.record.bad import lost
from refinery_beam.record.facts import Facts, facts_of
from refinery_beam.record.lineage import stands_for_input
from refinery_beam.record.observed import Observed
from refinery_beam.record.row import Row
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker
from refinery_beam.records import LedgerRow, Ref

RECORDS = 64
"""Records of a batch, at most."""

BYTES, FILE_BYTES = 4 << 20, 2 << 20
"""Bytes of content of a batch, about, and of its files; a larger record is a batch of its own. Large files take long to decode, and the
last batches of a shard should end together.
"""

UNKNOWN = 4
"""Records of a batch whose content may be of any size."""


class Markers(Protocol):
    """Writes down which records are being worked on, so that the driver knows them if this process dies; see `crashes.markers`."""

    def knowing(self, fitted: Fitted) -> None: ...

    def begin(self, ref: Ref) -> None: ...

    def end(self) -> None: ...


@dataclass(slots=True)
class Batch:
    """What became of the refs of a batch. It holds no decoded content, and may go to another process.

    ``outcomes`` has for each ref, in order, a row, a ledger row, or the error that stops the run. ``sketches`` are those of lost records by
    position, ``facts`` are those of the rows. ``partials`` are (fit point, the first record counted, accumulator), in order: one for each
    point, and more only where records do not fit together.
    """

    outcomes: list[Row | LedgerRow | DataError] = field(default_factory=list)
    sketches: dict[int, Sketch] = field(default_factory=dict)
    facts: Facts | None = None
    partials: list[tuple[str, str, Partial]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The bytes of the content of its rows."""
        return sum(row.size for row in self.outcomes if isinstance(row, Row))


@dataclass(slots=True)
class FitBatch:
    """What the records of a batch give to a fit point: (the first record counted, accumulator) in order, more than one only where records
    do not fit together, and the error that stops the run, if one does. The records behind it are not observed.
    """

    partials: list[tuple[str, Partial]] = field(default_factory=list)
    error: DataError | None = None


def batches(refs: Iterable[Ref], row_bytes: int | None, *, most: int = RECORDS) -> Iterator[Sequence[Ref]]:
    """The refs in order, in batches of `most`, or less where rows or files are large; `row_bytes` is None where it is not known."""
    many, size = min(most, batch_records(row_bytes)), 0
    some: list[Ref] = []
    for ref in refs:
        if some and (len(some) >= many or size + ref.size > FILE_BYTES):
            yield some
            some, size = [], 0
        some.append(ref)
        size += ref.size
    if some:
        yield some


def batch_records(row_bytes: int | None) -> int:
    """How many records a batch has, where files are small.

    >>> batch_records(3_072), batch_records(150_528), batch_records(36_000_000), batch_records(None)
    (64, 27, 1, 4)
    """
    return UNKNOWN if row_bytes is None else max(1, min(RECORDS, BYTES // max(1, row_bytes)))


def prepare_batch(worker: Worker, refs: Sequence[Ref], fitted: Fitted, *, markers: Markers | None, bounds: Bounds | None) -> Batch:
    """Prepare each of some refs, with their facts where `bounds` are given, which say whose pictures are of no use.

    Raises what stops the run whatever the record, such as PluginFailed and StoreError.
    """
    batch, found = Batch(), []
    try:
        for position, ref in enumerate(refs):
            observed = Observed()
            try:
                if markers is not None:
                    markers.begin(ref)
                row = worker.prepare(ref, fitted, observed=observed)
            except BadRecord as error:
                batch.outcomes.append(_lost(worker, ref, error))
                if observed.sketch is not None:
                    batch.sketches[position] = observed.sketch
                continue
            for name, partial in row.partials:
                _add(worker, batch.partials, name, ref.record_id, partial)
            row.partials = ()
            batch.outcomes.append(row)
            found.append((ref, stands_for_input(worker.plugin, ref), observed))
        if bounds is not None:
            batch.facts = facts_of(worker.plan, worker.kind, found, bounds)
    finally:
        if markers is not None:
            markers.end()
    return batch


def observe_batch(worker: Worker, point: FitPoint, refs: Sequence[Ref], fitted: Fitted, *, markers: Markers | None) -> FitBatch:
    """Observe each of some refs for a fit point that has a pass of its own. Bad records count for nothing.

    Raises what stops the run whatever the record, such as PluginFailed and StoreError.
    """
    partials: list[tuple[str, str, Partial]] = []
    stopped: DataError | None = None
    try:
        for ref in refs:
            try:
                if markers is not None:
                    markers.begin(ref)
                partial = worker.observe(point, ref, fitted)
            except BadRecord as error:
                outcome = _lost(worker, ref, error)
                if isinstance(outcome, DataError):
                    stopped = outcome
                    break
                continue  # the write pass puts it into the ledger
            _add(worker, partials, point.name, ref.record_id, partial)
    finally:
        if markers is not None:
            markers.end()
    return FitBatch([(record_id, partial) for _, record_id, partial in partials], stopped)


def _lost(worker: Worker, ref: Ref, error: BadRecord) -> LedgerRow | DataError:
    try:
        return lost(worker.plan, ref, error)
    except DataError as fatal:
        return fatal


def _add(worker: Worker, partials: list[tuple[str, str, Partial]], name: str, record_id: str, partial: Partial) -> None:
    """Join a partial to the last one of its point; it begins a new one where it does not fit, which whoever joins all of them then says."""
    for known, _, total in reversed(partials):
        if known == name:
            try:
                worker.join(name, total, partial)
                return
            except ExactError:
                break
    partials.append((name, record_id, partial))
