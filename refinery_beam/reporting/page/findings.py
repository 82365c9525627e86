"""The findings of an instance as the page shows them: quality, leaks, conflicting labels and shortcuts, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from refinery_beam.reporting.page import bounds
from refinery_beam.reporting.page.model import PageFacts, Record
from refinery_beam.reporting.page.words import plain, plural, share

QUALITY = {
    "dark": "Dark pictures",
    "bright": "Bright pictures",
    "blurry": "Blurry pictures",
    "low_information": "Pictures with little in them",
    "odd_size": "Pictures of an odd size",
    "odd_aspect": "Pictures of an odd aspect",
    "grey": "Grey pictures among coloured ones",
}


CODES = ("exact-leak", "near-leak", "exact-label-conflict", "near-label-conflict", "shortcut", "quality")
"""Warnings that say in words what the page shows."""


class Finding(NamedTuple):
    """A finding: `anchor` is its name in addresses, `found` and `unit` say how much was found; `groups` are records shown together, with
    what is said of each (''), `more` the number of groups that are not shown.
    """

    anchor: str
    title: str
    grave: bool
    found: int
    unit: str
    said: str
    why: str
    splits: Sequence[tuple[str, int]]
    groups: Sequence[Sequence[tuple[Record, str]]]
    more: int


class Shortcut(NamedTuple):
    """A property that tells the label: the sentence, the numbers, and the first rows of (value, label, records)."""

    title: str
    warned: bool
    sentence: str
    numbers: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, str, int]]


def findings_view(facts: PageFacts) -> dict[str, Any]:
    """The variable `findings` of the template."""
    found = facts.findings
    quality = [one for one in _quality(found, list(facts.report.counts)) if one.found]
    leaks = [one for one in (*_duplicates(found), *_conflicts(found)) if one.found]
    shortcuts = list(_shortcuts(found))
    return {
        "there": bool(found),
        "quality": quality,
        "leaks": leaks,
        "shortcuts": shortcuts,
        "codes": CODES if found else (),
        "warned": [one for one in shortcuts if one.warned],
        "grave": [one for one in (*leaks, *quality) if one.grave],
    }


def shown_records(findings: Mapping[str, Any]) -> list[list[Record]]:
    """The records of which a page shows pictures beside each of its findings."""
    found = (*_duplicates(findings), *_conflicts(findings), *_quality(findings, ()))
    return [list(dict.fromkeys(record for group in one.groups for record, _ in group)) for one in found]


def _quality(found: Mapping[str, Any], splits: Sequence[str]) -> Iterator[Finding]:
    total = found.get("records", 0)
    for name, entry in sorted(found.get("quality", {}).items(), key=lambda pair: (-pair[1].get("records", 0), pair[0])):
        if not entry.get("of_interest", True):
            continue
        first = entry.get("first", ())
        count = entry.get("records", 0)
        yield Finding(
            anchor=f"quality-{name}",
            title=QUALITY.get(name, plain(name)),
            grave=False,
            found=count,
            unit=share(count, total),
            said="; ".join(said for said in (f"They {entry['what']}" if entry.get("what") else "", str(entry.get("rule", ""))) if said),
            why=f"{_sentence(str(entry.get('remedy', '')))}." if entry.get("remedy") else "",
            splits=sorted(entry.get("splits", {}).items(), key=lambda pair: (splits.index(pair[0]) if pair[0] in splits else -1, pair[0])),
            groups=[[(_record(row), str(row.get("value", "")))] for row in first[: bounds.EXAMPLES]],
            more=count - min(len(first), bounds.EXAMPLES),
        )


def _duplicates(found: Mapping[str, Any]) -> Iterator[Finding]:
    for name, word in (("exact", "Identical files"), ("near", "Near duplicates")):
        entry = found.get("duplicates", {}).get(name)
        if not entry:
            continue
        across = entry.get("across", {})
        # Those across splits come first; both lists hold the first ones only.
        groups = [*entry.get("leaks", ()), *(group for group in entry.get("first", ()) if group not in entry.get("leaks", ()))]
        leaks = entry.get("crossing", sum(across.values()))
        total = entry.get("groups", 0)
        said = [f"and {plural(total - leaks, 'group')} within one split"] if 0 < leaks < total else []
        said += [f"at most {entry['distance']} of 64 bits of the perceptual hash apart"] if "distance" in entry else []
        yield Finding(
            anchor=f"duplicates-{name}",
            title=f"{word} across splits" if leaks else word,
            grave=bool(leaks),
            found=leaks or total,
            unit=f"{'group' if (leaks or total) == 1 else 'groups'}, {plural(entry.get('records', 0), 'record')} in all",
            said="; ".join(said),
            why="What a model has learnt by heart in train scores on test without being understood." if leaks else "",
            splits=[(" and ".join(pair.split(",")), n) for pair, n in sorted(across.items())],
            groups=[[(_record(row), "") for row in group[: bounds.GROUP]] for group in groups[: bounds.EXAMPLES]],
            more=total - min(len(groups), bounds.EXAMPLES),
        )


def _conflicts(found: Mapping[str, Any]) -> Iterator[Finding]:
    for name, word in (("exact", "Identical files"), ("near", "Near duplicates")):
        entry = found.get("label_conflicts", {}).get(name)
        if not entry:
            continue
        pairs = entry.get("first", ())
        count = entry.get("pairs", 0)
        yield Finding(
            anchor=f"conflicts-{name}",
            title=f"{word} with different labels",
            grave=True,
            found=count,
            unit="pair" if count == 1 else "pairs",
            said="",
            why="One of the two labels is wrong, or the picture shows both.",
            splits=(),
            groups=[[(_record(row), "") for row in pair[:2]] for pair in pairs[: bounds.EXAMPLES]],
            more=count - min(len(pairs), bounds.EXAMPLES),
        )


def _shortcuts(found: Mapping[str, Any]) -> Iterator[Shortcut]:
    rows: Sequence[Mapping[str, Any]] = found.get("shortcuts", ())
    for entry in sorted(rows, key=lambda one: not one.get("warned"))[: bounds.SHORTCUTS]:
        tested, measured_on = entry.get("tested"), entry.get("measured_on")
        where = f"right of {tested:,} in {plain(measured_on)}" if tested and measured_on else "right"
        numbers = [("Cramér's V", str(entry.get("cramers_v") or "-")), ("values", f"{entry.get('values', 0):,}")]
        if entry.get("accuracy") is not None:
            numbers = [
                (where, _percent(entry["accuracy"])),
                ("by the commonest label", _percent(entry.get("most_frequent"))),
                *numbers,
            ]
        yield Shortcut(
            title=_sentence(str(entry.get("words") or entry.get("property", ""))),
            warned=bool(entry.get("warned")),
            sentence=str(entry.get("sentence", "")),
            numbers=numbers,
            rows=[(str(value), str(label), int(n)) for value, label, n in list(entry.get("table", ()))[: bounds.VALUES]],
        )


def _percent(decimal: str | None) -> str:
    """A share of four decimals in percent.

    >>> _percent("0.0467"), _percent("1.0000"), _percent(None)
    ('4.7%', '100.0%', '-')
    """
    return share(int(decimal.replace(".", "")), 10_000) if decimal else "-"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _record(row: Mapping[str, Any]) -> Record:
    return Record(str(row.get("record_id", "")), str(row.get("split") or ""), str(row.get("label") or ""))
