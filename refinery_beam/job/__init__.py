"""Everything that the workers of one job share: the plan, where to write, how to stop, and how to report failures. No Beam."""
