"""The hostile bundler, for tests of pipelines of your own.

    from refinery_beam.testing.bundler import HostileRunner

    with beam.Pipeline(runner=HostileRunner(seed=7)) as pipeline:
        ...

Run the same pipeline under several seeds: an op that depends on order, on its bundle mates or on being called once gives different results.
"""

from __future__ import annotations

from refinery_beam.testing.engine.hostile_runner import HostileRunner

__all__ = ["HostileRunner"]
