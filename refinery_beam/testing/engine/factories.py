"""The runner factories of tests. They compose: `replayed` and `measured` take the factory of the runner that they change.

Importing this module does not import Beam: the factories do, when a run calls them.
"""

from __future__ import annotations

from typing import Any

from refinery_beam.runners.local import RunnerFactory, constructed_runner, provision_info
from refinery_beam.testing.engine.sizes import Sizes, measure


def hostile(seed: int) -> RunnerFactory:
    """Runners that cut, shuffle and repeat bundles as the seed says; see `HostileRunner`."""

    def make(options: Any) -> Any:
        from refinery_beam.testing.engine.hostile_runner import HostileRunner  # with it comes Beam

        return HostileRunner(seed, provision_info=provision_info(options))

    return make


def replayed(times: int, factory: RunnerFactory = constructed_runner) -> RunnerFactory:
    """The factory's runners, which process every bundle `times` times more; only the last time counts."""

    def make(options: Any) -> Any:
        from apache_beam.options.pipeline_options import DirectOptions  # with it comes Beam

        options.view_as(DirectOptions).direct_runner_bundle_repeat = times
        return factory(options)

    return make


def measured(sizes: Sizes, factory: RunnerFactory = constructed_runner) -> RunnerFactory:
    """The factory's runners, which add to `sizes` every element that they store between two stages."""
    return lambda options: measure(factory(options), sizes)
