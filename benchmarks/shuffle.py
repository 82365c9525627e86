"""How well is an epoch shuffled? The batches of `SplitReader.stream` beside those of a full permutation.

usage: shuffle.py [--epochs N] [--batch N]

For splits of several sizes, made up as the compiler would store them, it follows some rows through the epochs and counts the distinct rows
that they shared a batch with, and the entropy of the labels in a batch, where 20 labels are spread over the rows by a hash, as records are.
Each figure stands beside that of a full permutation of all rows. Nothing is read: the order is a function.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from refinery_beam.reading.order import WINDOW_BYTES, EpochOrder

Array = np.ndarray[Any, Any]
LABELS, FOLLOWED = 20, 200


class Case(NamedTuple):
    """A split: its rows, how many lie in a row group and in a shard, and the bytes of a row."""

    name: str
    rows: int
    group: int
    shard: int
    row_bytes: int


CASES = (
    Case("2,000 of 224x224x3", 2_000, 7, 110, 150_528),
    Case("50,000 of 32x32x3", 50_000, 86, 12_500, 3_072),
    Case("100,000 of 224x224x3", 100_000, 7, 640, 150_528),
    Case("1,000,000 of 224x224x3", 1_000_000, 7, 640, 150_528),
)


def order_of(case: Case, epoch: int, batch: int) -> EpochOrder:
    shards = [min(case.shard, case.rows - first) for first in range(0, case.rows, case.shard)]
    sizes = [[min(case.group, rows - first) for first in range(0, rows, case.group)] for rows in shards]
    window = max(2, min(64, WINDOW_BYTES // (case.group * case.row_bytes)))
    return EpochOrder(
        sizes=tuple(size for shard in sizes for size in shard),
        shards=tuple(len(shard) for shard in sizes),
        batch_size=batch,
        seed=0,
        epoch=epoch,
        key=b"shuffle",
        window=window,
        drop_last=True,
    )


def streamed(case: Case, epoch: int, batch: int) -> Array:
    """The rows of every batch of an epoch, (steps, batch)."""
    order = order_of(case, epoch, batch)
    starts = np.cumsum([0, *order.sizes])
    found = np.empty((order.steps, batch), np.int64)
    for lane in range(order.lanes):
        steps = np.arange(lane, order.steps, order.lanes)
        for stream in range(order.streams):
            rows = np.concatenate([starts[part.groups] + part.rows for part in order.walk(lane, stream)])
            each = batch // order.streams
            found[steps, stream :: order.streams] = rows[: len(steps) * each].reshape(len(steps), each)
    return found


def permuted(case: Case, epoch: int, batch: int) -> Array:
    """The same for a full permutation."""
    steps = case.rows // batch
    return np.random.default_rng(epoch).permutation(case.rows)[: steps * batch].reshape(steps, batch)


def neighbours(epoch_of: Callable[[Case, int, int], Array], case: Case, epochs: int, batch: int) -> tuple[float, float]:
    """Distinct neighbours of a row over the epochs, and the entropy of a batch's labels in bits, on the average."""
    followed = np.random.default_rng(1).permutation(case.rows)[:FOLLOWED]
    labels = np.random.default_rng(2).integers(0, LABELS, case.rows)
    met: list[set[int]] = [set() for _ in followed]
    entropies = []
    for epoch in range(epochs):
        batches = epoch_of(case, epoch, batch)
        step_of = np.full(case.rows, -1)
        step_of[batches.reshape(-1)] = np.repeat(np.arange(len(batches)), batch)
        for k, row in enumerate(followed):
            if step_of[row] >= 0:
                met[k].update(batches[step_of[row]].tolist())
        for some in batches[:: max(1, len(batches) // 100)]:
            shares = np.bincount(labels[some], minlength=LABELS) / batch
            entropies.append(-sum(p * np.log2(p) for p in shares if p))
    return float(np.mean([len(rows) - 1 for rows in met])), float(np.mean(entropies))


def main() -> None:
    parser = argparse.ArgumentParser(description="Shuffled epochs beside full permutations.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    print("| split | neighbours, stream | full permutation | label entropy, stream | full permutation |\n|---|---|---|---|---|")
    for case in CASES:
        ours, full = (neighbours(epoch_of, case, args.epochs, args.batch) for epoch_of in (streamed, permuted))
        print(f"| {case.name} | {ours[0]:.1f} | {full[0]:.1f} | {ours[1]:.3f} | {full[1]:.3f} |")


if __name__ == "__main__":
    main()
