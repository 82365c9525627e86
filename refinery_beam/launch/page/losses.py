"""The ledger of an instance for its page: every loss is counted, and the first of them are listed."""

from __future__ import annotations

from collections import Counter

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.records import ASKED_FOR, LedgerRow
from refinery_beam.reporting.page import LedgerPage
from refinery_beam.reporting.page.bounds import LEDGER_ROWS

LEDGER = "report/ledger.parquet"


def ledger_page(manifest: Manifest) -> LedgerPage:
    """The ledger; memory does not grow with it. Bad records are listed before those that the recipe asked to lose."""
    import pyarrow.parquet as pq

    if manifest.file(LEDGER) is None:
        return LedgerPage()
    causes: Counter[tuple[bool, str, str, str]] = Counter()
    bad: list[LedgerRow] = []
    asked: list[LedgerRow] = []
    with locations.opened(locations.join(manifest.location, LEDGER)) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches(columns=list(LedgerRow._fields)):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                row = LedgerRow(*values)
                causes[not row.split, row.stage, row.op, row.reason] += 1
                kept = asked if row.reason in ASKED_FOR else bad
                if len(kept) < LEDGER_ROWS:
                    kept.append(row)
    return LedgerPage(
        total=sum(causes.values()),
        causes=[(*cause, records) for cause, records in sorted(causes.items())],
        rows=(*bad, *asked)[:LEDGER_ROWS],
    )
