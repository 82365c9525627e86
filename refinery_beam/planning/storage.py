"""How rows lie in Parquet files: the compression of their columns and the size of a row group."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_beam.plugins.base import Encoding
from refinery_beam.plugins.compression import normal_compression
from refinery_beam.recipe.model import OutputSection

ROW_GROUP_BYTES = 1 << 20
GROUP_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The compression of the content column and of the other fields, in words of ``Output.compression``, and the end of a row group:
    `row_group_bytes` of content, or a quarter of it in `row_group_rows` rows or more (None: only the bytes count).

    A reader decodes a whole row group to read one row, so small ones make random access fast; but it keeps some kilobytes of footer for
    each, so there should not be one for every row or two. A row group also bounds a worker's buffer.
    """

    content: str
    fields: str
    row_group_bytes: int
    row_group_rows: int | None

    def full(self, rows: int, content_bytes: int) -> bool:
        """Whether a row group with so much in it ends.

        >>> storage = Storage(content="lz4", fields="zstd:1", row_group_bytes=1000, row_group_rows=8)
        >>> storage.full(2, 1000), storage.full(7, 300), storage.full(8, 300)
        (True, False, True)
        """
        if content_bytes >= self.row_group_bytes:
            return True
        return self.row_group_rows is not None and rows >= self.row_group_rows and content_bytes >= self.row_group_bytes // 4


def storage_of(encoding: Encoding | None, declared: OutputSection) -> Storage:
    """How rows of content in an encoding are stored (None: rows without content), unless the recipe declares otherwise.

    A declared compression is that of every column. The defaults follow from measurements; docs/performance.md has them.
    """
    # Encodings of other packages may name none.
    content = normal_compression(getattr(encoding, "compression", "lz4")) if encoding is not None else "zstd:1"
    return Storage(
        content=declared.compression or content,
        fields=declared.compression or "zstd:1",
        row_group_bytes=declared.row_group_bytes or ROW_GROUP_BYTES,
        row_group_rows=GROUP_ROWS if declared.row_group_bytes is None else None,
    )
