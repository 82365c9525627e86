"""Makes the findings of a collected job from the parts of its facts, and writes them below facts/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from refinery_beam.facts.findings import Findings, find, flagged_schema
from refinery_beam.facts.gather import Part, numbered
from refinery_beam.launch.build.collected.collect import Collected
from refinery_beam.launch.build.tables import read_parts, table_writer
from refinery_beam.launch.prepare import Prepared
from refinery_beam.record.facts import DIGEST, FILE, STANDS

if TYPE_CHECKING:
    import pyarrow as pa

FINDINGS = "facts/findings.json"
FLAGGED = "facts/flagged.parquet"


def findings_text(document: Mapping[str, Any]) -> str:
    """facts/findings.json."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def find_all(instance: str, prepared: Prepared, collected: Collected, parts: str) -> Findings:
    """Everything that the facts say; writes facts/flagged.parquet. Reads the parts, not the files of the instance."""

    def read() -> Iterator[Part]:
        return numbered(_standing(collected, parts))

    kind = prepared.plugin.kind
    with table_writer(instance, FLAGGED, flagged_schema(), texts=("finding", "split", "label")) as writer:
        writer.write_table(flagged_schema().empty_table())
        return find(
            read,
            measures=kind.measures,
            records=sum(collected.counts.values()),
            noun=kind.noun,
            splits=list(collected.counts),
            labels_from_folders=_labels_from_folders(prepared),
            keep=lambda table: writer.write_table(table) if len(table) else None,
        )


def _standing(collected: Collected, parts: str) -> Iterator[tuple[str, pa.Table, pa.ChunkedArray]]:
    """The records of each shard that stand for their files."""
    for split, table in read_parts(collected, parts):
        kept = table.filter(table.column(STANDS))
        yield split, kept.drop_columns([FILE, STANDS, DIGEST]), kept.column(DIGEST)


def _labels_from_folders(prepared: Prepared) -> bool:
    """Whether some label comes from the path of its file."""
    model = prepared.recipe.model
    return any(source.label_from is None for source in model.Input.sources)
