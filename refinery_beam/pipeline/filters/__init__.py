"""Filters as PTransforms, one module for each way to decide. Only filters by header and near duplicates read files. Every removed record
is in the ledger.
"""

from refinery_beam.pipeline.filters import by_header, by_metadata, by_rank, duplicates, per_class
from refinery_beam.pipeline.filters.kinds import carried_out

__all__ = ["by_header", "by_metadata", "by_rank", "carried_out", "duplicates", "per_class"]
