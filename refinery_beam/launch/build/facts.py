"""What reports say, from a prepared recipe and a collected job: entries of the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.launch.build.collected.contracts import expectations
from refinery_beam.launch.build.collected.sample import sample_entry
from refinery_beam.launch.build.collected.sinks import sinks_entry
from refinery_beam.launch.build.collected.step_counts import split_totals
from refinery_beam.launch.prepare import Prepared
from refinery_beam.planning.explain import split_rule
from refinery_beam.planning.nodes import Plan
from refinery_beam.reporting.card import CardFacts, opening_of


def report_entry(prepared: Prepared, collected: Collected, card: CardFacts) -> dict[str, Any]:
    """The key ``report`` of a manifest: what reports say and no other key states."""
    plan, index = prepared.plan, prepared.index
    words = ("section", "name", "op", "params", "splits")
    return {
        "sources": [{"name": s.name, "type": s.type, "files": index.facts.files[i]} for i, s in enumerate(index.sources)],
        "noun": prepared.plugin.kind.noun,
        "stored": str(next(iter(plan.chains.values())).stored),
        "split_rule": split_rule(plan),
        "unlabeled": list(plan.unlabeled_splits),
        "operations": [dict(zip(words, operation, strict=True)) for operation in operations(plan)],
        "steps": [[*step, records] for step, records in sorted(collected.step_counts.tally.items()) if records],
        "opening": opening_of(card).to_dict(),
        "bytes": {split: stored.bytes for split, stored in card.splits.items()},
        "messages": [outcome.verdict.message for outcome in collected.outcomes],
    }


def optional_entries(prepared: Prepared, collected: Collected) -> dict[str, Any]:
    """The keys ``split_totals``, ``expectations``, ``sample`` and ``sinks`` of a manifest: those that the recipe asks for."""
    plan = prepared.plan
    found: dict[str, Any] = {}
    if totals := split_totals(plan, collected.step_counts.tally):
        found["split_totals"] = totals
    if plan.contracts:
        found["expectations"] = list(expectations(prepared, collected.outcomes))
    if plan.sample is not None:
        found["sample"] = sample_entry(plan.sample, collected.sample)
    if plan.sinks:
        found["sinks"] = sinks_entry(plan, collected.sinks)
    return found


def operations(plan: Plan) -> list[tuple[str, str, str, Mapping[str, Any], Sequence[str]]]:
    """Every op of a plan as (section, name, op, parameters, splits), in the order they run."""
    found: dict[tuple[str, str], tuple[str, str, str, Mapping[str, Any], Sequence[str]]] = {}
    for f in (*plan.pre_filters, *plan.post_filters):
        found.setdefault(("Filters", f.name), ("Filters", f.name, f.op, f.params, f.splits))
    for g in plan.generation:
        found.setdefault(("Generation", g.name), ("Generation", g.name, g.op, g.params, g.splits))
    for chain in plan.chains.values():
        for s in chain.steps:
            found.setdefault(("Transformations", s.name), ("Transformations", s.name, s.op, s.params, s.splits))
    for field in plan.fields:
        found.setdefault(("Featurizations", field.name), ("Featurizations", field.name, field.op, field.params, field.splits))
    for a in plan.augmentations:
        params = {**a.params, "materialization": a.materialization, "expansion": a.expansion}
        found.setdefault(("Augmentations", a.name), ("Augmentations", a.name, a.op, params, a.splits))
    return list(found.values())
