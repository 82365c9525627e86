"""The cut by rank as a PTransform: the positions that close each part of each stratum, found in two bounded passes over
positions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.planning.splits.quotas import bucket, edges_of, is_sampled, locate

Cuts = Callable[..., Sequence[int]]
"""(stratum, its count of groups, the side input if there is one) -> the running sums of the quotas."""

TableCuts = Callable[..., Mapping[str, Sequence[int]]]
"""(counts of groups by stratum, the side input if there is one) -> the running sums of the quotas of every stratum."""


Positions = Callable[[Any], Iterable[tuple[str, bytes]]]
"""An element -> the (stratum, position) pairs that it has; picklable."""


class _Cut(beam.PTransform):
    """Elements -> one (stratum, thresholds) pair a stratum; a threshold is the last position of its part, b'' for an empty part.

    Pass one counts positions by buckets; pass two sorts only the buckets in which a cut falls. Memory for a stratum is at most 1,024
    counters, and a thousandth of its positions for each cut. Every pass asks anew which positions an element has: the local engine would
    keep each in memory.
    """

    def __init__(self, positions: Positions) -> None:
        super().__init__()
        self._positions = positions

    def expand(self, pcoll: beam.PCollection[Any]) -> beam.PCollection[tuple[str, list[bytes]]]:
        edges = self._edges(pcoll)
        counted = (
            pcoll
            | "Buckets" >> beam.FlatMap(_with_buckets, self._positions, edges).with_output_types(tuple[str, int])
            | "CountBuckets" >> beam.CombinePerKey(CountBuckets()).with_output_types(tuple[str, list[tuple[int, int]]])
        )
        located = self._located(counted)
        table = beam.pvalue.AsDict(located)
        inside = (
            pcoll
            | "InCutBuckets"
            >> beam.FlatMap(_in_cut_buckets, self._positions, table, edges).with_output_types(tuple[tuple[str, int], bytes])
            | "CollectBuckets" >> beam.GroupByKey()
            | "PickCuts" >> beam.FlatMap(_picked, table).with_output_types(tuple[str, tuple[int, bytes]])
        )
        empty = located | "EmptyCuts" >> beam.FlatMap(_empty_cuts).with_output_types(tuple[str, tuple[int, bytes]])
        return (
            (inside, empty)
            | "Cuts" >> beam.Flatten()
            | "CollectCuts" >> beam.GroupByKey()
            | "Thresholds" >> beam.Map(_thresholds).with_output_types(tuple[str, list[bytes]])
        )

    def _edges(self, pcoll: beam.PCollection[Any]) -> Any:
        """The buckets' edges by stratum, as a side input; None for positions that begin with their rank, whose first bits are enough."""
        return None

    def _located(self, counted: Any) -> beam.PCollection[tuple[str, list[tuple[int, int]]]]:
        """Buckets with their counts, by stratum -> the bucket and the offset of each cut, by stratum."""
        raise NotImplementedError


class CutByRank(_Cut):
    """The cut by quotas that every stratum has of its own; see `Cuts`."""

    def __init__(self, positions: Positions, cuts: Cuts, side: Any = None) -> None:
        super().__init__(positions)
        self._cuts, self._side = cuts, side

    def _located(self, counted: Any) -> beam.PCollection[tuple[str, list[tuple[int, int]]]]:
        return counted | "Locate" >> beam.Map(_locate, self._cuts, self._side).with_output_types(tuple[str, list[tuple[int, int]]])


