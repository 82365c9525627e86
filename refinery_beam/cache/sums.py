"""Adds up what a manifest says about its own files again, from the files: every record that went in came out, or is in the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from refinery_beam import locations
from refinery_beam.cache.findings import Finding
from refinery_beam.cache.manifest import MANIFEST_NAME, Manifest

LEDGER = "report/ledger.parquet"
INPUT = "input.parquet"


def wrong_sums(manifest: Manifest) -> list[Finding]:
    """A finding ``sums`` for every sum in a manifest that its files, which are sound, do not give: the ledger's reasons, the records that
    went in, in = out + ledger, and the labels of each split where rows hold them.
    """
    return [Finding("sums", MANIFEST_NAME, problem) for problem in _problems(manifest)]


def _problems(manifest: Manifest) -> Iterator[str]:
    raw = manifest.raw
    ledger = dict(raw.get("ledger", {}))
    if manifest.file(LEDGER) is not None:
        found = _counted(manifest, LEDGER, "reason")
        if found != ledger:
            yield f"the ledger has {_words(found)}, the manifest says {_words(ledger)}"
    if "records_in" not in raw:
        return
    records_in = raw["records_in"]
    if manifest.file(INPUT) is not None and (rows := _rows(manifest, INPUT)) != records_in:
        yield f"{INPUT} lists {rows} records, the manifest says {records_in} went in"
    made, gone = sum(raw.get("generated", {}).values()), sum(raw.get("replaced", {}).values())
    out, lost = sum(manifest.counts.values()), sum(ledger.values())
    if records_in + made - gone != out + lost:
        yield f"{records_in} records went in, {made} were generated and {gone} replaced, but {out} came out and {lost} are in the ledger"
    yield from _wrong_classes(manifest)


def _wrong_classes(manifest: Manifest) -> Iterator[str]:
    label, classes = manifest.raw.get("label_field"), manifest.raw.get("classes")
    if classes is None:
        return
    for split in manifest.splits:
        listed = dict(classes.get(split, {}))
        if sum(listed.values()) != manifest.counts[split]:
            yield f"split {split!r} holds {manifest.counts[split]} records, its classes {sum(listed.values())}"
        elif label in manifest.schema:
            found: Counter[str] = Counter()
            for entry in manifest.shards(split):
                found.update(_counted(manifest, entry.path, label))
            if dict(found) != listed:
                yield f"split {split!r} holds {_words(found)}, the manifest says {_words(listed)}"


def _counted(manifest: Manifest, path: str, column: str) -> dict[str, int]:
    """How often each value of a column occurs, as text; a missing one is ''."""
    import pyarrow.parquet as pq

    found: Counter[str] = Counter()
    with locations.opened(locations.join(manifest.location, path)) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches(columns=[column]):
            for row in batch.column(0).value_counts().to_pylist():
                found["" if row["values"] is None else str(row["values"])] += row["counts"]
    return dict(found)


def _rows(manifest: Manifest, path: str) -> int:
    import pyarrow.parquet as pq

    with locations.opened(locations.join(manifest.location, path)) as source, pq.ParquetFile(source) as file:
        return int(file.metadata.num_rows)


def _words(counts: Mapping[str, Any]) -> str:
    """Counts in words, of many only the first.

    >>> _words({"b": 1, "a": 2}), _words({})
    ("2 'a', 1 'b'", 'nothing')
    """
    some = [f"{count} {name!r}" for name, count in sorted(counts.items())[:5]]
    more = len(counts) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "") or "nothing"
