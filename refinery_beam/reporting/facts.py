"""The facts of a report, as plain values: what report.md and report.html both say. A number has one home, the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refinery_beam.records import LedgerRow


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """The facts of a report, as plain values.

    `sources` are (name, type, files); `operations` are (section, name, op, params, splits); `fitted` is statistics by step; `noun` is what
    the kind of data calls its records; `split_rule` says in words how records found their splits, and
    `split_totals` has the ratio of each split, the records that it asked for, and those it got. `steps` are (split, step, kind, records):
    what each step kept, lost, generated and replaced, where the split is '' before splits are made. `expectations` are the assertions as
    the manifest lists them, and `messages`, in the same order, say why one fails. `sample` and `sinks` are the manifest's entries.
    `findings` is facts/findings.json, {} without facts.
    """

    plugin: str
    recipe_hash: str
    input_hash: str
    seed: int
    logical_digest: str
    sources: Sequence[tuple[str, str, int]]
    records_in: int
    counts: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    unlabeled: Sequence[str]
    noun: str
    stored: str
    encoding: str
    operations: Sequence[tuple[str, str, str, Mapping[str, Any], Sequence[str]]]
    deferred: Sequence[str]
    fitted: Mapping[str, Mapping[str, Any]]
    ledger: Sequence[LedgerRow]
    warnings: Sequence[tuple[str, str]]
    split_rule: str = ""
    split_totals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    generated: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    steps: Sequence[tuple[str, str, str, int]] = ()
    expectations: Sequence[Mapping[str, Any]] = ()
    messages: Sequence[str] = ()
    sample: Mapping[str, Any] = field(default_factory=dict)
    sinks: Mapping[str, Any] = field(default_factory=dict)
    findings: Mapping[str, Any] = field(default_factory=dict)


def facts_of_manifest(
    manifest: Mapping[str, Any],
    *,
    ledger: Sequence[LedgerRow],
    fitted: Mapping[str, Mapping[str, Any]],
    findings: Mapping[str, Any] | None = None,
) -> ReportFacts:
    """The facts of the report of an instance from its manifest, from `ledger`, from the statistics of its steps and from its findings.

    An instance of an older release states less: it has no ``report``, and what that would say is left out.
    """
    stated: Mapping[str, Any] = manifest.get("report", {})
    counts = manifest["counts"]
    plugin = manifest.get("plugin", {})
    output = manifest.get("output", {})
    expectations = manifest.get("expectations", ())
    return ReportFacts(
        plugin=f"{plugin.get('name', '')} {plugin.get('version', '')}".strip(),
        recipe_hash=manifest["recipe_hash"],
        input_hash=manifest["input_hash"],
        seed=manifest["seed"],
        logical_digest=manifest["logical_digest"],
        sources=[(source["name"], source["type"], source["files"]) for source in stated.get("sources", ())],
        records_in=manifest.get("records_in", sum(counts.values())),
        counts={split: counts[split] for split in manifest["splits"]},
        classes={split: manifest.get("classes", {}).get(split, {}) for split in manifest["splits"]},
        unlabeled=stated.get("unlabeled", ()),
        noun=stated.get("noun", "records"),
        stored=stated.get("stored", ""),
        encoding=output.get("encoding") or "none",
        operations=[(o["section"], o["name"], o["op"], o["params"], o["splits"]) for o in stated.get("operations", _recorded(manifest))],
        deferred=sorted({step["name"] for step in manifest.get("deferred", ())}),
        fitted=fitted,
        ledger=ledger,
        warnings=[(warning["code"], warning["message"]) for warning in manifest.get("warnings", ())],
        split_rule=stated.get("split_rule", ""),
        split_totals={split: totals for split in manifest["splits"] if (totals := manifest.get("split_totals", {}).get(split))},
        generated=_ordered(manifest.get("generated", {}), manifest),
        replaced=manifest.get("replaced", {}),
        steps=[tuple(step) for step in stated.get("steps", ())],
        expectations=expectations,
        messages=stated.get("messages", [""] * len(expectations)),
        sample=_sample(manifest),
        sinks=manifest.get("sinks") or {},
        findings=findings or {},
    )


def _sample(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The sample with its counts in the order of the splits."""
    sample = manifest.get("sample")
    return {**sample, "counts": {s: sample["counts"][s] for s in manifest["splits"] if s in sample["counts"]}} if sample else {}


def _ordered(generated: Mapping[str, int], manifest: Mapping[str, Any]) -> dict[str, int]:
    """By step in the order of the recipe: a manifest sorts its keys."""
    names = [step["name"] for step in (*manifest.get("generation", ()), *manifest.get("augmentations", ()))]
    return {name: generated[name] for name in (*names, *sorted(generated.keys() - set(names))) if name in generated}


def _recorded(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations that every manifest has."""
    parts = (
        ("Generation", manifest.get("generation", ())),
        ("Transformations", (*manifest.get("replay", {}).get("steps", ()), *manifest.get("deferred", ()))),
        ("Augmentations", manifest.get("augmentations", ())),
    )
    return [
        {"section": section, "splits": step.get("splits", manifest["splits"]), **{word: step[word] for word in ("name", "op", "params")}}
        for section, steps in parts
        for step in steps
    ]
