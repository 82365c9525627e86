"""How rows lie in Parquet files: the codec of their columns and the size of a row group."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_beam.plugins.base import Encoding
from refinery_beam.recipe.model import OutputSection

SMALL_ROW_BYTES = 64 << 10
"""Rows below it compress better together than apart, and many of them are decoded in a millisecond."""

ROW_GROUP_BYTES, LARGE_ROW_GROUP_BYTES = 1 << 20, 8 << 20


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The codec of the content column and of the other fields, and the bytes of content after which a row group ends.

    A codec is a word of ``Output.compression``. A row group bounds a worker's buffer, and is what a reader decodes to read one row.
    """

    content: str
    fields: str
    row_group_bytes: int


def storage_of(encoding: Encoding | None, row_bytes: int | None, declared: OutputSection) -> Storage:
    """How rows of content in an encoding are stored (None: rows without content), unless the recipe declares otherwise.

    `row_bytes` is the size of a cell where it is the same in every row. A declared codec is that of every column. The defaults follow from
    measurements; docs/performance.md has them.
    """
    content, group = "zstd:1", LARGE_ROW_GROUP_BYTES
    # Encodings of other packages may not say it.
    if getattr(encoding, "compressed", False):
        content, group = "none", ROW_GROUP_BYTES
    elif row_bytes is not None and row_bytes >= SMALL_ROW_BYTES:
        content, group = "lz4", ROW_GROUP_BYTES
    return Storage(
        content=declared.compression or content,
        fields=declared.compression or "zstd:1",
        row_group_bytes=declared.row_group_bytes or group,
    )


def codec(word: str) -> tuple[str, int | None]:
    """The name and the level of a codec.

    >>> codec("zstd:3"), codec("lz4")
    (('zstd', 3), ('lz4', None))
    """
    name, _, level = word.partition(":")
    return name, int(level) if level else None
