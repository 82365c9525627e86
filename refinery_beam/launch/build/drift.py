"""Makes report/drift.json of a collected job: from its counts, the parts of its facts, and the histograms that are written already."""

from __future__ import annotations

import json
import os
from typing import Any

from refinery_beam.facts.drift import Summary, document, numbers_of
from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.launch.build.fact_tables import COUNTS, HISTOGRAMS
from refinery_beam.launch.build.tables import read_parts
from refinery_beam.launch.prepare import Prepared
from refinery_beam.plugins.fact_columns import scales
from refinery_beam.record.facts import facts_schema

DRIFT = "report/drift.json"


def drift_text(instance: str, prepared: Prepared, collected: Collected, parts: str) -> str:
    """The file. `instance` is the staged instance, whose facts/ is written."""
    plan = prepared.plan
    body = document(
        plugin=plan.plugin,
        recipe_hash=prepared.key.recipe_hash,
        counts=collected.counts,
        classes=collected.classes,
        unlabeled=plan.unlabeled_splits,
        features=_features(instance, prepared, collected, parts) if plan.output.facts else {},
    )
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


def _features(instance: str, prepared: Prepared, collected: Collected, parts: str) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    kind = prepared.plugin.kind
    schema = facts_schema(kind)
    names = numbers_of(schema, signature=kind.measures.signature if kind.measures is not None else "")
    found = {split: Summary() for split in collected.counts}
    for split, table in read_parts(collected, parts):
        found[split].add(table, names)
    with open(os.path.join(instance, *COUNTS.split("/")), encoding="utf-8") as file:
        counted = json.load(file)
    channels: dict[str, dict[str, list[int]]] = {split: {} for split in collected.counts}
    path = os.path.join(instance, *HISTOGRAMS.split("/"))
    if os.path.exists(path):
        for row in pq.read_table(path, filters=[("whole", "==", True)]).to_pylist():
            channels[row["split"]][row["channel"]] = row["counts"]
    units = scales(schema)
    return {
        split: {"facts": summary.as_document(units), "values": counted[split]["values"], "channels": channels[split]}
        for split, summary in found.items()
    }
