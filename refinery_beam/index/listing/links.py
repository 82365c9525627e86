"""Links that lead out of their source: followed only where the recipe says so.

A link in a folder of images may lead to any file of the machine, or to all of them.
"""

from __future__ import annotations

import os

from refinery_beam.errors import DataError, display
from refinery_beam.index.listing.sources import Source
from refinery_beam.index.text import plural


class Links:
    """The links of one source on this machine: `leaves` judges them one by one, `refuse` those that were found to leave."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._root = os.path.realpath(source.root)
        self._inside = self._root.rstrip(os.sep) + os.sep
        self._count = 0
        self._first: list[tuple[str, str]] = []

    def leaves(self, path: str) -> bool:
        """Whether a file or folder below the source, by its path there, lies somewhere else when all links are followed, and may not."""
        if self._source.follow_links:
            return False
        real = os.path.realpath(os.path.join(self._root, path))
        if real == self._root or real.startswith(self._inside):
            return False
        self._count += 1
        # The file system lists in no order; the message is the same each time.
        self._first = sorted([*self._first, (path, real)])[:3]
        return True

    def refuse(self) -> None:
        """DataError ``link-outside`` if any link was found to leave."""
        if not self._count:
            return
        source = self._source
        shown = ", ".join(f"'{display(path)}' to '{display(real)}'" for path, real in self._first)
        more = f" and {self._count - len(self._first):,} more" if self._count > len(self._first) else ""
        raise DataError(
            f"source {source.name!r}: {plural(self._count, 'link')} out of '{display(source.root)}': {shown}{more}",
            code="link-outside",
            at=source.at,
            value=self._first[0][0],
        )
