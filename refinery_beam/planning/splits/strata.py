"""The split of a record, by every rule: plain functions of refs. No Beam. By quotas it follows from where its group stands.

A group is in a stratum and, with the others of its size, in a cell (`cells`); the quotas of all cells are made together, and each cuts the
order of its groups' positions. Where no step comes between the index and the split, the driver divides the refs as it writes them
(`divide`): they stream group by group and positions are sorted on disk. Behind filters `pipeline.split` does the same by counting, on the
engine. Both use the functions here and give every record the same split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, partial
from itertools import groupby
from typing import NamedTuple

from refinery_beam.errors import DataError, raise_all
from refinery_beam.identity import canonical_bytes
from refinery_beam.planning.nodes import Plan, SplitPlan
from refinery_beam.planning.splits.cells import cell_key, cell_quotas
from refinery_beam.planning.splits.order import moment, refuse_mixed
from refinery_beam.planning.splits.quotas import cumulative, part_by_hash, part_of, position, weights
from refinery_beam.records import Ref, field_value, read_tags
from refinery_beam.sorting import Again, Sorter

EXACT_LAW, ORDERED_LAW = 2, 1
"""Versions of the laws by which exact and ordered splits follow from records: part of the key of every instance that is split so. A change
of one quota or one position needs a new version, and a line in docs/upgrading.md. Law 1 of exact splits rounded every stratum by itself.
"""


def split_laws(split: SplitPlan) -> dict[str, int]:
    """The law of a split rule by its name among the versions of ops. Splits by hash, by value and by partition have none."""
    if split.mode != "ratios" or split.method == "hash":
        return {}
    return {f"splits:{split.method}": ORDERED_LAW if split.method == "ordered" else EXACT_LAW}


def divide(refs: Iterable[Ref], plan: Plan, *, grouped: bool = True, scratch: str = "") -> Iterable[Ref]:
    """The refs with their splits, by the quotas of all strata. `refs` are read two or three times and come group by group, the members of
    a group in the order of their keys. Without `grouped` each ref is its own group.

    Raises DataError for a split that gets nothing, and for records that have no common order.
    """
    positions: Sorter[tuple[str, bytes]] = Sorter(key=tuple, make=tuple, folder=scratch)
    counts: Counter[str] = Counter()
    kinds: dict[bytes, str] = {}
    for stands in _standings(refs, plan, grouped):
        if stands is not None:
            counts[stands.cell] += 1
            positions.add((stands.cell, stands.position))
            if plan.split.method == "ordered":
                kind = stands.moment[:1]
                kinds[kind] = min(kinds.get(kind, stands.record_id), stands.record_id)
    refuse_mixed(kinds.items(), field=plan.split.order_by or "")
    cuts = cut(positions, quota_ends(counts, plan.split))
    return Again(partial(_divided, refs, plan, cuts, grouped))


def quota_ends(counts: Mapping[str, int], split: SplitPlan) -> dict[str, list[int]]:
    """Groups by cell -> the number of the last group of each split of the ratios, counted in the order of positions.

    Raises DataError for a split without a group, unless the rule allows it or its ratio is 0. Where there is no group at all, nothing is
    raised: why that is so is known when the run has ended.

    >>> from refinery_beam.planning.nodes import SplitPlan
    >>> halves = SplitPlan(mode="ratios", splits=("a", "b"), ratios=(("a", 0.5), ("b", 0.5)))
    >>> quota_ends({"1 x": 4, "1 y": 1}, halves)
    {'1 x': [2, 4], '1 y': [1, 1]}
    """
    shares = weights([ratio for _, ratio in split.ratios])
    quotas = cell_quotas(counts, shares, seed=split.seed)
    names = [name for name, _ in split.ratios]
    totals = [sum(column) for column in zip(*quotas.values(), strict=True)]
    if counts and not split.allow_empty:
        raise_all(
            _empty_split(name, share, sum(counts.values()))
            for name, share, n in zip(names, shares, totals, strict=False)
            if share and not n
        )
    return {cell: cumulative(row[: len(names)]) for cell, row in quotas.items()}


def cut(positions: Iterable[tuple[str, bytes]], ends: Mapping[str, Sequence[int]]) -> dict[str, list[bytes]]:
    """The last position of each part of each cell, b'' for an empty part. `positions` are sorted (cell, position) pairs.

    >>> cut([("x", b"1"), ("x", b"2"), ("x", b"3"), ("x", b"4"), ("y", b"5")], {"x": [2, 4], "y": [1, 1]})
    {'x': [b'2', b'4'], 'y': [b'5', b'5']}
    """
    found: dict[str, list[bytes]] = {}
    for cell, members in groupby(positions, key=lambda pair: pair[0]):
        wanted = {end for end in ends[cell] if end > 0}
        at = {number: position for number, (_, position) in enumerate(members, 1) if number in wanted}
        found[cell] = [at.get(end, b"") for end in ends[cell]]
    return found


class Standing(NamedTuple):
    """Where a group stands: its cell, and its position among the groups of the cell, which is `moment` and its seeded rank. `record_id` is
    its first record that the ratios are about.
    """

    cell: str
    moment: bytes
    position: bytes
    record_id: str


def standing(members: Iterable[Ref], plan: Plan) -> Standing | None:
    """Where a group stands, from all its members in the order of their keys; None if the ratios are about none of them.

    It is in the stratum of the first member that they are about, and its size is the number of those. An ordered split puts it where its
    last member stands in the order, so that no record of an earlier split comes after it. A stratum is then one cell, of whatever sizes.
    Raises DataError for values that have no common order.
    """
    split = plan.split
    first: Ref | None = None
    size, latest = 0, b""
    for ref in members:
        if outside(ref, split) is None:
            first = first or ref
            size += 1
            if split.method == "ordered":
                name = split.order_by or ""
                here = moment(field_value(ref, name, plan.label_field), at=ref.record_id, field=name)
                refuse_mixed({(latest or here)[:1]: first.record_id, here[:1]: ref.record_id}.items(), field=name)
                latest = max(latest, here)
    if first is None:
        return None
    cell = cell_key(stratum_of(first, plan), 0 if split.method == "ordered" else size)
    return Standing(cell, latest, latest + group_position(first, split), first.record_id)


def by_rank(ref: Ref, cell: str, moment: bytes, plan: Plan, cuts: Mapping[str, Sequence[bytes]]) -> Ref:
    """The split whose quota the group's position falls into. The group stands at `moment` in `cell`."""
    split = plan.split
    if (kept := outside(ref, split)) is not None:
        return kept
    part = part_of(moment + group_position(ref, split), cuts[cell])
    return ref._replace(split=split.ratios[part][0] if part < len(split.ratios) else "")


