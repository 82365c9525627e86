"""What the facts say of a dataset, in one document: facts/findings.json. And every record that is flagged: facts/flagged.parquet.

The parts of the facts are read three times: for medians, for counts, and for the records that are named. Memory holds what `gather` says,
and no more than a bounded number of cases of each finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refinery_beam.errors import display
from refinery_beam.facts.alike import Compared, Groups, find_alike
from refinery_beam.facts.flags import Flag, Medians, rule_text
from refinery_beam.facts.gather import COUNTED, Labels, Part, Parts, Property
from refinery_beam.facts.shortcuts import Shortcut, as_document, shortcut
from refinery_beam.plugins.fact_columns import scales, shown
from refinery_beam.plugins.measures import Measures, Outlier, Rule

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""The version of the document's form."""

NAMED = 5
"""Cases that a warning names."""

NAMED_MEMBERS = 3
"""Members of each that a warning names."""

Named = tuple[str, str, str | None]
"""A record that is named: its id, its split, its label."""


@dataclass
class Findings:
    """What was found. ``names`` are the records that are named, by position; ``skipped`` are properties with too many values to count."""

    records: int
    noun: str
    flags: list[Flag]
    exact: Groups
    near: Groups
    distance: int
    compared: int
    shortcuts: list[Shortcut]
    skipped: list[str]
    labels: Sequence[str]
    scales: dict[str, int]
    names: dict[int, Named] = field(default_factory=dict)

    def quality(self) -> list[Flag]:
        """The findings about single records that say anything."""
        return [flag for flag in self.flags if flag.of_interest]


def find(
    parts: Parts,
    *,
    measures: Measures | None,
    records: int,
    noun: str,
    splits: Sequence[str],
    labels_from_folders: bool,
    keep: Callable[[pa.Table], None],
) -> Findings:
    """Everything that the facts say. `records` is how many stand for their files at most. `keep` gets the rows of facts/flagged.parquet.

    `splits` are those of the dataset in their order: shortcuts are fitted on ``train`` (or the first one) and tried on ``test`` (or the
    last other one). Where `labels_from_folders`, the folder is no shortcut but where labels come from.
    """
    outliers = measures.outliers if measures is not None else ()
    rules: list[Rule | Outlier] = [*(measures.rules if measures is not None else ()), *outliers]
    flags = [Flag(rule) for rule in rules]
    medians, labels = Medians(outliers), Labels()
    compared = Compared(measures, records=records)
    words = dict(measures.properties) if measures is not None else {}
    words["source"] = "the source"
    if not labels_from_folders:
        words["folder"] = "the folder"
    of_some = measures.properties_of_some if measures is not None else ()
    properties = [Property(name, said, of_some=name in of_some) for name, said in words.items()]
    total, units = 0, dict[str, int]()
    for part in parts():
        medians.add(part)
        total += len(part.table)
        units = units or scales(part.table.schema)
    for flag in flags:
        if isinstance(flag.rule, Outlier):
            flag.median = medians.of(flag.rule.fact)
    for part in parts():
        numbers = labels.of(part.table.column("label"))
        compared.add(part, numbers)
        for flag in flags:
            flag.count(part, numbers)
        for one in properties:
            one.add(part, numbers)
    train, test = _fitted_on(splits), _measured_on(splits)
    known = [
        shortcut(p.name, p.words, p.cells, labels.names, train=train, test=test) for p in properties if p.cells is not None and p.cells
    ]
    exact, near = find_alike(compared, measures)
    found = Findings(
        records=total,
        noun=noun,
        flags=flags,
        exact=exact,
        near=near,
        distance=measures.near_distance if measures is not None else 0,
        compared=compared.records,
        shortcuts=[one for one in known if one is not None],
        skipped=[p.name for p in properties if p.cells is None and p.overfull],
        labels=labels.names,
        scales=units,
    )
    wanted = frozenset([*exact.named(), *near.named(), *(position for flag in flags for position, _ in flag.first())])
    for part in parts():
        _name(found, part, wanted)
        keep(_flagged(found, part))
    return found


def _fitted_on(splits: Sequence[str]) -> str:
    return "train" if "train" in splits else next(iter(splits), "")


def _measured_on(splits: Sequence[str]) -> str:
    others = [split for split in splits if split != _fitted_on(splits)]
    return "test" if "test" in others else others[-1] if others else ""


def _name(found: Findings, part: Part, wanted: frozenset[int]) -> None:
    here = [position for position in range(part.start, part.start + len(part.table)) if position in wanted]
    if here:
        taken = part.table.select(["record_id", "label"]).take([position - part.start for position in here])
        for position, record_id, label in zip(here, taken.column(0).to_pylist(), taken.column(1).to_pylist(), strict=True):
            found.names[position] = (record_id, part.split, label)


def flagged_schema() -> pa.Schema:
    """The columns of facts/flagged.parquet: the finding, the record, the fact that says how much (in its units), and the number of the
    group of duplicates.
    """
    import pyarrow as pa

    words = ("finding", "split", "label", "record_id")
    return pa.schema([*(pa.field(name, pa.string()) for name in words), pa.field("value", pa.int64()), pa.field("group", pa.int64())])


