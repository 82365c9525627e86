"""What is said of files of an instance that cannot be trusted or read."""

from __future__ import annotations

from refinery_beam import locations
from refinery_beam.errors import StoreError


def unreadable(location: str, error: Exception) -> StoreError:
    """The StoreError for a file that could not be read: damaged, unless it is the store that could not be reached or asked."""
    if locations.is_url(location) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return locations.fault(error, "read", location)
    return damaged(location, (error.strerror if isinstance(error, OSError) else None) or str(error))


def damaged(location: str, problem: str) -> StoreError:
    """The StoreError for a file of an instance that cannot be trusted."""
    return StoreError(
        f"{location} cannot be read: {problem}",
        code="damaged",
        at=location,
        value=problem,
        remedy="run `refinery-beam verify` on the instance, then run the recipe again: damaged instances are rebuilt",
    )