def by_name(ref: Ref, plan: Plan) -> Ref:
    """The split that the source, or the mapping of a field's value, names; '' if there is none."""
    split = plan.split
    if split.mode == "partition":
        return ref._replace(split=ref.partition)
    value = field_value(ref, split.key_field or "", plan.label_field)
    return ref._replace(split=split.mapping.get(str(value), "") if value is not None else "")


def by_hash(ref: Ref, plan: Plan) -> Ref:
    """The split by the group's seeded hash alone: adding records never moves an old one."""
    split = plan.split
    if (kept := outside(ref, split)) is not None:
        return kept
    names = [name for name, _ in split.ratios]
    part = part_by_hash(group_position(ref, split), weights([r for _, r in split.ratios]))
    return ref._replace(split=names[part] if part < len(names) else "")


def group_position(ref: Ref, split: SplitPlan) -> bytes:
    """The seeded position of a ref's group: among the groups of its cell, and of the same moment."""
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


def _groups(refs: Iterable[Ref], grouped: bool) -> Iterator[Iterable[Ref]]:
    if grouped:
        return (members for _, members in groupby(refs, key=lambda ref: ref.group))
    return ((ref,) for ref in refs)


def _standings(refs: Iterable[Ref], plan: Plan, grouped: bool) -> Iterator[Standing | None]:
    return (standing(members, plan) for members in _groups(refs, grouped))


def _divided(refs: Iterable[Ref], plan: Plan, cuts: Mapping[str, Sequence[bytes]], grouped: bool) -> Iterator[Ref]:
    """A group is stands before its first member is given out: the refs are read twice at once, the groups of one reading ahead."""
    ahead = _standings(refs, plan, grouped) if grouped else None
    for members in _groups(refs, grouped):
        stands = next(ahead) if ahead is not None else standing(members, plan)
        for ref in members:
            yield by_rank(ref, stands.cell if stands else "", stands.moment if stands else b"", plan, cuts)


def _empty_split(name: str, share: Fraction, groups: int) -> DataError:
    return DataError(
        f"no record comes to the split {name!r}: its share of {groups:,} is {float(groups * share):.3g}", code="empty-split", value=name
    )


@lru_cache(maxsize=4096)
def _text_of(value: str) -> str:
    return canonical_bytes(value).decode()
