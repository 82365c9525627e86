"""duplicate_minority_class: copies of records until classes are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from refinery_beam.plugins.ops import ArrayType, Content, FieldType, GeneratedRecord, OpSpec, Params

if TYPE_CHECKING:
    from refinery_beam.identity import Stream


class DuplicateMinorityClassParams(Params):
    """duplicate_minority_class has no parameters."""


class DuplicateMinorityClass:
    """Copies of the records of smaller classes, until every class has as many as the largest.

    A class of m records that lacks n gets n copies: every record n // m of them, and the n % m records of lowest seeded rank one more. So
    no record is copied often while another is not, and the copied records do not depend on order. Copies have ids of their own,
    ``parent#name:1`` and on, and the parent's content. Records without a label are no class.
    """

    spec = OpSpec(
        name="duplicate_minority_class",
        section="Generation",
        version=1,
        params=DuplicateMinorityClassParams,
        summary="Copy records of smaller classes until all have as many as the largest.",
    )
    kind: Literal["variants", "balance"] = "balance"

    def fields(self, params: DuplicateMinorityClassParams) -> Mapping[str, str]:
        """Copies have no tags."""
        return {}

    def field_type(self, word: str) -> FieldType:
        """Copies have no tags."""
        raise KeyError(word)

    def infer(self, before: ArrayType, params: DuplicateMinorityClassParams) -> ArrayType:
        """The type of the input."""
        return before

    def generated(self, params: DuplicateMinorityClassParams) -> Sequence[GeneratedRecord]:
        """None: how many copies there are depends on the classes."""
        return ()

    def extra(self, count: int, largest: int, params: DuplicateMinorityClassParams) -> int:
        """The number of records that the class lacks."""
        return largest - count

    def apply(self, content: Content, made: Mapping[str, Any], stream: Stream) -> Content:
        """The unchanged content."""
        return content
