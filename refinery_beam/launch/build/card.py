"""The card of an instance, README.md, from a prepared recipe and a collected job."""

from __future__ import annotations

import math
from collections.abc import Sequence

from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.launch.prepare import Prepared
from refinery_beam.planning.nodes import OutputPlan
from refinery_beam.plugins.base import Encoding
from refinery_beam.recipe.yaml.write import to_yaml
from refinery_beam.record.columns import arrow_schema, features
from refinery_beam.records import ShardRow
from refinery_beam.reporting.card import CardFacts, Stored, card_head, render_card

MAX_CLASS_NAMES = 10_000
"""Labels beyond it stay text in the `datasets` library: a card is read by people, and by a library that reads it whole."""


def card_text(facts: CardFacts) -> str:
    """The text of README.md."""
    return render_card(facts, head=to_yaml(card_head(facts)))


def card_facts(prepared: Prepared, collected: Collected, logical_digest: str) -> CardFacts:
    """The facts of the card."""
    plan, output = prepared.plan, prepared.plan.output
    encoding = prepared.plugin.encoding(output.encoding) if output.content_field is not None else None
    declared = dict(output.fields)
    labels = sorted({label for counts in collected.classes.values() for label in counts if label})
    label = plan.label_field if plan.label_field in declared else ""
    named = label and declared[label].dtype == "str" and declared[label].shape is None and 0 < len(labels) <= MAX_CLASS_NAMES
    deferred = {step.name: step.statistics or "" for chain in plan.chains.values() for step in chain.deferred}
    return CardFacts(
        sources=[source.name for source in plan.sources],
        noun=prepared.plugin.kind.noun,
        splits=_stored(collected.shards),
        classes=len(labels),
        fields=_fields(output, encoding),
        features=features(output, encoding, {label: labels} if named else None),
        content=output.content_field or "",
        pixels=_pixels(output, encoding),
        label=label,
        recipe_hash=prepared.key.recipe_hash,
        input_hash=prepared.key.input_hash,
        seed=prepared.key.seed,
        logical_digest=logical_digest,
        sample=_stored(collected.sample),
        sinks={step.name: len(collected.sinks[step.name]) for step in plan.sinks},
        deferred=sorted(deferred.items()),
    )


def _stored(shards: Sequence[ShardRow]) -> dict[str, Stored]:
    """How much the shards of each split hold."""
    found: dict[str, Stored] = {}
    for row in shards:
        before = found.get(row.split, Stored(0, 0))
        found[row.split] = Stored(before.records + row.records, before.bytes + row.bytes)
    return found


def _fields(output: OutputPlan, encoding: Encoding | None) -> list[tuple[str, str, str]]:
    """(name, type, how it is stored) of every column."""
    declared = dict(output.fields)
    found = []
    for column in arrow_schema(output, encoding):
        type = declared.get(column.name)
        shape = "" if type is None or type.shape is None else str(["?" if n is None else n for n in type.shape]).replace("'", "")
        stored = str(column.type)
        if column.name == output.content_field:
            stored = f"{output.encoding}: {stored}"
        found.append((column.name, ("str" if type is None else type.dtype) + shape, f"`{stored}`"))
    return found


def _pixels(output: OutputPlan, encoding: Encoding | None) -> tuple[str, list[int]] | None:
    """dtype and shape of stored content whose cells are the raw bytes of an array of one shape."""
    if encoding is None or output.content_field is None:
        return None
    import numpy as np
    import pyarrow as pa

    declared = dict(output.fields)[output.content_field]
    sizes = [n for n in declared.shape or () if n is not None]
    column = arrow_schema(output, encoding).field(output.content_field).type
    if len(sizes) != len(declared.shape or ()) or not pa.types.is_fixed_size_binary(column):
        return None
    if np.dtype(declared.dtype).itemsize * math.prod(sizes) != column.byte_width:
        return None
    return declared.dtype, sizes
