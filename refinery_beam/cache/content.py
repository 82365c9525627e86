"""The content column of a shard, as its field metadata names it: shared by `verify` and the readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinery_beam.plugins.common.encodings import ENCODING

if TYPE_CHECKING:
    import pyarrow as pa


def content_field(schema: pa.Schema, name: str, encoding: str) -> pa.Field:
    """The field of the content column; ValueError where its metadata names another encoding than the manifest does."""
    field = schema.field(name)
    stated = (field.metadata or {}).get(ENCODING, b"").decode()
    if stated != encoding:
        raise ValueError(f"it is stored as {stated or 'nothing that is known here'}, the manifest says {encoding}")
    return field
