"""Duplicates: groups of equal content, or clusters of near signatures. One record of each group or cluster stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import coders

from refinery_beam.identity import digest
from refinery_beam.job.job import Job
from refinery_beam.pipeline.counting import Total
from refinery_beam.pipeline.filters.kinds import carries_out
from refinery_beam.pipeline.outputs import Sieved, lost, sieved
from refinery_beam.pipeline.peek import PeekInto
from refinery_beam.planning.nodes import FilterStep
from refinery_beam.planning.splits.forest import find, union
from refinery_beam.planning.splits.near import bands, spanning_pairs
from refinery_beam.records import LedgerRow, Ref


@carries_out("duplicates")
class DropDuplicates(beam.PTransform):
    """Keeps the ref with the smallest key of each group. The ledger row of every other record names the record that stays."""

    def __init__(self, job: Job, step: FilterStep) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        step, unread = self._step, []
        if step.distance is None:
            members = refs | "ByContent" >> beam.Map(_by_content).with_output_types(tuple[bytes, Ref])
        else:
            peeked = refs | "Signatures" >> PeekInto(self._job, step)
            roots = peeked.pairs | "Clusters" >> Clusters(step.distance)
            members = peeked.pairs | "ByCluster" >> beam.Map(_by_root, beam.pvalue.AsDict(roots)).with_output_types(tuple[bytes, Ref])
            unread.append(peeked.ledger)
        out = sieved(members | "Groups" >> beam.GroupByKey(), "KeepFirst", beam.FlatMap(keep_first, step))
        return Sieved(out.kept, (*unread, out.ledger) | "Lost" >> beam.Flatten()) if unread else out


class NearGroups(beam.PTransform):
    """Refs -> the same with the group that splits never divide: near clusters, joined with the groups of `group_by` if there is one."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def expand(self, refs: beam.PCollection[Ref]) -> Sieved:
        split = self._job.plan.split
        assert split.near_distance is not None
        peeked = refs | "Signatures" >> PeekInto(self._job, None)
        roots = peeked.pairs | "Clusters" >> Clusters(split.near_distance, with_groups=split.group_by is not None)
        grouped = peeked.pairs | "Regroup" >> beam.Map(regroup, beam.pvalue.AsDict(roots)).with_output_types(Ref)
        return Sieved(grouped, peeked.ledger)


class Clusters(beam.PTransform):
    """(signature, ref) pairs -> (node, root) pairs of every node that is connected with another; the root is the smallest node.

    Nodes are signatures and, `with_groups`, group keys. Distinct signatures meet in the buckets of their bands, each bucket gives fewer
    pairs than it has members, and one combiner holds a forest of only those nodes that have a neighbour.
    """

    def __init__(self, distance: int, *, with_groups: bool = False) -> None:
        super().__init__()
        self._distance, self._with_groups = distance, with_groups

    def expand(self, signatures: beam.PCollection[tuple[bytes, Ref]]) -> beam.PCollection[tuple[bytes, bytes]]:
        pairs = (
            signatures
            | "Once" >> beam.Map(_once).with_output_types(tuple[bytes, int])
            | "Distinct" >> beam.CombinePerKey(Total()).with_output_types(tuple[bytes, int])
            | "Bands" >> beam.FlatMap(_banded, self._distance).with_output_types(tuple[tuple[int, int], bytes])
            | "Buckets" >> beam.GroupByKey()
            | "Near" >> beam.FlatMap(_near, self._distance).with_output_types(tuple[bytes, bytes])
        )
        if self._with_groups:
            joined = signatures | "WithGroups" >> beam.Map(_with_group).with_output_types(tuple[bytes, bytes])
            pairs = (pairs, joined) | "Pairs" >> beam.Flatten()
        return (
            pairs
            | "Connect" >> beam.CombineGlobally(Connect()).without_defaults().with_output_types(list[tuple[bytes, bytes]])
            | "Roots" >> beam.FlatMap(_each).with_output_types(tuple[bytes, bytes])
        )


class Connect(beam.CombineFn):
    """Connected components by union-find. The root of a component is its smallest node, so any grouping gives the same."""

    def get_accumulator_coder(self) -> Any:
        return coders.MapCoder(coders.BytesCoder(), coders.BytesCoder())

    def create_accumulator(self) -> dict[bytes, bytes]:
        return {}

    def add_input(self, accumulator: dict[bytes, bytes], element: tuple[bytes, bytes]) -> dict[bytes, bytes]:
        union(accumulator, *element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[bytes, bytes]]) -> dict[bytes, bytes]:
        total: dict[bytes, bytes] = {}
        for accumulator in accumulators:
            for node, parent in accumulator.items():
                union(total, node, parent)
        return total

    def extract_output(self, accumulator: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        return sorted((node, find(accumulator, node)) for node in list(accumulator))


def keep_first(group: tuple[bytes, Iterable[Ref]], step: FilterStep) -> Iterable[Any]:
    """The ref with the smallest key, and a ledger row for each other ref. Iterates over the group twice and never keeps it in memory."""
    first = min(group[1], key=lambda ref: ref.key)
    for ref in group[1]:
        if ref.key == first.key:
            yield ref
        else:
            row = LedgerRow(ref.record_id, ref.split, "Filters", step.name, "duplicate", f"kept: {first.record_id}")
            yield lost(row)


def regroup(pair: tuple[bytes, Ref], roots: Mapping[bytes, bytes]) -> Ref:
    """The ref with its cluster as group."""
    signature, ref = pair
    return ref._replace(group=digest("group-near", roots.get(signature, signature)))


def _by_content(ref: Ref) -> tuple[bytes, Ref]:
    return ref.digest, ref


def _by_root(pair: tuple[bytes, Ref], roots: Mapping[bytes, bytes]) -> tuple[bytes, Ref]:
    return roots.get(pair[0], pair[0]), pair[1]


def _once(pair: tuple[bytes, Ref]) -> tuple[bytes, int]:
    return pair[0], 1


def _banded(pair: tuple[bytes, int], distance: int) -> Iterable[tuple[tuple[int, int], bytes]]:
    for band in bands(pair[0], distance):
        yield band, pair[0]


def _near(bucket: tuple[tuple[int, int], Iterable[bytes]], distance: int) -> Iterable[tuple[bytes, bytes]]:
    return spanning_pairs(bucket[1], distance)


def _with_group(pair: tuple[bytes, Ref]) -> tuple[bytes, bytes]:
    return pair[0], pair[1].group


def _each(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return pairs
