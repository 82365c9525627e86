"""What `diff` gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refinery_beam.inspection.compare import RecordChange
from refinery_beam.inspection.values import ValueChange
from refinery_beam.launch.html_table import html_table
from refinery_beam.launch.run import CONTRACT
from refinery_beam.reading.instance import Instance

WORDS = {
    "added": "files added",
    "removed": "files removed",
    "renamed": "files renamed",
    "changed": "files changed",
    "relabelled": "records relabelled",
    "moved": "rows moved to another split",
    "gained": "rows gained of files that are in both",
    "lost": "rows lost of files that are in both",
    "pixels": "rows with other content, of equal files by equal steps",
    "fields": "rows with other fields",
}
"""What kinds of differences are called, of several."""


def counted(count: int, words: str) -> str:
    """A number with what it counts.

    >>> counted(1, "files added"), counted(1_200, "fields of the recipe")
    ('1 file added', '1,200 fields of the recipe')
    """
    noun, _, rest = words.partition(" ")
    return f"{count:,} {noun if count != 1 else noun.removesuffix('s')}{' ' + rest if rest else ''}"


def telling(changes: Sequence[ValueChange]) -> Sequence[ValueChange]:
    """Of the numbers that differ those that say something: numbers inside of lists, as the exact sums of channels, are what the others were
    made of.

    >>> telling([ValueChange("normalize.channels[0].sum", 1, 2), ValueChange("normalize.mean", [1.5], [2.5])])
    [ValueChange(at='normalize.mean', a=[1.5], b=[2.5])]
    """
    return [change for change in changes if "[" not in change.at] or changes


@dataclass(frozen=True, kw_only=True)
class CountChange:
    """Records of a split on each side, or of one label in it; None where the split is not there."""

    split: str
    label: str | None
    a: int | None
    b: int | None


@dataclass(frozen=True, kw_only=True)
class RecordDiff:
    """One kind of difference: how many records, and the first of them in the order of ids."""

    total: int
    first: tuple[RecordChange, ...]


class Moved(NamedTuple):
    """How far one thing that is known of all records moved: `what`, its mean on each side ('' for words), and the distance in words."""

    what: str
    a: str
    b: str
    by: str


MOST_MOVED = 12
"""Facts that are said to have moved: those that moved farthest by their means."""


@dataclass(frozen=True, kw_only=True)
class DiffResult:
    """What differs between `a` and `b`; true where nothing does.

    `recipe` are the fields of the effective recipes that differ, without where data lies, and `identity` what else decides bytes (versions
    of ops, codecs, packages). `counts` has a row for each split, and for each label whose count differs. `records` are differences of them
    by kind (`added`, `removed`, `renamed`, `changed`, `relabelled`, `moved`, `gained`, `lost`, `pixels`, `fields`); empty where one of
    the two has no instance. `through_steps` counts rows of equal files whose content differs because the steps do. `statistics` are the
    fitted numbers that differ, and `drift` is what `drift` says of the two: how far labels, channels and facts of all records moved.
    """

    a: str
    b: str
    recipe: tuple[ValueChange, ...] = ()
    identity: tuple[ValueChange, ...] = ()
    counts: tuple[CountChange, ...] = ()
    records: Mapping[str, RecordDiff] = field(default_factory=dict)
    through_steps: int = 0
    content_compared: bool = False
    statistics: tuple[ValueChange, ...] = ()
    drift: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    instances: tuple[Instance, Instance] | None = field(default=None, repr=False, compare=False)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        changed = self.recipe or self.identity or self.statistics or self.through_steps
        return not changed and not any(one.total for one in self.records.values()) and all(c.a == c.b for c in self.counts)

    def __bool__(self) -> bool:
        return self.same

    @property
    def moved(self) -> tuple[Moved, ...]:
        """What moved of all splits together: labels, texts and channels, then the facts that moved farthest."""
        return tuple(_moved(self.drift["splits"]["all"])) if self.drift is not None else ()

    def to_dict(self) -> dict[str, Any]:
        """The object `diff --json` prints (contract 1)."""
        return {
            "contract": CONTRACT,
            "status": "same" if self.same else "different",
            "a": self.a,
            "b": self.b,
            "recipe": [_value(change) for change in self.recipe],
            "identity": [_value(change) for change in self.identity],
            "counts": [{"split": c.split, "label": c.label, "a": c.a, "b": c.b} for c in self.counts],
            "records": {
                kind: {"total": found.total, "first": [_record(change) for change in found.first]} for kind, found in self.records.items()
            },
            "through_steps": self.through_steps,
            "content_compared": self.content_compared,
            "statistics": [_value(change) for change in self.statistics],
            "drift": dict(self.drift) if self.drift is not None else None,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        if self.same:
            return "nothing differs"
        said = [counted(len(self.recipe), "fields of the recipe")] if self.recipe else []
        said += [counted(found.total, WORDS[kind]) for kind, found in self.records.items() if found.total]
        said += [counted(self.through_steps, "rows with other content through other steps")] if self.through_steps else []
        said += [counted(len(self.statistics), "numbers of fitted statistics")] if self.statistics else []
        said += [counted(len(self.identity), "versions")] if self.identity else []
        return "different: " + ", ".join(said or ["counts"])

    def _repr_html_(self) -> str:
        parts = [
            html_table((name, self.a, self.b), changes)
            for name, changes in (("recipe", self.recipe), ("statistics", self.statistics))
            if changes
        ]
        if self.moved:
            parts.append(html_table(("drift", "a", "b", "moved by"), self.moved))
        for kind, found in self.records.items():
            if found.total:
                rows = [(c.a, c.b, c.split_a, c.split_b, c.label_a, c.label_b) for c in found.first]
                head = ("a", "b", "split a", "split b", "label a", "label b")
                parts.append(html_table(head, rows, f"{WORDS[kind]}: {found.total:,}"))
        return f"<div>{''.join(parts)}{html_table((), (), str(self))}</div>"


def _moved(found: Mapping[str, Any]) -> Iterator[Moved]:
    words = [("labels", found["labels"]), *found["values"].items()]
    for name, shares in words:
        if shares["l_infinity"] not in (None, "0.0000"):
            by = f"shares differ by at most {shares['l_infinity']}, Jensen-Shannon distance {shares['jensen_shannon']}"
            yield Moved(name, "", "", by)
    for name, one in found["channels"].items():
        if float(one["wasserstein"]):
            yield _by_mean(f"channel {name}", one)
    farthest = [(-_relative(one), name, one) for name, one in found["facts"].items() if float(one["wasserstein"])]
    for _, name, one in sorted(farthest, key=lambda moved: moved[:2])[:MOST_MOVED]:
        yield _by_mean(name, one)


def _by_mean(what: str, one: Mapping[str, Any]) -> Moved:
    a, b = one["mean"]
    return Moved(what, a, b, one["wasserstein"])


def _relative(moved: Mapping[str, Any]) -> float:
    """How far a fact moved, by the greater of its means. Only for the order of lines."""
    return float(moved["wasserstein"]) / max(1e-9, *(abs(float(mean)) for mean in moved["mean"]))


def _value(change: ValueChange) -> dict[str, Any]:
    return {"at": change.at, "a": change.a, "b": change.b}


def _record(change: RecordChange) -> dict[str, Any]:
    said = {
        "a": change.a,
        "b": change.b,
        "label_a": change.label_a,
        "label_b": change.label_b,
        "split_a": change.split_a,
        "split_b": change.split_b,
    }
    return {name: value or None for name, value in said.items()}
