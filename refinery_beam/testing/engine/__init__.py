"""The engines of tests. Each is a runner factory, for ``Settings(runner_factory=...)``: from Beam's pipeline options to a runner.

    from refinery_beam.testing.engine import hostile, measured, replayed

    hostile(seed=7)                     # cuts, shuffles and repeats bundles
    replayed(2)                         # runs every bundle three times, of which one counts
    measured(sizes, hostile(seed=7))    # adds to `sizes` every element that crosses from stage to stage

For a pipeline of your own: ``beam.Pipeline(runner=HostileRunner(seed=7))``, from `refinery_beam.testing.engine.hostile_runner`. Run it
under several seeds: an op that depends on order, on its bundle mates or on being called once gives different results.
"""

from refinery_beam.testing.engine.factories import hostile, measured, replayed

__all__ = ["hostile", "measured", "replayed"]
