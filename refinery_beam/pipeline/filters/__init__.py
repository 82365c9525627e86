"""Filters as PTransforms, a module for each way of choosing. Only sizes and near duplicates look into files; whatever goes is in the
ledger.
"""

from refinery_beam.pipeline.filters import by_header, by_metadata, by_rank, duplicates, per_class
from refinery_beam.pipeline.filters.kinds import carried_out

__all__ = ["by_header", "by_metadata", "by_rank", "carried_out", "duplicates", "per_class"]
