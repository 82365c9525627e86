"""What is measured of a decoded image: `QUALITY` is the `plugins.measures.Measures` of images."""

from refinery_beam.plugins.image_classification.measures.quality import QUALITY

__all__ = ["QUALITY"]
