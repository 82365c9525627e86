"""Reading finished instances: rows, statistics, and the recipe's chain on one image. Knows no Beam."""

from refinery_beam.reading.instance import Instance, open_instance
from refinery_beam.reading.readers import Row, SplitReader

__all__ = ["Instance", "Row", "SplitReader", "open_instance"]
