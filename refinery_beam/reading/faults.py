"""What is said of files of an instance that cannot be trusted or read."""

from __future__ import annotations

from refinery_beam import places
from refinery_beam.errors import StoreError


def unreadable(place: str, error: Exception) -> StoreError:
    """The StoreError for a file that could not be read: damaged, unless it is the store that could not be reached or asked."""
    if places.is_url(place) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return places.fault(error, "read", place)
    return damaged(place, (error.strerror if isinstance(error, OSError) else None) or str(error))


def damaged(place: str, problem: str) -> StoreError:
    """The StoreError for a file of an instance that cannot be trusted."""
    return StoreError(
        f"{place} cannot be read: {problem}",
        code="damaged",
        place=place,
        value=problem,
        rule="an instance is as its manifest says",
        remedy="run `refinery-beam verify` on the instance, then run the recipe again: damaged instances are rebuilt",
    )
