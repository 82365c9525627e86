"""The plan as PTransforms. The modules that do the work (`record`, `planning.splits`) do not import Beam."""
