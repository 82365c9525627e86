"""Judges the assertions by the counts of a finished job."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow.parquet as pq

from refinery_beam import locations
from refinery_beam.cache.files import file_sha256
from refinery_beam.job.row_files import read_rows
from refinery_beam.launch.prepare import Prepared
from refinery_beam.launch.related import Comparison, refuse_comparison
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.fact_columns import arrays, scales, shown
from refinery_beam.reading import open_instance
from refinery_beam.record.byte_values import byte_value_counts, reader_values, table_of
from refinery_beam.record.contracts import Contracts, Outcome, Tally, add_rows, key_text
from refinery_beam.record.facts import part_location
from refinery_beam.record.worker import Worker
from refinery_beam.records import EvidenceRow, LedgerRow, ShardRow

Counts = list[tuple[Any, int]]
"""Values with how often they occur."""


def judge(
    prepared: Prepared, work: str, ledger: Sequence[LedgerRow], fitted: Mapping[str, Mapping[str, Any]], shards: Sequence[ShardRow]
) -> tuple[Outcome, ...]:
    """The outcome of every assertion of the plan; `fitted` are all statistics."""
    if not prepared.plan.contracts:
        return ()
    evidence = sorted(set(read_rows(locations.join(work, "evidence"), EvidenceRow)))
    counts = comparison_counts(prepared.comparisons, prepared.plan, prepared.settings.plugin_paths)
    worker = Worker(prepared.plan)
    tail = cache(lambda split, channels: worker.tail_table(split, channels, fitted))
    contracts, tally = Contracts(prepared.plan, prepared.plugin), add_rows(evidence)
    with prepared.plugin.named():
        if contracts.on_facts:
            _add_facts(contracts, shards, locations.join(work, "facts"), tally)
        found = contracts.judge(tally, ledger=ledger, comparisons=counts, tail=tail)
    return tuple(found)


def _add_facts(contracts: Contracts, shards: Iterable[ShardRow], parts: str, tally: Tally) -> None:
    """Add the evidence of the facts of all rows, from the parts that the write pass left."""
    names = sorted({entry[3].fact for entry in contracts.on_facts})
    for shard in shards:
        location = part_location(parts, shard.split, shard.shard, shard.shards)
        with locations.opened(location) as source, pq.ParquetFile(source) as file:
            table = file.read()
        units, ids, known = scales(table.schema), table.column("record_id").to_pylist(), arrays(table, names)
        for entry in contracts.on_facts:
            if entry[3].fact not in known:
                continue
            values, there = known[entry[3].fact]
            for i in there.nonzero()[0].tolist():
                contracts.of_fact(entry, ids[i], shown(int(values[i]), units.get(entry[3].fact, 1)), tally)


def expectations(prepared: Prepared, outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], ...]:
    """The assertions as the manifest lists them."""
    return tuple(_expectation(prepared, i, outcome) for i, outcome in enumerate(outcomes))


def _expectation(prepared: Prepared, index: int, outcome: Outcome) -> dict[str, Any]:
    """An assertion as the manifest states it. It states the instance to compare with by its key, never by its location."""
    step = outcome.step
    params = dict(step.params)
    if step.compares:
        params["reference"] = prepared.comparisons[index].identity()
    entry = {
        "section": step.section,
        "index": step.index,
        "kind": step.kind,
        "version": step.version,
        "field": step.field,
        "severity": step.severity,
        "params": params,
        "passed": outcome.verdict.passed,
        "observed": dict(outcome.verdict.observed),
    }
    return {**entry, "quarantined": outcome.quarantined} if outcome.quarantined else entry


def contract_warnings(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """A warning for every assertion that failed."""
    return [("contract", o.text()) for o in outcomes if not o.verdict.passed]


def comparison_counts(comparisons: Mapping[int, Comparison], plan: Plan, plugin_paths: Sequence[str] = ()) -> dict[int, Counts]:
    """The values of the field that each assertion compares with, and how often they occur, sorted by their canonical form. Skips
    missing values. For content these are the readers' values.
    """
    found: dict[int, Counts] = {}
    for i, comparison in comparisons.items():
        if plan.contracts[i].on_content:
            found[i] = _content_counts(comparison, plugin_paths)
            continue
        field = plan.contracts[i].field or ""
        counts: Counter[str] = Counter()
        for entry in comparison.manifest.shards(comparison.split):
            path = locations.join(comparison.manifest.location, entry.path)
            if file_sha256(path) != entry.sha256:
                raise refuse_comparison(
                    f"is damaged: {entry.path} has other bytes", path, comparison.at, "run the recipe that made it again"
                )
            with locations.opened(path) as source, pq.ParquetFile(source) as file:
                for batch in file.iter_batches(columns=[field], use_threads=False):
                    counts.update(key_text([value]) for value in batch.column(0).to_pylist() if value is not None)
        found[i] = [(json.loads(key)[0], count) for key, count in sorted(counts.items())]
    return found


def _content_counts(comparison: Comparison, plugin_paths: Sequence[str]) -> Counts:
    manifest, split = comparison.manifest, comparison.split
    instance = open_instance(manifest.location, plugin_paths=plugin_paths)
    chain, kind = instance.recorded.deferred(split), instance.recorded.kind
    content = manifest.image_field or ""
    byte_values: Counter[str] = Counter()
    for row in instance.split(split, raw=True, columns=[content]):
        for key, count in byte_value_counts(split, row[content]):
            byte_values[key] += count
    tables = cache(lambda split, channels: table_of(kind, chain.steps, channels, {}))
    values = reader_values({key: (count, "") for key, count in byte_values.items()}, tables)
    return sorted((value, count) for _, value, count in values)
