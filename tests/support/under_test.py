"""What holds for every test of this process: Hypothesis without chance, and the local engine, quicker and measured.

It is loaded by the processes that run tests, and not by the one of pytest-xdist that only hands them out: loading Beam takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings

from refinery_beam.runners import local
from refinery_beam.testing.engine import hostile, measured
from refinery_beam.testing.engine.sizes import Sizes
from support.quick_beam import make_beam_quick

HOSTILE_SEED = os.environ.get("HOSTILE_SEED")
"""`make test-hostile`: every pipeline that a test runs in this process, unless it asks for something else, runs under this hostility."""

ALL_SIZES = Sizes()
"""What crossed stages in all tests of this process; `make lint-stages` prints it."""

_run_local = local.run_local


def prepare_process() -> None:
    """Change Hypothesis, Beam and the local engine for all tests of this process."""
    # One seed for all machines: a property that fails here fails everywhere, today and tomorrow.
    settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("fixed")
    make_beam_quick()
    local.run_local = _measured_run


def _measured_run(build: Callable[[Any], None], options: local.LocalOptions, **more: Any) -> None:
    """`run_local`, with every pipeline measured: no pickle and no large element crosses a stage, in any test.

    A test whose own pipeline may do that says so with ``runner_factory=constructed_runner``; nothing else ends the check.
    """
    if options.runner_factory is local.constructed_runner:
        return _run_local(build, options, **more)
    factory = options.runner_factory or local.constructed_runner
    if HOSTILE_SEED and options.runner_factory is None and options.mode == "threads":
        factory = hostile(int(HOSTILE_SEED))
    sizes = Sizes()
    _run_local(build, replace(options, runner_factory=measured(sizes, factory)), **more)
    ALL_SIZES.merge(sizes)
    sizes.check()
