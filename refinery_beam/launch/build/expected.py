"""How many rows a plan will about store, and how many of them a shard has: before anything has run, from plan and data alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Protocol

from refinery_beam.planning.generated import GenerateStep, aggressive
from refinery_beam.planning.nodes import OutputPlan, Plan
from refinery_beam.plugins.base import ArrayType, GenerateOp, Plugin

TARGET_SHARDS = 64
MIN_SHARD_BYTES = 16 << 20
MAX_SHARD_BYTES = 256 << 20


class Entry(Protocol):
    """The fields of an index record that this module reads."""

    @property
    def label(self) -> str | None: ...

    @property
    def partition(self) -> str: ...


class Entries(Protocol):
    """The records of an index: counted, and readable any number of times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Entry]: ...


def expected_records(plan: Plan, plugin: Plugin, entries: Entries) -> int:
    """About as many as are stored."""
    return max(1, round(sum(expected_rows(plan, plugin, entries).values())))


def expected_rows(plan: Plan, plugin: Plugin, entries: Entries, *, varied: bool = True) -> dict[str, Fraction]:
    """The rows of each split: records as the ratios say, each multiplied by what generation and, if they are to be `varied`, stored
    augmentation make of it. Ignores filters and bad files.
    """
    copies = any(step.kind != "variants" for step in plan.generation)
    classes = Counter(entry.label for entry in entries if entry.label is not None) if copies else Counter[str]()
    found = {}
    for split, share in _shares(plan, entries).items():
        rows = share
        for step in plan.generation:
            if split in step.splits:
                rows *= _factor(plugin, step, classes)
        for made in aggressive(plan.augmentations):
            if varied and split in made.splits:
                rows *= made.expansion
        found[split] = rows
    return found


def expected_bytes(plan: Plan, plugin: Plugin, entries: Entries, *, source_bytes: int = 0) -> int:
    """About how many bytes the dataset takes before compression."""
    return expected_records(plan, plugin, entries) * _bytes_a_row(plan.output, plugin, source_bytes // max(1, len(entries)))


def _shares(plan: Plan, entries: Entries) -> dict[str, Fraction]:
    split = plan.split
    if split.mode == "partition" or split.applies_to is not None:
        given: Mapping[str, int] = Counter(entry.partition for entry in entries)
    elif split.mode == "ratios":
        given = {"": len(entries)}
    else:
        return {name: Fraction(len(entries), len(split.splits)) for name in split.splits}
    divided = given.get(split.applies_to or "", 0)
    found = {name: Fraction(n) for name, n in given.items() if name in split.splits}
    return found | {name: divided * Fraction(ratio) for name, ratio in split.ratios}


def _factor(plugin: Plugin, step: GenerateStep, classes: Mapping[str, int]) -> Fraction:
    """How many records come out of a generation for one that goes in."""
    bound = plugin.bind(step, GenerateOp)
    kept = 0 if step.replace else 1
    with plugin.named():
        if step.kind == "variants":
            return Fraction(kept + len(bound.call(bound.op.generated, bound.params)))
        if not classes:
            return Fraction(kept)
        extra = sum(bound.call(bound.op.extra, count, max(classes.values()), bound.params) for count in classes.values())
    return kept + Fraction(extra, sum(classes.values()))


def shard_records(output: OutputPlan, plugin: Plugin, records: int, *, average_bytes: int) -> int:
    """Records a shard: as the recipe says, else so many that a shard has a sixty-fourth of the data, within 16 and 256 MiB.

    `records` is how many rows to expect, `average_bytes` the size of a source file.

    Follows from the data alone, never from workers: the same input gives the same shards everywhere.
    """
    if output.shard_records:
        return output.shard_records
    a_row = max(1, _bytes_a_row(output, plugin, average_bytes))
    target = output.shard_bytes or min(MAX_SHARD_BYTES, max(MIN_SHARD_BYTES, a_row * records // TARGET_SHARDS))
    return max(1, target // a_row)


def _bytes_a_row(output: OutputPlan, plugin: Plugin, source_bytes: int) -> int:
    fields = dict(output.fields)
    small = 64 * (len(fields) + 1)
    if output.content_field is None:
        return small
    declared = fields[output.content_field]
    return small + plugin.encoding(output.encoding).estimate(ArrayType(declared.dtype, declared.shape or ()), source_bytes)
