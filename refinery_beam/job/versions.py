"""A worker runs what the driver runs. Another version of this package, of Beam or of a codec could write other bytes, or read other rows.

The job carries the driver's versions. A worker with other versions refuses its first piece of work; a worker that
`runners.portable.worker_boot` started refuses before it speaks to the engine.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import metadata

from refinery_beam import __version__
from refinery_beam.errors import EnvironmentFault

DECIDE_BYTES = ("apache-beam", "numpy", "pillow", "pyarrow")
"""The packages, besides this one, that decide bytes: workers must have the driver's versions."""

RECORDED = (*DECIDE_BYTES, "pydantic", "pyyaml")
"""The packages whose versions a manifest states: those of the workers, and those that only the driver needs to read recipes."""

Versions = tuple[tuple[str, str], ...]
"""(name, version) pairs in a fixed order."""


@cache
def versions_here() -> Versions:
    """The versions of this process: Python's as major.minor, the others in full."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (("refinery-beam", __version__), ("Python", python), *((name, package_version(name) or "none") for name in DECIDE_BYTES))


def refuse_other_versions(driver: Versions) -> None:
    """Raise EnvironmentFault ``worker-differs`` unless this process runs the driver's versions."""
    here = dict(versions_here())
    other = [(name, here.get(name, "none"), version) for name, version in driver if here.get(name, "none") != version]
    if not other:
        return
    worker = ", ".join(f"{name} {mine}" for name, mine, _ in other)
    raise EnvironmentFault(
        f"a worker has {worker}; this run began with " + ", ".join(f"{name} {theirs}" for name, _, theirs in other),
        code="worker-differs",
        value=worker,
    )


@cache
def package_version(name: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
