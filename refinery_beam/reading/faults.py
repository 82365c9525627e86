"""The errors for damaged or unreadable files of an instance."""

from __future__ import annotations

from refinery_beam import locations
from refinery_beam.errors import StoreError


def unreadable(location: str, error: Exception) -> StoreError:
    """The StoreError for a file that could not be read: ``damaged``, unless the store could not be reached."""
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
