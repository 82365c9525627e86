"""The second half of a record's life: from its field values and its content to the stored row and the row's digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery_beam.exact import Partial
from refinery_beam.planning.nodes import Plan
from refinery_beam.plugins.base import BadRecord, Content, Encoding, Kind, call_plugin
from refinery_beam.plugins.notes import Note
from refinery_beam.record.columns import FieldMismatch, coerce
from refinery_beam.record.extras import Extras
from refinery_beam.record.source import Decoder
from refinery_beam.records import Ref
from refinery_beam.rows import SourceBytes, row_digest


@dataclass(slots=True)
class Row:
    """One finished row: stored field values in schema order, its digest, the bytes of its content, and the partials for the riding fit
    points of its split.
    """

    ref: Ref
    values: tuple[Any, ...]
    digest: bytes
    size: int
    partials: tuple[tuple[str, Partial], ...] = field(default=())
    extras: Extras | None = None
    notes: tuple[Note, ...] = ()


class RowMaker:
    """Makes rows as ``Output`` of a plan declares them. Safe to use from several threads."""

    def __init__(self, plan: Plan, kind: Kind, encoding: Encoding | None, decoder: Decoder) -> None:
        self.plan = plan
        self._kind, self._encoding, self._decoder = kind, encoding, decoder
        self._generated_fields = frozenset(plan.generated_fields)

    def row(self, ref: Ref, known: Mapping[str, Any], *, data: bytes, content: Content, partials: tuple[tuple[str, Partial], ...]) -> Row:
        """Make the row from field values and settled content. Raises BadRecord for a value that is not of its declared type."""
        values: list[Any] = []
        canonical: list[tuple[str, str, Any]] = []
        size = 0
        for name, declared in self.plan.output.fields:
            if name == self.plan.output.content_field:
                value, proof, size = self._cell(ref, data, content)
                canonical.append((name, declared.dtype, proof))
            else:
                try:
                    value = coerce(name, known.get(name), declared, optional=self._optional(name, ref))
                except FieldMismatch as error:
                    raise BadRecord(f"schema:{name}", str(error), stage="Output") from error
                if name != "record_id":
                    canonical.append((name, declared.dtype, value))
            values.append(value)
        return Row(ref=ref, values=tuple(values), digest=row_digest(ref.record_id, canonical), size=size, partials=partials)

    def _cell(self, ref: Ref, data: bytes, content: Content) -> tuple[Any, Any, int]:
        """(stored content, value for the digest, bytes). The digest covers the content before encoding; for untouched files it is the
        file's own.
        """
        encoding, output = self._encoding, self.plan.output
        assert encoding is not None
        if encoding.from_source:
            self._decoder.check_source(data, self.plan.chains[ref.split].stored, decoded=self.plan.decodes)
            content, proof = data, SourceBytes(ref.digest)
        else:
            proof = self._kind.proof(content)
        cell = call_plugin("encode", f"encoding:{encoding.name}", encoding.write, content, quality=output.quality)
        return cell, proof, encoding.size(cell)

    def _optional(self, name: str, ref: Ref) -> bool:
        """Whether a row may lack the field."""
        unlabeled = name == self.plan.label_field and ref.partition in self.plan.unlabeled
        return name == "partition" or name in self._generated_fields or unlabeled