class CutTable(_Cut):
    """The cut by quotas that follow from the counts of all strata; see `TableCuts`.

    Positions that are not `ranked` begin with something else than a rank. Then the edges of buckets are the positions of a sample by
    rank, so that the buckets are about even too: 256 of them.
    """

    def __init__(self, positions: Positions, cuts: TableCuts, side: Any = None, *, ranked: bool = True) -> None:
        super().__init__(positions)
        self._cuts, self._side, self._ranked = cuts, side, ranked

    def _edges(self, pcoll: beam.PCollection[Any]) -> Any:
        if self._ranked:
            return None
        edges = (
            pcoll
            | "Sample" >> beam.FlatMap(_sampled, self._positions).with_output_types(tuple[str, bytes])
            | "CollectSample" >> beam.GroupByKey()
            | "Edges" >> beam.Map(_edges_of).with_output_types(tuple[str, list[bytes]])
        )
        return beam.pvalue.AsDict(edges)

    def _located(self, counted: Any) -> beam.PCollection[tuple[str, list[tuple[int, int]]]]:
        totals = counted | "Totals" >> beam.Map(_total).with_output_types(tuple[str, int])
        ends = (
            counted.pipeline
            | "Once" >> beam.Impulse()
            | "Quotas"
            >> beam.FlatMap(_all_ends, self._cuts, beam.pvalue.AsDict(totals), self._side).with_output_types(tuple[str, list[int]])
        )
        table = beam.pvalue.AsDict(ends)
        return counted | "Locate" >> beam.Map(_locate_ends, table).with_output_types(tuple[str, list[tuple[int, int]]])


@beam.typehints.with_input_types(int)
@beam.typehints.with_output_types(list[tuple[int, int]])
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


def _with_buckets(element: Any, positions: Positions, edges: Mapping[str, list[bytes]] | None) -> Iterable[tuple[str, int]]:
    return [(stratum, _bucket(stratum, position, edges)) for stratum, position in positions(element)]


def _bucket(stratum: str, position: bytes, edges: Mapping[str, list[bytes]] | None) -> int:
    return bucket(position) if edges is None else bisect_left(edges.get(stratum, ()), position)


def _sampled(element: Any, positions: Positions) -> Iterable[tuple[str, bytes]]:
    return [pair for pair in positions(element) if is_sampled(pair[1])]


def _edges_of(group: tuple[str, Iterable[bytes]]) -> tuple[str, list[bytes]]:
    return group[0], edges_of(group[1])


def _total(pair: tuple[str, list[tuple[int, int]]]) -> tuple[str, int]:
    return pair[0], sum(count for _, count in pair[1])


def _all_ends(_: bytes, cuts: TableCuts, totals: Mapping[str, int], side: Any) -> Iterable[tuple[str, list[int]]]:
    found = cuts(totals) if side is None else cuts(totals, side)
    yield from ((stratum, list(ends)) for stratum, ends in found.items())


def _locate(pair: tuple[str, list[tuple[int, int]]], cuts: Cuts, side: Any) -> tuple[str, list[tuple[int, int]]]:
    _, total = _total(pair)
    return _located_at(pair, cuts(pair[0], total) if side is None else cuts(pair[0], total, side))


def _locate_ends(pair: tuple[str, list[tuple[int, int]]], ends: Mapping[str, list[int]]) -> tuple[str, list[tuple[int, int]]]:
    return _located_at(pair, ends[pair[0]])


def _located_at(pair: tuple[str, list[tuple[int, int]]], ends: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The (bucket, offset) of each cut; (-1, 0) for an empty one."""
    stratum, counts = pair
    return stratum, [position if position is not None else (-1, 0) for position in locate(dict(counts), ends)]


def _in_cut_buckets(
    element: Any, positions: Positions, table: Mapping[str, list[tuple[int, int]]], edges: Mapping[str, list[bytes]] | None
) -> Iterable[tuple[tuple[str, int], bytes]]:
    for stratum, position in positions(element):
        here = _bucket(stratum, position, edges)
        if any(here == b for b, _ in table[stratum]):
            yield (stratum, here), position


def _picked(
    group: tuple[tuple[str, int], Iterable[bytes]], table: Mapping[str, list[tuple[int, int]]]
) -> Iterable[tuple[str, tuple[int, bytes]]]:
    """The cuts that fall into a bucket, by their numbers."""
    (stratum, here), positions = group
    order = sorted(positions)
    for number, (b, offset) in enumerate(table[stratum]):
        if b == here:
            yield stratum, (number, order[offset])


def _empty_cuts(located: tuple[str, list[tuple[int, int]]]) -> Iterable[tuple[str, tuple[int, bytes]]]:
    stratum, cuts = located
    for number, (b, _) in enumerate(cuts):
        if b < 0:
            yield stratum, (number, b"")


def _thresholds(group: tuple[str, Iterable[tuple[int, bytes]]]) -> tuple[str, list[bytes]]:
    return group[0], [position for _, position in sorted(group[1])]
