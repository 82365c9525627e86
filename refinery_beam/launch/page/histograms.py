"""Channel histograms from facts/histograms.parquet: of each split as a whole."""

from __future__ import annotations

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.reporting.page import Channels
from refinery_beam.reporting.page.bounds import SPLITS

HISTOGRAMS = "facts/histograms.parquet"


def channels_of(manifest: Manifest) -> list[Channels]:
    """The histograms of the first splits, channel by channel; empty where the instance has none."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if manifest.file(HISTOGRAMS) is None:
        return []
    found: dict[str, dict[str, list[int]]] = {}
    with locations.opened(locations.join(manifest.location, HISTOGRAMS)) as source:
        table = pq.read_table(source, filters=pc.field("label").is_null())
    for row in table.to_pylist():
        found.setdefault(row["split"], {})[row["channel"]] = row["counts"]
    return [Channels(split, split, found[split]) for split in manifest.splits[:SPLITS] if split in found]
