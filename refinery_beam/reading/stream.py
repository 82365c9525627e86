"""Batches for training, in the order of an epoch: the same for every number of ranks and workers, from any step on."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

from refinery_beam.cache import Manifest
from refinery_beam.errors import UsageError
from refinery_beam.identity import digest
from refinery_beam.reading.content import Allocate
from refinery_beam.reading.groups import Group
from refinery_beam.reading.order import WINDOW_BYTES, EpochOrder, Rows

Batch = dict[str, Any]

PADDED = "padded"
"""The column that tells repeated rows, in batches of several ranks."""

FETCHES = 4
"""Shards of a store that are fetched at once ahead of their time."""

_DONE = object()


class Split(Protocol):
    """What a stream reads: a `SplitReader`."""

    split: str

    @property
    def manifest(self) -> Manifest: ...

    @property
    def group_numbers(self) -> list[tuple[int, int, int]]: ...

    @property
    def row_bytes(self) -> int | None: ...

    @property
    def remote(self) -> bool: ...

    def fetch(self, shard: int) -> None: ...

    def epoch(self, number: int) -> Split: ...

    def read_group(self, shard: int, number: int) -> Group: ...

    def batch_of(
        self, slots: Sequence[tuple[Group, int]], *, pool: ThreadPoolExecutor | None = None, allocate: Allocate | None = None
    ) -> Batch: ...


@dataclass(frozen=True, kw_only=True)
class Share:
    """Who serves what: one rank of many, and in it one worker of many. Position j of a batch is that of rank j mod `world_size`; the step
    that comes t steps after the first is that of worker t mod `workers`.
    """

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    workers: int = 1


class EpochStream:
    """The batches of one epoch of a split, as dicts of columns: lists, and one array of images where they have one shape.

    Made by `SplitReader.stream`. An iterable: each iteration begins at `start`, the step that `load_state_dict` set, and tells `step` as it
    goes. `len` counts the steps from `start` on. Can be pickled.
    """

    def __init__(
        self,
        reader: Split,
        order: EpochOrder,
        share: Share,
        *,
        prefetch: int,
        threads: int,
        start: int = 0,
        allocate: Allocate | None = None,
    ) -> None:
        self.reader, self.order, self.share = reader, order, share
        self.prefetch, self.threads, self.allocate = prefetch, threads, allocate
        self.start = self.step = self.origin = start

    def __len__(self) -> int:
        return len(range(self.start, self.order.steps))

    def __iter__(self) -> Iterator[Batch]:
        self.step = self.start
        batches = _ahead(self._batches, self.prefetch) if self.prefetch else self._batches()
        for step, batch in batches:
            self.step = step + 1
            yield batch

    def shared(self, share: Share, *, prefetch: int = 0, threads: int = 1, allocate: Allocate | None = None) -> EpochStream:
        """The same epoch, served by another share of ranks and workers; batches of images lie in memory of `allocate`."""
        stream = EpochStream(self.reader, self.order, share, prefetch=prefetch, threads=threads, start=self.start, allocate=allocate)
        stream.origin = self.origin
        return stream

    # -- state --------------------------------------------------------------------------------------------------------------------

    def state_dict(self, *, step: int | None = None) -> dict[str, Any]:
        """Where the epoch stands, as plain data: after the last batch that was given, or before `step`. That of one of several workers goes
        on only as that worker.
        """
        order = self.order
        return {
            "dataset": order.key.hex(),
            "epoch": order.epoch,
            "seed": order.seed,
            "batch_size": order.batch_size,
            "shuffle": order.shuffle,
            "drop_last": order.drop_last,
            "step": self.step if step is None else step,
            **({"origin": self.origin} if self.share.workers > 1 else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a state stood, on any number of ranks. The epoch, the seed and the options are those of the state.

        UsageError ``other-stream`` for the state of other data, or of another batch size.
        """
        if (state["dataset"], state["batch_size"]) != (self.order.key.hex(), self.order.batch_size):
            raise UsageError(
                "the state belongs to other data, or to another batch size",
                code="other-stream",
                value={name: state[name] for name in ("dataset", "batch_size")},
            )
        options = {name: state[name] for name in ("epoch", "seed", "shuffle", "drop_last")}
        if options["epoch"] != self.order.epoch:
            self.reader = self.reader.epoch(options["epoch"])
        self.order = replace(self.order, **options)
        self.start = self.step = int(state["step"])
        self.origin = int(state.get("origin", self.start))

    # -- batches ------------------------------------------------------------------------------------------------------------------

    def _batches(self) -> Iterator[tuple[int, Batch]]:
        order, share = self.order, self.share
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="refinery-read") if self.threads > 1 else None
        fetching = ThreadPoolExecutor(FETCHES, thread_name_prefix="refinery-fetch") if self.reader.remote else None
        cursors: dict[tuple[int, int], _Cursor] = {}
        try:
            for step in range(self.start, order.steps):
                if (step - self.origin) % share.workers != share.worker:
                    continue
                size, lane = order.size_of(step), step % order.lanes
                mine = list(range(share.rank, size, share.world_size))
                padded = -(-size // share.world_size) - len(mine)
                # A rank that has no row of a short last batch repeats the first one.
                positions = mine + [mine[0] if mine else 0] * padded
                found: dict[int, tuple[Group, int]] = {}
                for stream in sorted({position % order.streams for position in positions}):
                    cursor = cursors.get((lane, stream))
                    if cursor is None:
                        cursor = cursors[lane, stream] = _Cursor(self, lane, stream, order.taken(step, stream), pool, fetching)
                    cursor.take(order.taken(step, stream), [p for p in dict.fromkeys(positions) if p % order.streams == stream], found)
                batch = self.reader.batch_of([found[position] for position in positions], pool=pool, allocate=self.allocate)
                if share.world_size > 1 and not order.drop_last:
                    batch[PADDED] = [False] * len(mine) + [True] * padded
                yield step, batch
        finally:
            for executor in (pool, fetching):
                if executor is not None:
                    executor.shutdown(wait=True, cancel_futures=True)


class _Cursor:
    """One stream of an epoch, with the decoded groups of its window. With a pool, the groups of the next window are on their way before a
    batch needs them.
    """

    def __init__(
        self,
        stream: EpochStream,
        lane: int,
        number: int,
        start: int,
        pool: ThreadPoolExecutor | None,
        fetching: ThreadPoolExecutor | None,
    ) -> None:
        self._reader, self._order = stream.reader, stream.order
        self._sizes, self._pool = stream.reader.group_numbers, pool
        self._fetching = fetching
        # The shards that the stream goes through, each once, in its order.
        self._shards = list(dict.fromkeys(self._sizes[n][0] for n in stream.order.groups_of(lane, number))) if fetching else []
        self._windows = stream.order.walk(lane, number, start=start)
        self._first = self._last = start
        self._rows: Rows | None = None
        self._coming: Rows | None = None
        self._groups: dict[int, Group | Future[Group]] = {}

    def take(self, before: int, positions: list[int], found: dict[int, tuple[Group, int]]) -> None:
        """Put the rows of some `positions` of a batch into `found`; the stream had given `before` rows before that batch."""
        streams = self._order.streams
        for position in positions:
            slot = before + position // streams
            while slot >= self._last:
                self._next()
            k = slot - self._first
            assert self._rows is not None
            found[position] = (self._group(int(self._rows.groups[k])), int(self._rows.rows[k]))
        # The next batch of this lane ends in the coming window.
        if self._pool is not None and self._coming is None and before + 2 * (self._order.batch_size // streams) >= self._last:
            self._coming = next(self._windows, None)
            self._request_groups()

    def _next(self) -> None:
        self._rows = self._coming if self._coming is not None else next(self._windows)
        self._coming = None
        self._first, self._last = self._last, self._last + len(self._rows.rows)
        # A group at the edge of two windows is decoded once.
        needed = set(self._rows.groups.tolist())
        self._groups = {number: group for number, group in self._groups.items() if number in needed}
        self._request_groups()
        if self._fetching is not None:
            # The shard after those of this window.
            reached = max(self._shards.index(self._sizes[number][0]) for number in needed)
            self._shards = self._shards[reached:]
            for shard in self._shards[1:2]:
                # A failure is met again, and raised, when the shard is read.
                self._fetching.submit(self._reader.fetch, shard)

    def _request_groups(self) -> None:
        """Have the groups of this window and of the coming one decoded by the pool."""
        if self._pool is None:
            return
        for rows in (self._rows, self._coming):
            for number in sorted(set(rows.groups.tolist()) - self._groups.keys()) if rows is not None else ():
                self._groups[number] = self._pool.submit(self._read, number)

    def _group(self, number: int) -> Group:
        group = self._groups.get(number)
        if group is None:
            group = self._groups[number] = self._read(number)
        elif isinstance(group, Future):
            group = self._groups[number] = group.result()
        return group

    def _read(self, number: int) -> Group:
        return self._reader.read_group(*self._sizes[number][:2])


def order_of(reader: Split, *, epoch: int, shuffle: bool, seed: int, batch_size: int, drop_last: bool) -> EpochOrder:
    """The order of an epoch of a reader's split. The window follows from the sizes of the groups, decoded or as they are stored: from the
    data alone, not from the fields that are read.
    """
    if batch_size < 1:
        raise UsageError(f"a batch of {batch_size} rows", code="batch-size", value=batch_size)
    sizes = tuple(rows for _, _, rows in reader.group_numbers)
    manifest = reader.manifest
    groups_of = Counter(shard for shard, _, _ in reader.group_numbers)
    stored = sum(shard.bytes for shard in manifest.shards(reader.split)) // max(1, len(sizes))
    largest = max(max(sizes, default=1) * (reader.row_bytes or 1), stored)
    return EpochOrder(
        sizes=sizes,
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        key=digest("split-order", manifest.logical_digest, reader.split),
        shards=tuple(groups_of[shard] for shard in sorted(groups_of)),
        window=max(2, min(64, WINDOW_BYTES // max(1, largest))),
        shuffle=shuffle,
        drop_last=drop_last,
    )


def _ahead(produce: Any, count: int) -> Iterator[Any]:
    """What `produce` gives, made by another thread up to `count` items ahead. Its exceptions are raised here."""
    items: queue.Queue[Any] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                items.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in produce():
                if not put(item):
                    return
            put(_DONE)
        except BaseException as error:  # handed to the thread that waits
            put(error)

    thread = threading.Thread(target=work, name="refinery-stream", daemon=True)
    thread.start()
    try:
        while (item := items.get()) is not _DONE:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
