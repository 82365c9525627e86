"""The options of a job on a portable engine: the user's, and those that this program adds."""

from __future__ import annotations

import json
from typing import Any

from refinery_beam.runners.engine_options import EngineOptions
from refinery_beam.runners.local import available_cpus

KEEP_WORKERS_MILLIS = 60_000
"""How long Java engines keep the workers of a finished stage for the next stage. Otherwise every stage starts new workers, and each imports
Beam.
"""


def read_ahead_threads(options: EngineOptions, workers: int | None) -> int:
    """Read-ahead threads of one worker process. With LOOPBACK all workers are threads of this process and share them."""
    return workers or available_cpus() if options.environment == "LOOPBACK" else 1


def pipeline_options(options: EngineOptions, *, workers: int | None, boot: str = "", work: str = "") -> Any:
    """Beam's options: the user's, with defaults for parallelism and the worker boot, and the driver's versions for workers elsewhere."""
    from refinery_beam.runners.parsed_once import pipeline_options_of
    from refinery_beam.runners.portable.driver_option import driver_flag

    flags = list(options.flags)
    count = workers or available_cpus()
    if options.runner == "flink" and not options.given("parallelism"):
        flags.append(f"--parallelism={count}")
    if options.runner == "flink" and not options.given("flink_version"):
        # Beam 2.77 supports several release lines; this one is tested.
        flags.append("--flink_version=1.19")
    if options.runner == "spark" and not options.given("spark_master_url"):
        flags.append(f"--spark_master_url=local[{count}]")
    if not options.given("environment_type"):
        flags.append(f"--environment_type={options.environment}")
    if options.environment in ("PROCESS", "EXTERNAL") and not options.given("environment_cache_millis"):
        flags.append(f"--environment_cache_millis={KEEP_WORKERS_MILLIS}")
    if work and options.environment != "LOOPBACK":
        flags.append(driver_flag(work))
    if boot:
        flags.append("--environment_config=" + json.dumps({"command": boot}))
    return pipeline_options_of(flags)
