"""Index entries -> refs: each record's metadata, group and, where the index alone decides it, split. Streams; see `sorting`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from refinery_beam.errors import DataError, display
from refinery_beam.identity import canonical_bytes, digest
from refinery_beam.planning.nodes import FieldStep, Plan
from refinery_beam.planning.splits.forest import find, union
from refinery_beam.planning.splits.strata import divide
from refinery_beam.plugins.base import BadRecord, BoundOp, FeaturizeOp, Plugin
from refinery_beam.records import Ref, field_value, known_fields, read_fields, write_fields
from refinery_beam.sorting import Again, Sorter

if TYPE_CHECKING:
    from refinery_beam.index import Index


def make_refs(index: Index, plan: Plan, plugin: Plugin) -> tuple[Iterable[Ref], bool]:
    """The refs of an index, and whether some group may have more than one record. They can be read any number of times.

    A split never divides a group: the records with one value of `group_by`, the records with one content (identical files), or
    everything connected through either. Without both rules a record is its own group. Keys of groups come from values and contents,
    never from positions, so a group keeps its key when others come or go; a group joined through both rules has the smallest key of its
    parts. Where no step comes between the index and the split (`Plan.split_from_index`), refs have their split.
    """
    split, scratch = plan.split, index.scratch
    refs: Iterable[Ref] = Again(partial(undivided_refs, index, plan, plugin))
    if split.group_by is not None and split.keep_duplicates_together:
        refs = join_groups(refs, scratch=scratch)
    grouped = split.group_by is not None or (split.keep_duplicates_together and index.repeats.records > 0)
    if plan.split_from_index:
        if grouped:
            refs = _sorted(refs, scratch)
        refs = divide(refs, plan, grouped=grouped, scratch=scratch)
    return refs, grouped


def join_groups(refs: Iterable[Ref], *, scratch: str = "") -> Iterable[Ref]:
    """Refs grouped by value -> the same refs grouped by everything that is connected through values and contents.

    Keeps only the values in memory that share a content with another value. The others are joined by sorting.
    """
    by_content: Sorter[tuple[bytes, bytes]] = Sorter(key=tuple, make=tuple, folder=scratch)
    by_value: Sorter[tuple[bytes, bytes]] = Sorter(key=tuple, make=tuple, folder=scratch)
    for ref in refs:
        content = content_group(ref.digest)
        by_content.add((content, ref.group))
        by_value.add((ref.group, content))
    bridges = Bridges()
    last = (b"", b"")
    for content, value in by_content:
        if content == last[0] and value != last[1]:
            bridges.join(last[1], value)
        last = (content, value)
    for value, content in _least(by_value):
        bridges.lower(value, content)
    members = _sorted(refs, scratch)
    return Again(partial(_joined, members, by_value, bridges))


class Bridges:
    """Connected values, and the smallest key of each component. Values that nothing connects are not in it."""

    def __init__(self) -> None:
        self._parent: dict[bytes, bytes] = {}
        self._key: dict[bytes, bytes] = {}

    def join(self, one: bytes, two: bytes) -> None:
        """Connect two values."""
        union(self._parent, one, two)

    def lower(self, value: bytes, content: bytes) -> None:
        """Set the smallest content of a value, once all values are joined."""
        if value in self._parent:
            root = find(self._parent, value)
            self._key[root] = min(self._key.get(root, root), content)

    def key(self, value: bytes, content: bytes) -> bytes:
        """The group of a value whose smallest content is `content`."""
        return self._key[find(self._parent, value)] if value in self._parent else min(value, content)


def content_group(sha: bytes) -> bytes:
    """The key of the group of one content."""
    return digest("group-content", sha)


def _least(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The first pair of each value, of pairs sorted by value and content."""
    last = None
    for value, content in pairs:
        if value != last:
            last = value
            yield value, content


def _joined(members: Iterable[Ref], by_value: Iterable[tuple[bytes, bytes]], bridges: Bridges) -> Iterator[Ref]:
    """Both come in the order of the value, and have the same values."""
    least = _least(by_value)
    value, group = b"", b""
    for ref in members:
        if ref.group != value:
            value, content = next(least)
            group = bridges.key(value, content)
        yield ref._replace(group=group)


def _sorted(refs: Iterable[Ref], scratch: str) -> Sorter[Ref]:
    found = Sorter(key=lambda ref: (ref.group, ref.key), make=Ref._make, folder=scratch)
    for ref in refs:
        found.add(ref)
    return found


def undivided_refs(index: Index, plan: Plan, plugin: Plugin) -> Iterator[Ref]:
    """The refs of an index in the order of their keys, before any split."""
    steps = _metadata_steps(plan, plugin)
    split = plan.split
    for entry in index.entries:
        ref = Ref(
            record_id=entry.record_id,
            key=entry.key,
            source=entry.source,
            path=entry.path,
            size=entry.size,
            digest=entry.digest,
            label=entry.label,
            partition=entry.partition or "",
            group=b"",
            split="",
            fields=write_fields(entry.fields) if entry.fields else "",
            lineage="",
            kind=index.kind,
        )
        ref = _featurized(ref, steps, plan, plugin)
        if split.group_by is not None:
            group = _value_group(ref, split.group_by, plan.label_field)
        else:
            group = content_group(entry.digest) if split.keep_duplicates_together else entry.key
        yield ref._replace(group=group)


def _value_group(ref: Ref, name: str, label_field: str) -> bytes:
    value = field_value(ref, name, label_field)
    if value is None:
        raise DataError(
            f"{ref.record_id} has no value for {name!r}, by which splits are grouped", code="group-missing", at=ref.record_id, value=None
        )
    return digest("group-field", canonical_bytes(value))


def _metadata_steps(plan: Plan, plugin: Plugin) -> list[tuple[FieldStep, BoundOp[FeaturizeOp]]]:
    return [(step, plugin.bind(step, FeaturizeOp)) for step in plan.fields if not step.needs_pixels and not step.fitted]


def _featurized(ref: Ref, steps: Sequence[tuple[FieldStep, BoundOp[FeaturizeOp]]], plan: Plan, plugin: Plugin) -> Ref:
    """The ref with the metadata fields that featurizations make. Raises DataError for a record that one of them cannot take."""
    if not steps:
        return ref
    made: dict[str, Any] = {}
    known = known_fields(ref, plan.label_field)
    for step, bound in steps:
        try:
            with plugin.named(ref.record_id):
                value = bound.call(bound.op.featurize, [known.get(name) for name in step.inputs], bound.params)
        except BadRecord as error:
            raise DataError(
                f"{step.name!r} cannot take {display(ref.record_id)}: {error.detail}",
                code=error.reason,
                at=ref.record_id,
                value=error.detail,
                rule="a featurization of metadata takes every record: its field is known before splits are made",
                remedy=f"mend or remove the file, or remove {step.name!r}",
            ) from error
        made[step.field] = known[step.field] = value
    return ref._replace(fields=write_fields({**read_fields(ref), **made}))
