"""Makes the plain facts of a report from a prepared recipe and a collected job."""

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
from refinery_beam.reporting import ReportFacts
from refinery_beam.reporting.contracts import contracts_section
from refinery_beam.reporting.findings import findings_section
from refinery_beam.reporting.sample_and_sinks import sample_and_sinks_section


def report_facts(prepared: Prepared, collected: Collected, logical_digest: str, findings: Mapping[str, Any]) -> ReportFacts:
    """The facts of report.md. `findings` is the document of findings, {} without facts."""
    plan, index = prepared.plan, prepared.index
    chain = next(iter(plan.chains.values()))
    return ReportFacts(
        plugin=f"{plan.plugin} {plan.plugin_version}",
        recipe_hash=prepared.key.recipe_hash,
        input_hash=prepared.key.input_hash,
        seed=prepared.key.seed,
        logical_digest=logical_digest,
        sources=[(s.name, s.type, index.facts.files[i]) for i, s in enumerate(index.sources)],
        records_in=collected.records_in,
        counts=collected.counts,
        classes=collected.classes,
        unlabeled=plan.unlabeled_splits,
        noun=prepared.plugin.kind.noun,
        stored=str(chain.stored),
        encoding=plan.output.encoding,
        operations=operations(plan),
        deferred=sorted({s.name for c in plan.chains.values() for s in c.deferred}),
        fitted={s.name: collected.fitted[s.name] for s in plan.fitted_steps()},
        ledger=collected.ledger,
        warnings=collected.warnings,
        split_rule=split_rule(plan),
        split_totals=split_totals(plan, collected.step_counts.tally),
        generated=collected.step_counts.generated,
        replaced=collected.step_counts.replaced,
        sections=[*_sections(prepared, collected), findings_section(findings)],
    )


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


def _sections(prepared: Prepared, collected: Collected) -> list[str]:
    """The report's sections about contracts, the sample and sinks."""
    entries = optional_entries(prepared, collected)
    messages = [o.verdict.message for o in collected.outcomes]
    return [contracts_section(entries.get("expectations", ()), messages), sample_and_sinks_section(entries)]


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
