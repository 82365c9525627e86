"""The order in which an epoch goes through a split: the same batches for every number of ranks, workers and restarts.

The order is a function of the data, the seed, the epoch's number and the batch size, and of nothing else:

1. The shards of the split stand in a seeded permutation, so do the row groups of each shard, and their rows behind each other: one
   sequence of all rows.
2. The steps of the epoch go to ``LANES`` lanes in turn (step t to lane t mod LANES), and the positions of a batch to the streams of
   its lane in turn (position j to stream j mod STREAMS). Each stream gets as many consecutive rows of the sequence as it has positions.
3. A stream takes its rows in windows of several groups, and the rows of a window in a seeded permutation.

So a worker that serves whole lanes, or a rank that serves whole streams of each lane, reads its own groups and no others; any other share
of the work gives the same batches and reads some groups more than once. A stream goes through its shards one after the other, so a reader
of a store fetches each shard once. The members of shards and of row groups follow from a hash, so each is a random sample of its split, and
a batch holds rows from every stream of its lane.

Pure functions: nothing is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.identity import Stream

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LANES, STREAMS = 4, 8
"""How many lanes an epoch has, and how many streams a lane, where there is data enough. Powers of two, so that usual numbers of workers and
ranks divide them."""

WINDOW_BYTES = 4 << 20
"""The bytes of content of a window, about. A reader that serves every stream holds ``LANES * STREAMS`` windows."""


class Rows(NamedTuple):
    """Consecutive positions of a stream: the row group of each row, and the row's number in it."""

    groups: Array
    rows: Array


