"""Child processes that run code of this package, wherever it lies and whatever the working directory is."""

from __future__ import annotations

import os

PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that holds the package `refinery_beam`."""


def child_environment() -> dict[str, str]:
    """The environment of this process, in which a child finds this package first."""
    path = os.pathsep.join(p for p in (PACKAGE_ROOT, os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path}
