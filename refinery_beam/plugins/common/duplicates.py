"""drop_duplicates for any kind of data: one of several identical files stays. Kinds with a signature add near duplicates."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from refinery_beam.plugins.ops import Content, OpSpec, Params


class DropExactDuplicatesParams(Params):
    """Parameters of drop_duplicates where only identical files are duplicates."""

    kind: Literal["exact"] = Field(default="exact", description="exact: identical files.")
    keep: Literal["first_key"] = Field(default="first_key", description="Of each group the record with the smallest record key stays.")


class DropExactDuplicates:
    """One of the records with equal content stays."""

    spec = OpSpec(
        name="drop_duplicates", section="Filters", version=1, params=DropExactDuplicatesParams, summary="Keep one of identical files."
    )
    kind = "duplicates"

    def distance(self, params: Any) -> int | None:
        """None: only identical files are duplicates, and nothing is decoded."""
        return None

    def signature(self, content: Content) -> int:
        """There is none: identical files are found by their digest."""
        raise NotImplementedError
