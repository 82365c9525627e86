"""The files beside the shards, and the manifest that lists everything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from refinery_beam import __version__
from refinery_beam.cache import InstanceKey, compute_files
from refinery_beam.cache.manifest import RECIPE_NAME, SELECTION_NAME
from refinery_beam.facts.findings import document, warnings
from refinery_beam.identity import LAW_VERSION
from refinery_beam.launch.build.card import card_facts, card_text
from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.launch.build.collected.sinks import write_sink_tables
from refinery_beam.launch.build.drift import DRIFT, drift_text
from refinery_beam.launch.build.environment import environment
from refinery_beam.launch.build.fact_tables import write_facts
from refinery_beam.launch.build.facts import optional_entries, report_entry
from refinery_beam.launch.build.findings import FINDINGS, find_all, findings_text
from refinery_beam.launch.build.tables import write_input
from refinery_beam.launch.prepare import STORAGE_VERSION, Prepared
from refinery_beam.planning.nodes import FieldStep, Plan, Step
from refinery_beam.recipe import effective_yaml
from refinery_beam.reporting import facts_of_manifest, report_text, write_ledger
from refinery_beam.rows import files_digest, logical_digest


def manifest_body(prepared: Prepared, instance: str, collected: Collected, *, facts: str) -> dict[str, Any]:
    """Write the annexes, the statistics, the tables, the report and the card into the staged instance, a local folder; give the manifest's
    content.

    Shards may lie elsewhere: this uses only the workers' rows about them, and the `facts` of their records.
    """
    plan = prepared.plan
    write_input(instance, prepared.index, collected, facts)
    findings: dict[str, Any] = {}
    if plan.output.facts:
        write_facts(instance, collected, facts, prepared.plugin.kind, seed=plan.seed)
        found = find_all(instance, prepared, collected, facts)
        findings = document(found)
        _write(instance, FINDINGS, findings_text(findings))
        # The index has warned of identical files in declared partitions already.
        known = "exact-leak" if any(code == "partition-leak" for code, _ in collected.warnings) else ""
        collected = replace(collected, warnings=(*collected.warnings, *(w for w in warnings(found) if w[0] != known)))
    _write(instance, RECIPE_NAME, effective_yaml(prepared.recipe, prepared.plugin, locations="symbolic"))
    _write(instance, SELECTION_NAME, prepared.index.selection.as_json().decode())
    fitted: tuple[Step | FieldStep, ...] = (*plan.fitted_steps(), *plan.fitted_fields())
    for step in fitted:
        _write(instance, step.statistics or "", statistics_text(step, collected.fitted[step.name]))
    os.makedirs(os.path.join(instance, "report"), exist_ok=True)
    write_ledger(os.path.join(instance, "report", "ledger.parquet"), collected.ledger)
    shards = [
        {
            "path": s.file,
            "bytes": s.bytes,
            "sha256": s.sha256,
            "split": s.split,
            "shard": s.shard,
            "shards": s.shards,
            "records": s.records,
            "rows_digest": s.rows_digest,
        }
        for s in collected.shards
    ]
    splits = list(plan.split.splits)
    logical = logical_digest(shards, splits)
    card = card_facts(prepared, collected, logical)
    stated = {**_stated(prepared, collected), "logical_digest": logical, "report": report_entry(prepared, collected, card)}
    steps = {step.name: collected.fitted[step.name] for step in plan.fitted_steps()}
    _write(instance, "report/report.md", report_text(facts_of_manifest(stated, ledger=collected.ledger, fitted=steps, findings=findings)))
    _write(instance, DRIFT, drift_text(instance, prepared, collected, facts))
    _write(instance, "README.md", card_text(card))
    write_sink_tables(instance, collected.sinks)
    sample = [{"path": s.file, "bytes": s.bytes, "sha256": s.sha256} for s in collected.sample]
    files = compute_files(instance, shards=[*shards, *sample])
    return {**stated, "files_digest": files_digest(files), "files": files}


def _stated(prepared: Prepared, collected: Collected) -> dict[str, Any]:
    """What a manifest states, without its files and their digests."""
    plan = prepared.plan
    return {
        "contract": 1,
        "refinery_beam": __version__,
        "plugin": {"name": plan.plugin, "version": plan.plugin_version, "sources": {n: dict(o) for n, o in plan.plugin_sources.items()}},
        "recipe_hash": prepared.key.recipe_hash,
        "input_hash": prepared.key.input_hash,
        "seed": prepared.key.seed,
        "recipe_digest": prepared.recipe_digest,
        "op_versions": dict(plan.op_versions),
        "node_keys": plan.node_keys(prepared.key.input_hash),
        "codec_fingerprint": prepared.fingerprint,
        "codec_parts": prepared.codec_parts(),
        "identity": _identity(prepared),
        "parents": sorted({_key_name(origin) for origin in _parents(prepared)}),
        "splits": list(plan.split.splits),
        "counts": dict(collected.counts),
        "classes": {split: dict(labels) for split, labels in collected.classes.items()},
        "ledger": collected.reasons,
        "records_in": collected.records_in,
        "generated": dict(collected.step_counts.generated),
        "replaced": dict(collected.step_counts.replaced),
        "environment": environment(prepared.plugin.kind.codecs()),
        "output": {
            "schema": plan.output.schema(),
            "fields": [name for name, _ in plan.output.fields],
            "image_field": plan.output.content_field,
            "encoding": plan.output.encoding,
            "quality": plan.output.quality if plan.output.encoding == "jpeg" else None,
        },
        "deferred": [s.to_dict() for s in _each_once(plan, deferred=True)],
        "replay": {
            "decode": {**plan.decode, **plan.limits},
            "loaders": {s.name: s.loader for s in plan.sources} if plan.loader_versions else {},
            "steps": [s.to_dict() for s in _each_once(plan, deferred=False)],
        },
        "generation": [step.to_dict() for step in plan.generation],
        "augmentations": [step.to_dict() for step in plan.augmentations],
        "label_field": plan.label_field,
        "class_balance": plan.class_balance,
        "warnings": [{"code": code, "message": message} for code, message in collected.warnings],
        **optional_entries(prepared, collected),
    }


def _identity(prepared: Prepared) -> dict[str, Any]:
    """The parts of the key that nothing else in a manifest states; `why` compares them."""
    plan = prepared.plan
    return {
        "law": LAW_VERSION,
        "storage": STORAGE_VERSION,
        "measures": prepared.measures,
        "loaders": dict(plan.loader_versions),
        "borrowed": plan.borrowed(),
        "compared": {str(i): comparison.identity() for i, comparison in prepared.comparisons.items()},
    }


def _parents(prepared: Prepared) -> list[Mapping[str, Any]]:
    """The keys of the instances that this one borrows statistics from, or was compared with."""
    return [*prepared.plan.borrowed().values(), *(c.identity() for c in prepared.comparisons.values())]


def _key_name(origin: Mapping[str, Any]) -> str:
    return InstanceKey(origin["recipe_hash"], origin["input_hash"], origin["seed"]).name


def statistics_text(step: Step | FieldStep, fitted: Any) -> str:
    """The JSON file of one fitted step: the step, its fit source, its integers and the floats derived from them."""
    body = {
        "op": step.op,
        "version": step.version,
        "fit_source": step.fit_source if step.needs_fit else None,
        "pinned": not step.needs_fit,
        **fitted,
    }
    if step.origin:
        body["origin"] = dict(step.origin)
    return json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _each_once(plan: Plan, *, deferred: bool) -> list[Step]:
    """The steps of all chains in order, each named step once, with the splits in which it is (or is not) deferred."""
    found: dict[str, tuple[Step, list[str]]] = {}
    for split, chain in plan.chains.items():
        for step in chain.deferred if deferred else chain.eager:
            found.setdefault(step.name, (step, []))[1].append(split)
    return [replace(step, splits=tuple(splits)) for step, splits in found.values()]


def _write(instance: str, relative: str, text: str) -> None:
    path = os.path.join(instance, *relative.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "x", encoding="utf-8", newline="\n") as file:
        file.write(text)