@dataclass(frozen=True)
class EpochOrder:
    """The order of one epoch over row groups of ``sizes`` rows, of which each shard has as many as ``shards`` says (left out: there is one
    shard). ``window`` is how many groups a window holds. ``key`` says which data these are: another dataset of equal sizes has another
    order. Without ``shuffle`` rows stand in the order of the files.

    >>> order = EpochOrder(sizes=(3, 3, 2), batch_size=4, seed=0, epoch=0, key=b"k")
    >>> order.steps, sorted(order.batch(0) + order.batch(1)), order.batch(0) == sorted(order.batch(0))
    (2, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)], False)
    """

    sizes: tuple[int, ...]
    batch_size: int
    seed: int
    epoch: int
    key: bytes
    shards: tuple[int, ...] = ()
    window: int = 4
    shuffle: bool = True
    drop_last: bool = False

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.sizes)

    @property
    def steps(self) -> int:
        """How many global batches the epoch has; the last may be short, unless it is dropped."""
        whole, rest = divmod(self.rows, self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    @cached_property
    def lanes(self) -> int:
        """How many lanes: no more than whole windows could fill."""
        return self._share(LANES, len(self.sizes) // (self.streams * self.window)) if self.shuffle else 1

    @cached_property
    def streams(self) -> int:
        """How many streams a lane: a divisor of the batch size."""
        return self._share(STREAMS, len(self.sizes) // self.window, divides=self.batch_size) if self.shuffle else 1

    @staticmethod
    def _share(most: int, enough: int, *, divides: int = 0) -> int:
        found = 1
        while found * 2 <= min(most, max(1, enough)) and divides % (found * 2) == 0:
            found *= 2
        return found

    def size_of(self, step: int) -> int:
        """How many rows the global batch of a step has."""
        return max(0, min(self.batch_size, self.rows - step * self.batch_size))

    def batch(self, step: int) -> list[tuple[int, int]]:
        """The (group, row) pairs of one global batch, as a plain list: for tests, and for people who want to see an order."""
        found: list[tuple[int, int] | None] = [None] * self.size_of(step)
        for stream in range(self.streams):
            before = self.taken(step, stream)
            count = len(range(stream, len(found), self.streams))
            rows = next(iter(self.walk(step % self.lanes, stream, start=before, count=count)), None) if count else None
            for k in range(count):
                assert rows is not None
                found[stream + k * self.streams] = (int(rows.groups[k]), int(rows.rows[k]))
        return [pair for pair in found if pair is not None]

    def taken(self, step: int, stream: int) -> int:
        """How many rows a stream of the lane of `step` has given before that step."""
        earlier = step // self.lanes
        # Every batch but the last of the epoch is whole.
        return earlier * (self.batch_size // self.streams if stream < self.streams else 0)

    def length(self, lane: int, stream: int) -> int:
        """How many rows a stream has."""
        whole = self.rows // self.batch_size
        rest = self.rows % self.batch_size
        count = len(range(lane, whole, self.lanes)) * (self.batch_size // self.streams)
        # The rows of a short last batch have positions even where it is dropped: what is dropped is the end, not a group.
        return count + (len(range(stream, rest, self.streams)) if rest and whole % self.lanes == lane else 0)

    @cached_property
    def _starts(self) -> dict[tuple[int, int], int]:
        """Where each stream begins in the sequence of all rows."""
        found, at = {}, 0
        for lane in range(self.lanes):
            for stream in range(self.streams):
                found[lane, stream] = at
                at += self.length(lane, stream)
        return found

    @cached_property
    def _sequence(self) -> tuple[Array, Array]:
        """The groups in their order, and where each begins in the sequence of all rows (and one past the last)."""
        import numpy as np

        count = len(self.sizes)
        groups = self._shuffled_groups() if self.shuffle else np.arange(count)
        starts = np.zeros(count + 1, np.int64)
        np.cumsum(np.asarray(self.sizes, np.int64)[groups], out=starts[1:])
        return groups, starts

    def groups_of(self, lane: int, stream: int) -> list[int]:
        """The row groups that a stream goes through, in its order, the first and the last perhaps in part."""
        import numpy as np

        groups, starts = self._sequence
        begin, length = self._starts[lane, stream], self.length(lane, stream)
        first = int(np.searchsorted(starts, begin, side="right")) - 1
        last = int(np.searchsorted(starts, begin + length, side="left"))
        found: list[int] = groups[first:last].tolist() if length else []
        return found

    def _shuffled_groups(self) -> Array:
        """The numbers of the groups, shard by shard, in the permutations of the epoch."""
        import numpy as np

        groups = self._permutation(len(self.sizes), "groups")
        shards = self.shards or (len(self.sizes),)
        shard_of = np.repeat(np.arange(len(shards)), shards)
        position = np.empty(len(shards), np.int64)
        position[self._permutation(len(shards), "shards")] = np.arange(len(shards))
        found: Array = groups[np.argsort(position[shard_of[groups]], kind="stable")]
        return found

    def walk(self, lane: int, stream: int, *, start: int = 0, count: int | None = None) -> Iterator[Rows]:
        """The rows of a stream from its position `start` on, `count` or one window at a time: what a window holds is in memory together."""
        import numpy as np

        begin, length = self._starts[lane, stream], self.length(lane, stream)
        groups, starts = self._sequence
        waiting: list[Rows] = []
        have = 0
        position = 0
        first = int(np.searchsorted(starts, begin, side="right")) - 1
        while position < length:
            last = min(first + self.window, len(groups))
            low, high = begin + position, min(begin + length, int(starts[last]))
            if high - begin > start:
                found = self._window(lane, stream, position, first, last, low, high)
                if start > position:
                    found = Rows(found.groups[start - position :], found.rows[start - position :])
                if count is None:
                    yield found
                else:
                    waiting.append(found)
                    have += len(found.rows)
                    while have >= count:
                        joined = _joined(waiting)
                        yield Rows(joined.groups[:count], joined.rows[:count])
                        waiting = [Rows(joined.groups[count:], joined.rows[count:])]
                        have -= count
            position, first = high - begin, last
        if have:
            yield _joined(waiting)

    def _window(self, lane: int, stream: int, position: int, first: int, last: int, low: int, high: int) -> Rows:
        """The rows of the sequence from `low` to `high`, which lie in its groups from `first` to `last`, in their order."""
        import numpy as np

        groups, starts = self._sequence
        slots = np.arange(low, high)
        numbers = np.searchsorted(starts[first : last + 1], slots, side="right") - 1 + first
        rows = slots - starts[numbers]
        found = Rows(groups[numbers], rows)
        if not self.shuffle:
            return found
        order = self._permutation(high - low, f"window {lane} {stream} {position}")
        return Rows(found.groups[order], found.rows[order])

    def _permutation(self, count: int, what: str) -> Array:
        """A permutation of `count` things: the order of their random words."""
        import numpy as np

        name = f"{self.batch_size} {what}"
        words = Stream(seed=self.seed, op=name, key=self.key, replica=self.epoch, domain="order").words(count)
        return np.argsort(words, kind="stable")


def _joined(parts: Sequence[Rows]) -> Rows:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    return Rows(np.concatenate([part.groups for part in parts]), np.concatenate([part.rows for part in parts]))