def _flagged(found: Findings, part: Part) -> pa.Table:
    """The rows of the flagged records of a part."""
    import pyarrow as pa

    rows: list[tuple[str, int, int | None, int | None]] = []
    for flag in found.quality():
        hit, _, values = flag.flagged(part)
        rows += [(flag.rule.word, i, int(values[i]), None) for i in hit.nonzero()[0].tolist()]
    for word, groups in (("exact_duplicate", found.exact), ("near_duplicate", found.near)):
        if groups.number:
            for i in range(len(part.table)):
                if (group := groups.number.get(part.start + i)) is not None:
                    rows.append((word, i, None, group))
    at = [row[1] for row in rows]
    return pa.table(
        [
            pa.array([row[0] for row in rows], pa.string()),
            pa.array([part.split] * len(rows), pa.string()),
            part.table.column("label").take(at).cast(pa.string()) if at else pa.array([], pa.string()),
            part.table.column("record_id").take(at) if at else pa.array([], pa.string()),
            pa.array([row[2] for row in rows], pa.int64()),
            pa.array([row[3] for row in rows], pa.int64()),
        ],
        schema=flagged_schema(),
    )


# -- the document -----------------------------------------------------------------------------------------------------------------------


def document(found: Findings) -> dict[str, Any]:
    """facts/findings.json."""
    return {
        "version": VERSION,
        "records": found.records,
        "compared": found.compared,
        "quality": {flag.rule.word: _flag(found, flag) for flag in found.flags},
        "duplicates": {"exact": _groups(found, found.exact), "near": {**_groups(found, found.near), "distance": found.distance}},
        "label_conflicts": {kind: _conflicts(found, groups) for kind, groups in (("exact", found.exact), ("near", found.near))},
        "shortcuts": [as_document(one) for one in found.shortcuts],
        "uncounted": found.skipped,
        "warnings": [{"code": code, "message": message} for code, message in warnings(found)],
    }


def _flag(found: Findings, flag: Flag) -> dict[str, Any]:
    rule = flag.rule
    fact = rule.fact if isinstance(rule, Outlier) else rule.order[0]
    scale = found.scales.get(fact, 1)
    return {
        "rule": rule_text(rule, found.scales),
        "what": rule.what,
        "remedy": rule.remedy,
        "source": rule.source,
        "fact": fact,
        "median": None if flag.median is None else shown(flag.median, scale),
        "measured": flag.measured,
        "of_interest": flag.of_interest,
        "records": flag.records,
        "splits": dict(flag.splits),
        "first": [{**_record(found, position), "value": shown(value, scale)} for position, value in flag.first()]
        if flag.of_interest
        else [],
    }


def _groups(found: Findings, groups: Groups) -> dict[str, Any]:
    return {
        "groups": groups.groups,
        "records": groups.records,
        "crossing": groups.crossing,
        "within": dict(groups.within),
        "across": dict(groups.across),
        "leaks": [[_record(found, position) for position in members] for members in groups.leaks],
        "first": [[_record(found, position) for position in members] for members in groups.first],
    }


def _conflicts(found: Findings, groups: Groups) -> dict[str, Any]:
    return {"pairs": groups.conflicts, "first": [[_record(found, a), _record(found, b)] for a, b in groups.conflict_pairs]}


def _record(found: Findings, position: int) -> dict[str, Any]:
    record_id, split, label = found.names[position]
    return {"record_id": record_id, "split": split, "label": label}


# -- warnings ---------------------------------------------------------------------------------------------------------------------------


def warnings(found: Findings) -> list[tuple[str, str]]:
    """What nobody should miss, as (code, message)."""
    said: list[tuple[str, str]] = []
    noun = found.noun
    for kind, groups, what in (("exact", found.exact, "identical files"), ("near", found.near, f"{noun} that look alike")):
        if groups.crossing:
            sized = zip(groups.leaks[:NAMED], groups.leak_sizes, strict=False)
            cases = [_members(found, members, size, splits=True) for members, size in sized]
            text = f"{_count(groups.crossing, 'group')} of {what} in several splits, so that scores count what was learnt by heart: "
            said.append((f"{kind}-leak", f"{text}{_listed(cases, groups.crossing)}. {_KEEP[kind]}"))
        if groups.conflicts and kind == "near":  # identical files with different labels are warned of before anything is decoded
            cases = [_members(found, pair, 2, splits=False) for pair in groups.conflict_pairs[:NAMED]]
            text = f"{_count(groups.conflicts, 'pair')} of {what} have different labels: {_listed(cases, groups.conflicts)}"
            said.append((f"{kind}-label-conflict", text))
    for one in found.shortcuts:
        if one.warned:
            said.append(("shortcut", f"{one.sentence()}. It is not the picture: a model may learn it and nothing else"))
    if flags := found.quality():
        parts = [f"{flag.records:,} {flag.rule.word.replace('_', ' ')}" for flag in flags]
        said.append(("quality", f"of {found.records:,} {noun}: {', '.join(parts)}; facts/findings.json names them"))
    if found.compared < found.records:
        said.append(("compared-part", f"{found.compared:,} of {found.records:,} {noun} were compared with one another for duplicates"))
    if found.skipped:
        said.append(
            (
                "uncounted",
                f"{', '.join(found.skipped)}: more than {COUNTED:,} values and labels, so what it says of labels was not counted",
            )
        )
    return said


_KEEP = {
    "exact": "Splits.keep_duplicates_together: exact keeps them together",
    "near": "Splits.keep_duplicates_together: near keeps them together, Filters drop_duplicates with kind: near keeps one of each",
}


def _members(found: Findings, positions: Sequence[int], size: int, *, splits: bool) -> str:
    """The first members of a group of some `size`."""
    names = [found.names[position] for position in positions[:NAMED_MEMBERS]]
    word = " in " if splits else " is "
    more = f" and {size - len(names):,} more" if size > len(names) else ""
    return (
        ", ".join(f"{display(record_id)!r}{word}{display(split if splits else label or '')!r}" for record_id, split, label in names) + more
    )


def _listed(cases: Sequence[str], count: int) -> str:
    more = f"; and {count - len(cases):,} more" if count > len(cases) else ""
    return "; ".join(cases) + more


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
