"""The batches of a shard, in order: prepared by threads of this process, or in other processes where that is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from refinery_beam.errors import DataError
from refinery_beam.facts.album import Bounds
from refinery_beam.plugins.base import ArrayType
from refinery_beam.record.batch import Batch, Markers, batch_records, batches, prepare_batch
from refinery_beam.record.readahead import ordered_map
from refinery_beam.record.steps import Fitted
from refinery_beam.record.worker import Worker
from refinery_beam.records import Ref

TRIED, LOT, ENOUGH = 64, 8, 0.1
"""The first records of a job tell what a record costs. They are tried in lots, of which the fastest counts: the first also pays for what is
imported and set up at its first use, and any may be disturbed. Where so many seconds are spent after the second, no other lot is tried.
"""


class Elsewhere(Protocol):
    """Other processes that prepare batches; see `forked.elsewhere`."""

    lines: ThreadPoolExecutor
    """A thread for each process."""
    processes: int

    def clock(self) -> float:
        """The seconds that this thread has worked."""

    @property
    def pays(self) -> bool | None:
        """Whether the processes are faster than threads; None while nobody knows what a record costs."""

    def tried(self, *, seconds: float, size: int, threads: int) -> None:
        """Records were tried: they take so many seconds, and have so many bytes."""

    def prepare(self, refs: Sequence[Ref], fitted: Fitted, bounds: Bounds | None) -> Batch:
        """`prepare_batch` in one of the processes; called on a line."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who works on a shard: the threads of a pool, and other processes if there are any. `markers` write down which records threads are
    working on.
    """

    pool: ThreadPoolExecutor | None = None
    threads: int = 1
    markers: Markers | None = None
    elsewhere: Elsewhere | None = None


ONE_THREAD = Crew()
"""The calling thread."""


def prepared(
    worker: Worker,
    refs: Iterable[Ref],
    fitted: Fitted,
    crew: Crew,
    *,
    bounds: Callable[[Iterable[str | None]], Bounds] | None,
    bad: list[DataError],
) -> Iterator[tuple[Sequence[Ref], Batch]]:
    """The batches of refs in the order of record keys. The first records of a job say who prepares the others.

    `bounds` says of labels which pictures are still of use; without it there are no facts. `bad` gets the errors that stop the run, those
    of batches that were prepared ahead too.
    """
    ordered, row_bytes = sorted(refs, key=lambda ref: ref.key), _bytes_a_row(worker)
    elsewhere, markers = crew.elsewhere, crew.markers
    if markers is not None:
        markers.knowing(fitted)

    def here(some: Sequence[Ref], fitted: Fitted, bounds: Bounds | None) -> Batch:
        return prepare_batch(worker, some, fitted, markers=markers, bounds=bounds)

    def through(
        prepare: Callable[[Sequence[Ref], Fitted, Bounds | None], Batch], refs: Sequence[Ref], pool: ThreadPoolExecutor | None, threads: int
    ) -> Iterator[tuple[Sequence[Ref], Batch]]:
        def one(task: tuple[Sequence[Ref], Bounds | None]) -> tuple[Sequence[Ref], Batch]:
            some, known = task
            batch = prepare(some, fitted, known)
            bad.extend(error for error in batch.outcomes if isinstance(error, DataError))
            return some, batch

        tasks = ((some, bounds({ref.label for ref in some}) if bounds is not None else None) for some in batches(refs, row_bytes))
        size = row_bytes * batch_records(row_bytes) if row_bytes else None
        return ordered_map(one, tasks, pool=pool, threads=threads, item_bytes=size)

    if elsewhere is not None and elsewhere.pays is None and len(ordered) > TRIED:
        lots = batches(ordered[:TRIED], row_bytes, most=LOT)
        tried = _tried(elsewhere, lots, lambda lot: through(here, lot, None, 1), threads=crew.threads)
        ordered = ordered[sum(len(some) for some, _ in tried) :]
        yield from tried
    if elsewhere is not None and elsewhere.pays:
        yield from through(elsewhere.prepare, ordered, elsewhere.lines, elsewhere.processes)
    else:
        yield from through(here, ordered, crew.pool, crew.threads)


def _tried(
    elsewhere: Elsewhere,
    lots: Iterable[Sequence[Ref]],
    prepare: Callable[[Sequence[Ref]], Iterable[tuple[Sequence[Ref], Batch]]],
    *,
    threads: int,
) -> list[tuple[Sequence[Ref], Batch]]:
    """The batches of the first lots, of which `elsewhere` learns what a record costs."""
    tried: list[tuple[Sequence[Ref], Batch]] = []
    each: list[float] = []
    spent = 0.0
    for lot in lots:
        if len(each) >= 2 and spent >= ENOUGH:
            break
        begun = elsewhere.clock()
        tried += prepare(lot)
        taken = elsewhere.clock() - begun
        spent += taken
        each.append(taken / len(lot))
    size = sum(batch.size for _, batch in tried) // sum(len(some) for some, _ in tried)
    elsewhere.tried(seconds=min(each), size=size, threads=threads)
    return tried


def _bytes_a_row(worker: Worker) -> int | None:
    """The size of one record's content in bytes if it is the same for every record, else None."""
    output = worker.plan.output
    if output.content_field is None or worker.encoding is None:
        return None
    declared = dict(output.fields)[output.content_field]
    return worker.encoding.estimate(ArrayType(declared.dtype, declared.shape or ()), 0) or None
