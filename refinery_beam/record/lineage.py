"""Makes generated and augmented records again from their lineage: the steps from the parent's file to the record's own content.

A generated record is a ref to its parent's file with a `lineage`: the steps between that file and the record, in order. Entries of
generating ops are applied to the decoded content, before Transformations; entries of augmenting ops after the eager Transformations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from refinery_beam.identity import Stream, canonical_bytes, generated_id, record_key
from refinery_beam.planning.generated import AugmentStep, GenerateStep
from refinery_beam.plugins.base import AugmentOp, BoundOp, Content, GeneratedRecord, GenerateOp, Plugin, Use
from refinery_beam.record.steps import draw
from refinery_beam.records import Ref, read_fields, write_fields

Entry = Mapping[str, Any]


def generated_ref(
    ref: Ref, step: GenerateStep | AugmentStep, replica: str | int, params: Mapping[str, Any], tags: Mapping[str, Any]
) -> Ref:
    """The ref of one generated or augmented record: a new id and key, one more step of lineage, its tags among the fields."""
    record_id = generated_id(ref.record_id, step.name, replica)
    entry = {
        "op": step.op,
        "name": step.name,
        "version": step.version,
        "params": dict(params),
        "seed": step.seed,
        "replica": replica,
    }
    fields = write_fields({**read_fields(ref), **tags}) if tags else ref.fields
    lineage = canonical_bytes([*lineage_of(ref), entry]).decode()
    return ref._replace(record_id=record_id, key=record_key(record_id), fields=fields, lineage=lineage)


def generated_refs(ref: Ref, step: GenerateStep, records: Iterable[GeneratedRecord]) -> Iterator[Ref]:
    """A record, unless the step replaces it, and the records that the op of the step generates of it."""
    if not step.replace:
        yield ref
    for record in records:
        known = {**record.tags, "source_path": ref.path, "seed": step.seed}
        yield generated_ref(ref, step, record.name, record.params, {field: known[word] for word, field in step.fields})


def expanded(ref: Ref, step: AugmentStep) -> Iterator[Ref]:
    """The variants of a record under one stored augmentation."""
    for replica in range(step.expansion):
        yield generated_ref(ref, step, replica, step.params, {})


def lineage_of(ref: Ref) -> list[dict[str, Any]]:
    """The entries of a ref, oldest first; none for a record that is its own file."""
    return json.loads(ref.lineage) if ref.lineage else []


def parents(record_id: str, entries: Sequence[Entry]) -> list[str]:
    """For every entry the id of the record it was applied to.

    >>> parents("a.png#x:1#y:0", [{"name": "x", "replica": 1}, {"name": "y", "replica": 0}])
    ['a.png', 'a.png#x:1']
    """
    found = []
    for entry in reversed(entries):
        record_id = record_id.removesuffix(generated_id("", entry["name"], entry["replica"]))
        found.append(record_id)
    return found[::-1]


def source_record_id(ref: Ref) -> str | None:
    """The id of the parent of a generated or augmented record; None for a record that is its own file."""
    entries = lineage_of(ref)
    return parents(ref.record_id, entries)[-1] if entries else None


def file_record_id(ref: Ref) -> str:
    """The id of the record that is the ref's own file: its first ancestor, or itself."""
    entries = lineage_of(ref)
    return parents(ref.record_id, entries)[0] if entries else ref.record_id


def generated(plugin: Plugin, ref: Ref, content: Content) -> Content:
    """The decoded content of a record, from that of its file. Raises BadRecord, PluginFailed."""
    for entry, parent in _entries(plugin, ref, "Generation"):
        # An entry of a generation holds the values of one generated record, not the parameters of the op.
        op = plugin.ops[entry["op"]]
        assert isinstance(op, GenerateOp)
        bound = BoundOp(entry["name"], op, None)
        content = bound.call(op.apply, content, entry["params"], _stream(entry, parent))
    return content


def augmented(plugin: Plugin, ref: Ref, content: Content) -> tuple[Content, str | None]:
    """The stored content of a record from its transformed one, and its sampled parameters as JSON (None for a record that is not
    augmented). Raises BadRecord, PluginFailed.
    """
    drawn: list[dict[str, Any]] = []
    for entry, parent in _entries(plugin, ref, "Augmentations"):
        bound = plugin.bind(Use(entry["name"], entry["op"], entry["params"]), AugmentOp)
        content, sampled = draw(plugin.kind, bound, content, _stream(entry, parent))
        drawn.append({"name": entry["name"], "op": entry["op"], "version": entry["version"], "sampled": sampled})
    return content, canonical_bytes(drawn).decode() if drawn else None


def is_first_variant(plugin: Plugin, ref: Ref) -> bool:
    """Whether a record stands for its parent where each parent counts once: replica 0 of every augmentation, or none."""
    return all(entry["replica"] == 0 for entry, _ in _entries(plugin, ref, "Augmentations"))


def stands_for_input(plugin: Plugin, ref: Ref) -> bool:
    """Whether a record shows its input file as it is, and is the only one to do so: not generated, and replica 0 of every augmentation."""
    return is_first_variant(plugin, ref) and not any(True for _ in _entries(plugin, ref, "Generation"))


def _entries(plugin: Plugin, ref: Ref, section: str) -> Iterator[tuple[Entry, str]]:
    """The entries of a section's ops, each with the id of the record it was applied to."""
    if not ref.lineage:
        return
    entries = lineage_of(ref)
    for entry, parent in zip(entries, parents(ref.record_id, entries), strict=True):
        if plugin.ops[entry["op"]].spec.section == section:
            yield entry, parent


def _stream(entry: Entry, parent: str) -> Stream:
    return Stream(seed=entry["seed"], op=entry["name"], key=record_key(parent), replica=entry["replica"])
