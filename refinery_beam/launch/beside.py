"""What a job left beside the dataset: assertions judged, the sample's shards, the files of sinks. All of it before promotion."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from refinery_beam import places
from refinery_beam.errors import DataError, RefineryError, display, raise_all
from refinery_beam.records import EvidenceRow, LedgerRow, ShardRow, SinkRow

if TYPE_CHECKING:
    from refinery_beam.launch.prepare import Prepared
    from refinery_beam.record.contracts import Outcome


@dataclass(frozen=True, kw_only=True)
class BesideFacts:
    """`expectations` as the manifest lists them; `outcomes` for the report; the rows of the sample's shards and of sink files."""

    outcomes: tuple[Outcome, ...] = ()
    expectations: tuple[dict[str, Any], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    sample: tuple[ShardRow, ...] = ()
    sinks: Mapping[str, Sequence[SinkRow]] = field(default_factory=dict)


def collect_beside(prepared: Prepared, work: str, ledger: Sequence[LedgerRow], fitted: Mapping[str, Mapping[str, Any]]) -> BesideFacts:
    """Read and judge; `fitted` are all statistics. Raises DataError: ``contract`` for every failed assertion of severity error,
    ``sink-collision``.
    """
    from refinery_beam.job.row_files import read_rows

    plan = prepared.plan
    outcomes = _judge(prepared, work, ledger, fitted) if plan.contracts else []
    raise_all(o.error() for o in outcomes if o.gates)
    sinks: dict[str, list[SinkRow]] = {step.name: [] for step in plan.sinks}
    if plan.sinks:
        for row in sorted(set(read_rows(places.join(work, "sinks"), SinkRow))):
            sinks[row.sink].append(row)
        raise_all(collisions(sinks))
    sample: list[ShardRow] = []
    if plan.sample is not None:
        from refinery_beam.job.row_files import read_shard_rows
        from refinery_beam.launch.collect import one_row_a_shard

        order = {split: i for i, split in enumerate(plan.split.splits)}
        sample = one_row_a_shard(read_shard_rows(places.join(work, "sample")))
        sample.sort(key=lambda row: (order[row.split], row.shard))
    return BesideFacts(
        outcomes=tuple(outcomes),
        expectations=tuple(_entry(prepared, i, o) for i, o in enumerate(outcomes)),
        warnings=tuple(_warnings(outcomes)),
        sample=tuple(sample),
        sinks=sinks,
    )


def _judge(prepared: Prepared, work: str, ledger: Sequence[LedgerRow], fitted: Mapping[str, Mapping[str, Any]]) -> list[Outcome]:
    from refinery_beam.job.row_files import read_rows
    from refinery_beam.launch.references import reference_counts
    from refinery_beam.record.contracts import Contracts, add_rows
    from refinery_beam.record.worker import Worker

    evidence = sorted(set(read_rows(places.join(work, "evidence"), EvidenceRow)))
    references = reference_counts(prepared.references, prepared.plan, prepared.settings.plugin_paths)
    worker = Worker(prepared.plan)
    tail = cache(lambda split, channels: worker.tail_table(split, channels, fitted))
    return Contracts(prepared.plan, prepared.plugin).judge(add_rows(evidence), ledger=ledger, references=references, tail=tail)


def _entry(prepared: Prepared, index: int, outcome: Outcome) -> dict[str, Any]:
    """An assertion as the manifest states it. A named instance is stated by its key, never by its place."""
    step = outcome.step
    params = dict(step.params)
    if step.imports:
        params["reference"] = prepared.references[index].identity()
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


def _warnings(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [("contract", o.text()) for o in outcomes if not o.verdict.passed]


def collisions(sinks: Mapping[str, Sequence[SinkRow]]) -> list[RefineryError]:
    """An error for each of the first pairs of records whose files meet. Names that differ in letter case only meet on some systems."""
    errors: list[RefineryError] = []
    for sink, rows in sinks.items():
        seen: dict[str, SinkRow] = {}
        for row in rows:
            other = seen.setdefault(unicodedata.normalize("NFC", row.path).casefold(), row)
            if other.record_id != row.record_id and len(errors) < 10:
                errors.append(
                    DataError(
                        f"the sink {sink!r} writes {display(other.record_id)} and {display(row.record_id)} to one file, {row.path}",
                        code="sink-collision",
                        place=f"sinks/{sink}/{row.path}",
                        value=row.path,
                        rule="every record has a file of its own, upper and lower case being one",
                        remedy="add {record_id} or another field that tells records apart to path_template",
                    )
                )
    return errors


def write_sink_tables(instance: str, sinks: Mapping[str, Sequence[SinkRow]]) -> None:
    """``sinks/<name>/files.parquet``: path, record_id, bytes and sha256 of every file of a sink, sorted by path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("path", pa.string()), ("record_id", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string())])
    for name, rows in sinks.items():
        folder = os.path.join(instance, "sinks", name)
        os.makedirs(folder, exist_ok=True)
        listed = sorted((r.path, r.record_id, r.bytes, r.sha256) for r in rows)
        columns = [list(column) for column in zip(*listed, strict=True)] if listed else [[] for _ in schema]
        pq.write_table(pa.table(columns, schema=schema), os.path.join(folder, "files.parquet"), compression="zstd")


def manifest_entries(prepared: Prepared, facts: BesideFacts) -> dict[str, Any]:
    """The keys ``expectations``, ``sample`` and ``sinks`` of a manifest, those that the recipe asks for."""
    plan = prepared.plan
    found: dict[str, Any] = {}
    if plan.contracts:
        found["expectations"] = list(facts.expectations)
    if plan.sample is not None:
        s = plan.sample
        selector = {"kind": s.kind, "n": s.n, "fraction": None if s.fraction is None else float(s.fraction), "splits": list(s.splits)}
        counts = {split: sum(row.records for row in facts.sample if row.split == split) for split in s.splits}
        shards = [
            {"path": r.file, "split": r.split, "shard": r.shard, "shards": r.shards, "records": r.records, "rows_digest": r.rows_digest}
            for r in facts.sample
        ]
        found["sample"] = {"selector": {**selector, "seed": s.seed}, "counts": counts, "shards": shards}
    if plan.sinks:
        found["sinks"] = {
            step.name: {
                "field": step.field,
                "format": step.format,
                "path_template": step.template,
                "splits": list(step.splits),
                "files": len(facts.sinks[step.name]),
                "bytes": sum(row.bytes for row in facts.sinks[step.name]),
                "table": f"sinks/{step.name}/files.parquet",
            }
            for step in plan.sinks
        }
    return found
