"""Groups of records that are alike: files with the same bytes, and pictures with near signatures; within splits, across them, and with
different labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from refinery_beam.facts.gather import MOST, Part
from refinery_beam.facts.near import clusters, pairs
from refinery_beam.plugins.fact_columns import arrays
from refinery_beam.plugins.measures import Measures

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

CASES = 100
"""Groups, and pairs, that are named."""

MEMBERS = 10
"""Members of a group that are named."""

PAIRED = 1000
"""Members of a group of near duplicates whose pairs are looked at one by one. Of a larger group all pairs with different labels count."""


class Compared:
    """A few numbers of each record, for comparing them."""

    def __init__(self, measures: Measures | None, *, records: int) -> None:
        self._measures = measures
        self._share = None if records <= MOST else MOST * (1 << 64) // records
        self._columns: dict[str, list[Array]] = {}
        self.positions: Array
        self.splits: Array
        self.labels: Array
        self.names: list[str] = []
        self.records = 0

    @property
    def all(self) -> bool:
        """Whether every record is compared."""
        return self._share is None

    def add(self, part: Part, labels: Array) -> None:
        """The records of a part."""
        import numpy as np

        if part.split not in self.names:
            self.names.append(part.split)
        head = b"".join((d or b"").ljust(16, b"\0")[:16] for d in part.digests.to_pylist())
        digests = np.frombuffer(head, ">u8").astype(np.uint64).reshape(-1, 2)
        keep = np.ones(len(digests), bool) if self._share is None else digests[:, 0] < np.uint64(self._share)
        found: dict[str, Array] = {
            "position": np.arange(part.start, part.start + len(digests)),
            "split": np.full(len(digests), self.names.index(part.split), np.int16),
            "label": labels,
            "one": digests[:, 0],
            "other": digests[:, 1],
        }
        measures = self._measures
        if measures is not None and measures.signature in part.table.schema.names:
            numbers = arrays(part.table, (measures.signature, *measures.alike_facts))
            for name, (values, there) in numbers.items():
                found[name] = values
                found["measured"] = found.get("measured", there) & there
        for name, values in found.items():
            self._columns.setdefault(name, []).append(values[keep])

    def join(self) -> dict[str, Array]:
        """All columns."""
        import numpy as np

        found = {name: np.concatenate(values) for name, values in self._columns.items()}
        self._columns = {}
        if found:
            self.positions, self.splits, self.labels = found["position"], found["split"], found["label"]
            self.records = len(self.positions)
        return found


@dataclass
class Groups:
    """The groups of one kind. ``number`` is the group of each record that is in one, by position. ``leaks`` are members of groups that lie
    in several splits, and ``leak_sizes`` how many each of these has; ``first`` are members of others. Members are positions.
    """

    kind: str
    groups: int = 0
    records: int = 0
    within: Counter[str] = field(default_factory=Counter)
    across: Counter[str] = field(default_factory=Counter)
    crossing: int = 0
    conflicts: int = 0
    number: dict[int, int] = field(default_factory=dict)
    first: list[list[int]] = field(default_factory=list)
    leaks: list[list[int]] = field(default_factory=list)
    leak_sizes: list[int] = field(default_factory=list)
    conflict_pairs: list[tuple[int, int]] = field(default_factory=list)

    def named(self) -> Iterator[int]:
        """Every position that is named."""
        for members in (*self.first, *self.leaks, *self.conflict_pairs):
            yield from members


def exact_groups(columns: Mapping[str, Array]) -> Array:
    """For each record the least index of a record with the same digest."""
    import numpy as np

    one, other = columns["one"], columns["other"]
    order = np.lexsort((other, one))
    new = np.ones(len(order), bool)
    new[1:] = (one[order][1:] != one[order][:-1]) | (other[order][1:] != other[order][:-1])
    # lexsort is stable, so the first of a run is its least index.
    roots = np.empty(len(order), np.int64)
    roots[order] = order[np.flatnonzero(new)][new.cumsum() - 1]
    return roots


def near_groups(columns: Mapping[str, Array], measures: Measures) -> Array:
    """For each record the least index of its cluster of near duplicates; itself where it is in none."""
    import numpy as np

    facts = {name: columns[name] for name in measures.alike_facts}
    usable = np.flatnonzero(columns["measured"] & measures.comparable(facts))
    signatures = columns[measures.signature][usable].view(np.uint64)
    kept = {name: values[usable] for name, values in facts.items()}

    def alike(a: Array, b: Array) -> Array:
        return measures.alike({n: v[a] for n, v in kept.items()}, {n: v[b] for n, v in kept.items()})

    roots = np.arange(len(columns["position"]))
    roots[usable] = usable[clusters(signatures, measures.near_distance, alike)]
    return roots


def groups_of(kind: str, roots: Array, compared: Compared, columns: Mapping[str, Array], measures: Measures | None, exact: Array) -> Groups:
    """The groups with several members. Near groups whose members all have the same bytes are left to the exact ones."""
    import numpy as np

    found = Groups(kind)
    order = np.argsort(roots, kind="stable")
    edges = np.flatnonzero(np.diff(roots[order], prepend=-1, append=-1))
    several = np.flatnonzero(np.diff(edges) > 1)
    for start, end in zip(edges[several].tolist(), edges[several + 1].tolist(), strict=True):
        members = np.sort(order[start:end])
        if kind == "exact" or len(np.unique(exact[members])) > 1:
            _add(found, members, compared, columns, measures, exact)
    return found


def _add(found: Groups, members: Array, compared: Compared, columns: Mapping[str, Array], measures: Measures | None, exact: Array) -> None:
    import numpy as np

    positions, names = compared.positions[members].tolist(), compared.names
    found.groups += 1
    found.records += len(members)
    for position in positions:
        found.number[position] = found.groups
    splits = Counter(compared.splits[members].tolist())
    for split, count in splits.items():
        if count > 1:
            found.within[names[split]] += count
    for a, b in combinations(sorted(splits), 2):
        found.across[f"{names[a]},{names[b]}"] += 1
    labels = compared.labels[members]
    if len(splits) > 1:
        found.crossing += 1
        if len(found.leaks) < CASES:
            found.leaks.append(_one_of_each_split(members, compared, positions))
            found.leak_sizes.append(len(members))
    elif len(found.first) < CASES:
        found.first.append(positions[:MEMBERS])
    if len(np.unique(labels[labels >= 0])) > 1:
        _conflicts(found, members, positions, labels, columns, measures, exact)


def _one_of_each_split(members: Array, compared: Compared, positions: Sequence[int]) -> list[int]:
    """The first member of each split, then others."""
    firsts: dict[int, int] = {}
    for split, position in zip(compared.splits[members].tolist(), positions, strict=True):
        firsts.setdefault(split, position)
    return list(dict.fromkeys([*firsts.values(), *positions]))[:MEMBERS]


def _conflicts(
    found: Groups,
    members: Array,
    positions: Sequence[int],
    labels: Array,
    columns: Mapping[str, Array],
    measures: Measures | None,
    exact: Array,
) -> None:
    """Count and name the pairs with different labels."""
    if found.kind == "exact" or len(members) > PAIRED or measures is None:
        counts = Counter(int(label) for label in labels.tolist() if label >= 0)
        labelled = sum(counts.values())
        found.conflicts += (labelled * labelled - sum(n * n for n in counts.values())) // 2
        first: dict[int, int] = {}
        for label, position in zip(labels.tolist(), positions, strict=True):
            if label >= 0:
                first.setdefault(label, position)
        for a, b in combinations(list(first.values())[:MEMBERS], 2):
            if len(found.conflict_pairs) < CASES:
                found.conflict_pairs.append((a, b))
        return
    import numpy as np

    near = pairs(columns[measures.signature][members].view(np.uint64), measures.near_distance)
    left, right = members[near[:, 0]], members[near[:, 1]]
    facts = {name: columns[name] for name in measures.alike_facts}
    agreed = measures.alike({n: v[left] for n, v in facts.items()}, {n: v[right] for n, v in facts.items()})
    one, other = columns["label"][left], columns["label"][right]
    for i, j in near[agreed & (one != other) & (one >= 0) & (other >= 0) & (exact[left] != exact[right])].tolist():
        found.conflicts += 1
        if len(found.conflict_pairs) < CASES:
            found.conflict_pairs.append((positions[i], positions[j]))


def find_alike(compared: Compared, measures: Measures | None) -> tuple[Groups, Groups]:
    """The exact groups and the near ones of all records that were added."""
    columns = compared.join()
    if not columns:
        return Groups("exact"), Groups("near")
    exact = exact_groups(columns)
    found = groups_of("exact", exact, compared, columns, measures, exact)
    if measures is None or "measured" not in columns:
        return found, Groups("near")
    return found, groups_of("near", near_groups(columns, measures), compared, columns, measures, exact)
