"""What the workers of one job share: what to do, where to write, how to stop, and how to tell of failures. No Beam."""
