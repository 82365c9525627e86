"""The stratum of a record, and the split for its position in the stratum: plain functions of refs. No Beam.

Where no step comes between the index and the split, the driver divides the refs as it writes them (`divide`): they stream group by
group, the positions of groups are sorted on disk, and the quotas cut that order. Behind filters `pipeline.split` does the same by
counting, on the engine. Both use the functions here and give every record the same split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import groupby

from refinery_beam.errors import DataError
from refinery_beam.identity import canonical_bytes
from refinery_beam.planning.nodes import Plan, SplitPlan
from refinery_beam.planning.splits.quotas import cumulative, largest_remainder, part_of, position, weights
from refinery_beam.records import Ref, field_value, read_tags
from refinery_beam.sorting import Again, Sorter


class QuotaCuts:
    """Running quotas of the ratios for a count of groups; a picklable function."""

    def __init__(self, split: SplitPlan) -> None:
        self._ratios = [ratio for _, ratio in split.ratios]

    def __call__(self, stratum: str, count: int) -> list[int]:
        return cumulative(largest_remainder(count, weights(self._ratios)))


def divide(refs: Iterable[Ref], plan: Plan, *, scratch: str = "") -> Iterable[Ref]:
    """The refs with their splits, by exact quotas within each stratum. `refs` are read twice and come group by group, the
    members of a group in the order of their keys.
    """
    positions: Sorter[tuple[str, bytes]] = Sorter(key=tuple, make=tuple, folder=scratch)
    counts: Counter[str] = Counter()
    for stratum, first, ref in _stratified(refs, plan):
        if first:
            counts[stratum] += 1
            positions.add((stratum, group_position(ref, plan.split)))
    cuts = cut(positions, counts, QuotaCuts(plan.split))
    return Again(partial(_divided, refs, plan, cuts))


def cut(positions: Iterable[tuple[str, bytes]], counts: Mapping[str, int], quotas: QuotaCuts) -> dict[str, list[bytes]]:
    """The last position of each part of each stratum, b'' for an empty part. `positions` are sorted (stratum, position) pairs.

    >>> from refinery_beam.planning.nodes import SplitPlan
    >>> halves = QuotaCuts(SplitPlan(mode="ratios", splits=("a", "b"), ratios=(("a", 0.5), ("b", 0.5))))
    >>> cut([("x", b"1"), ("x", b"2"), ("x", b"3"), ("x", b"4"), ("y", b"5")], {"x": 4, "y": 1}, halves)
    {'x': [b'2', b'4'], 'y': [b'5', b'5']}
    """
    found: dict[str, list[bytes]] = {}
    for stratum, group in groupby(positions, key=lambda pair: pair[0]):
        ends = quotas(stratum, counts[stratum])
        wanted = {end for end in ends if end > 0}
        at = {number: position for number, (_, position) in enumerate(group, 1) if number in wanted}
        found[stratum] = [at.get(end, b"") for end in ends]
    return found


def stratify(members: Iterable[Ref], plan: Plan) -> Iterator[tuple[str, bool, Ref]]:
    """(stratum, is_representative, ref) for the members of one group, which come in the order of their keys.

    All are in the stratum of the representative, the first ref, and only the representative is counted. If the ratios are about some
    records only, the representative is the first of those, and the other records pass through.
    """
    stratum: str | None = None
    for ref in members:
        if outside(ref, plan.split) is not None:
            yield "", False, ref
        elif stratum is None:
            stratum = stratum_of(ref, plan)
            yield stratum, True, ref
        else:
            yield stratum, False, ref


def by_rank(ref: Ref, stratum: str, plan: Plan, cuts: Mapping[str, Sequence[bytes]]) -> Ref:
    """The split whose quota the group's position falls into."""
    split = plan.split
    if (kept := outside(ref, split)) is not None:
        return kept
    part = part_of(group_position(ref, split), cuts[stratum])
    return ref._replace(split=split.ratios[part][0] if part < len(split.ratios) else "")


def group_position(ref: Ref, split: SplitPlan) -> bytes:
    """The position of a ref's group among the groups of its stratum."""
    return position("split", split.seed, "Splits", ref.group)


def stratum_of(ref: Ref, plan: Plan) -> str:
    """The stratum as canonical text, so that 1 and "1" stay apart; '' when splits are not stratified."""
    if plan.split.stratify_by is None:
        return ""
    value = field_value(ref, plan.split.stratify_by, plan.label_field)
    return _text_of(value) if isinstance(value, str) else canonical_bytes(value).decode()


def outside(ref: Ref, split: SplitPlan) -> Ref | None:
    """The record under the split of its partition or tag if the ratios are not about it, else None."""
    if split.tag is not None:
        return tag_split(ref, split.tag)
    if split.applies_to is not None and ref.partition != split.applies_to:
        return ref._replace(split=ref.partition)
    return None


def tag_split(ref: Ref, tag: str) -> Ref | None:
    """None for a record with the tag that the ratios divide; else the record in the split named by its single tag, '' if it has none.

    Raises DataError for two: nothing says which of them is the split.
    """
    tags = read_tags(ref)
    if tag in tags:
        return None
    if len(tags) > 1:
        raise DataError(
            f"{ref.record_id} has the tags {', '.join(tags)}, and a record is in one split",
            code="two-tags",
            at=ref.record_id,
            value=", ".join(tags),
            tag=tag,
        )
    return ref._replace(split=tags[0] if tags else "")


def _stratified(refs: Iterable[Ref], plan: Plan) -> Iterator[tuple[str, bool, Ref]]:
    for _, members in groupby(refs, key=lambda ref: ref.group):
        yield from stratify(members, plan)


def _divided(refs: Iterable[Ref], plan: Plan, cuts: Mapping[str, Sequence[bytes]]) -> Iterator[Ref]:
    for stratum, _, ref in _stratified(refs, plan):
        yield by_rank(ref, stratum, plan, cuts)


@lru_cache(maxsize=4096)
def _text_of(value: str) -> str:
    return canonical_bytes(value).decode()
