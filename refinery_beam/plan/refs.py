"""Index entries -> references: each record's group, and the metadata featurizations that splits and filters may look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from refinery_beam.errors import DataError
from refinery_beam.identity import canonical_bytes, digest, record_key
from refinery_beam.plan.nodes import FieldStep, Plan, SplitPlan
from refinery_beam.plugins.base import FeaturizeOp, Plugin
from refinery_beam.records import Ref, write_fields


def make_refs(entries: Sequence[Any], plan: Plan, plugin: Plugin) -> tuple[Iterator[Ref], bool]:
    """The references of index entries, in their order, and whether any group has more than one record."""
    steps = _metadata_steps(plan, plugin)
    fields = [_metadata_fields(entry, steps, plan.label_field) for entry in entries]
    groups = group_keys(entries, fields, plan.split, label_field=plan.label_field)
    grouped = len(set(groups)) < len(groups)

    def refs() -> Iterator[Ref]:
        for entry, group, known in zip(entries, groups, fields, strict=True):
            yield Ref(
                record_id=entry.record_id,
                key=record_key(entry.record_id),
                source=entry.source,
                path=entry.path,
                size=entry.size,
                digest=entry.digest,
                label=entry.label,
                partition=entry.partition or "",
                group=group,
                split="",
                fields=write_fields(known),
                lineage="",
            )

    return refs(), grouped


def group_keys(entries: Sequence[Any], fields: Sequence[dict[str, Any]], split: SplitPlan, *, label_field: str) -> list[bytes]:
    """The 32-byte group key of every entry.

    A group is what a split never divides: the records with one value of `group_by`, the records with one content (identical files), or
    everything connected through either. Without both rules a record is its own group. Keys come from values and contents, never from
    positions, so a group keeps its key when others come or go; a group joined through both rules has the smallest key of its parts.
    """
    own: list[list[bytes]] = []
    for entry, known in zip(entries, fields, strict=True):
        keys = []
        if split.group_by is not None:
            value = _value(entry, known, split.group_by, label_field)
            if value is None:
                raise DataError(
                    f"{entry.record_id} has no value for {split.group_by!r}, by which splits are grouped",
                    code="group-missing",
                    place=entry.record_id,
                    value=None,
                    rule="with Splits.group_by every record has the field",
                    remedy="fill the column, or drop group_by",
                )
            keys.append(digest("group-field", canonical_bytes(value)))
        if split.keep_duplicates_together:
            keys.append(digest("group-content", entry.digest))
        own.append(keys or [record_key(entry.record_id)])
    if split.group_by is None or not split.keep_duplicates_together:
        return [keys[0] for keys in own]
    return _connected(own)


def _connected(own: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The smallest key reachable from each entry, by union-find over shared keys."""
    parent: dict[bytes, bytes] = {}

    def find(key: bytes) -> bytes:
        root = parent.setdefault(key, key)
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        return root

    for keys in own:
        first = find(keys[0])
        for key in keys[1:]:
            other = find(key)
            low, high = min(first, other), max(first, other)
            parent[high] = low
            first = low
    return [find(keys[0]) for keys in own]


def _metadata_steps(plan: Plan, plugin: Plugin) -> list[tuple[FieldStep, FeaturizeOp, Any]]:
    found = []
    for step in plan.fields:
        op = plugin.ops[step.op]
        if not step.needs_pixels and not step.fitted and isinstance(op, FeaturizeOp):
            found.append((step, op, op.spec.params.model_validate(dict(step.params))))
    return found


def _metadata_fields(entry: Any, steps: Sequence[tuple[FieldStep, FeaturizeOp, Any]], label_field: str) -> dict[str, Any]:
    known: dict[str, Any] = dict(entry.fields or {})
    for step, op, params in steps:
        known[step.field] = op.featurize([_value(entry, known, name, label_field) for name in step.inputs], params)
    return known


def _value(entry: Any, known: dict[str, Any], name: str, label_field: str) -> Any:
    if name == label_field:
        return entry.label
    if name in ("record_id", "path", "partition"):
        return getattr(entry, name)
    return known.get(name)
