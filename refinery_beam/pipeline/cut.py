"""The cut by rank as a PTransform: the positions that close each part of each stratum, found in two bounded passes over
40-byte positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.planning.splits.quotas import bucket, locate

Cuts = Callable[..., Sequence[int]]
"""(stratum, its count of groups, the side input if there is one) -> the running sums of the quotas."""


class CutByRank(beam.PTransform):
    """(stratum, position) pairs -> one (stratum, thresholds) pair a stratum; a threshold is the last position of its part, b''
    for an empty part.

    Pass one counts positions by their first ten bits; pass two sorts only the buckets in which a cut falls. Memory for a stratum is
    1,024 counters, and a thousandth of its positions for each cut.
    """

    def __init__(self, cuts: Cuts, side: Any = None) -> None:
        super().__init__()
        self._cuts, self._side = cuts, side

    def expand(self, pcoll: beam.PCollection[tuple[str, bytes]]) -> beam.PCollection[tuple[str, list[bytes]]]:
        positions = (
            pcoll
            | "Buckets" >> beam.Map(_with_bucket).with_output_types(tuple[str, int])
            | "CountBuckets" >> beam.CombinePerKey(CountBuckets()).with_output_types(tuple[str, list[tuple[int, int]]])
            | "Locate" >> beam.Map(_locate, self._cuts, self._side).with_output_types(tuple[str, list[tuple[int, int]]])
        )
        table = beam.pvalue.AsDict(positions)
        inside = (
            pcoll
            | "InCutBuckets" >> beam.FlatMap(_in_cut_bucket, table).with_output_types(tuple[tuple[str, int], bytes])
            | "CollectBuckets" >> beam.GroupByKey()
            | "SortBuckets" >> beam.Map(_sorted_bucket).with_output_types(tuple[str, tuple[int, list[bytes]]])
        )
        return positions | "Thresholds" >> beam.Map(_thresholds, beam.pvalue.AsMultiMap(inside)).with_output_types(tuple[str, list[bytes]])


class CountBuckets(beam.CombineFn):
    """Counts of buckets as sorted (bucket, count) pairs. Adding integers: any grouping gives the same."""

    def get_accumulator_coder(self) -> Any:
        return coders.MapCoder(coders.VarIntCoder(), coders.VarIntCoder())

    def create_accumulator(self) -> dict[int, int]:
        return {}

    def add_input(self, accumulator: dict[int, int], element: int) -> dict[int, int]:
        accumulator[element] = accumulator.get(element, 0) + 1
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[int, int]]) -> dict[int, int]:
        total: dict[int, int] = {}
        for accumulator in accumulators:
            for key, count in accumulator.items():
                total[key] = total.get(key, 0) + count
        return total

    def extract_output(self, accumulator: dict[int, int]) -> list[tuple[int, int]]:
        return sorted(accumulator.items())


def _with_bucket(pair: tuple[str, bytes]) -> tuple[str, int]:
    return pair[0], bucket(pair[1])


def _locate(pair: tuple[str, list[tuple[int, int]]], cuts: Cuts, side: Any) -> tuple[str, list[tuple[int, int]]]:
    """The (bucket, offset) of each cut; (-1, 0) for an empty one."""
    stratum, counts = pair
    total = sum(count for _, count in counts)
    wanted = cuts(stratum, total) if side is None else cuts(stratum, total, side)
    return stratum, [position if position is not None else (-1, 0) for position in locate(dict(counts), wanted)]


def _in_cut_bucket(pair: tuple[str, bytes], table: Mapping[str, list[tuple[int, int]]]) -> Iterable[tuple[tuple[str, int], bytes]]:
    stratum, position = pair
    here = bucket(position)
    if any(here == b for b, _ in table[stratum]):
        yield (stratum, here), position


def _sorted_bucket(group: tuple[tuple[str, int], Iterable[bytes]]) -> tuple[str, tuple[int, list[bytes]]]:
    (stratum, here), positions = group
    return stratum, (here, sorted(positions))


def _thresholds(located: tuple[str, list[tuple[int, int]]], inside: Mapping[str, Iterable[Any]]) -> tuple[str, list[bytes]]:
    stratum, positions = located
    buckets = dict(inside[stratum])
    return stratum, [b"" if b < 0 else buckets[b][offset] for b, offset in positions]
