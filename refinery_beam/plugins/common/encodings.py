"""Encodings that any kind of data may use: one plain value a row, and the untouched bytes of the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinery_beam.dtypes import normal_dtype
from refinery_beam.plugins.kind import BadRecord, Cell, Refusal
from refinery_beam.plugins.ops import ArrayType, Content

if TYPE_CHECKING:
    import pyarrow as pa

ENCODING = b"refinery:encoding"
"""The word of its encoding in a column's field metadata."""


@dataclass(frozen=True)
class PlainColumn:
    """Content that is one plain value (text, a number) as a column of that Arrow type: ``PlainColumn("text", "str", "string")``."""

    name: str
    dtype: str
    arrow_type: str
    lossless: bool = True
    from_source: bool = False
    compression: str = "zstd:1"

    def refuse(self, type: ArrayType) -> Refusal | None:
        """Refuses every type but one value of the dtype."""
        if (normal_dtype(type.dtype), type.shape) == (normal_dtype(self.dtype), ()):
            return None
        message = f"encoding {self.name} stores one {self.dtype} a record, but the content is {type}"
        return Refusal(
            code="encoding-dtype", message=message, rule="a plain column holds one value a row", remedy="choose another encoding"
        )

    def arrow(self, name: str, type: ArrayType) -> pa.Field:
        """A column of the Arrow type."""
        import pyarrow as pa

        return pa.field(name, pa.type_for_alias(self.arrow_type), metadata={ENCODING: self.name.encode()})

    def feature(self) -> dict[str, Any] | None:
        """None: the Arrow type is enough."""
        return None

    def estimate(self, type: ArrayType, source_bytes: int) -> int:
        """As much as a source file."""
        return source_bytes

    def write(self, content: Content, *, quality: int) -> Cell:
        """The value itself. Raises BadRecord for a value that the Arrow type cannot hold."""
        import pyarrow as pa

        try:
            pa.scalar(content, pa.type_for_alias(self.arrow_type))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise BadRecord("unsupported_mode", f"{self.arrow_type} cannot hold it: {error}", stage="Output", op="encode") from error
        return content

    def size(self, cell: Cell) -> int:
        """The bytes of text; eight of a number."""
        return len(cell.encode() if isinstance(cell, str) else cell) if isinstance(cell, str | bytes) else 8

    def column(self, cells: Sequence[Cell], paths: Sequence[str], field: pa.Field) -> pa.Array:
        """The values as a column."""
        import pyarrow as pa

        return pa.array(cells, type=field.type)

    def cells(self, column: pa.Array, field: pa.Field) -> Sequence[Any]:
        """The values."""
        found: list[Any] = column.to_pylist()
        return found

    def read(self, cell: Cell) -> Content:
        """The value itself."""
        return cell


@dataclass(frozen=True)
class EncodedFile:
    """A file a row, ``struct<bytes: binary, path: string>``, as other libraries read it; subclasses define the bytes.

    A file has the name of its source file, with the ``extension`` of its own format.
    """

    name: str
    lossless: bool = True
    from_source: bool = False
    compression: str = "lz4"
    extension: str = ""

    def refuse(self, type: ArrayType) -> Refusal | None:
        """Refuses no type."""
        return None

    def arrow(self, name: str, type: ArrayType) -> pa.Field:
        """A struct column."""
        import pyarrow as pa

        # Nullable, though it never is null: `datasets` believes its own metadata only where the field equals its own, which are nullable.
        kind = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
        return pa.field(name, kind, metadata={ENCODING: self.name.encode()})

    def feature(self) -> dict[str, Any] | None:
        """None: a struct of bytes and a path."""
        return None

    def estimate(self, type: ArrayType, source_bytes: int) -> int:
        """As much as a source file."""
        return source_bytes

    def write(self, content: Content, *, quality: int) -> bytes:
        """The bytes of the file."""
        data: bytes = content
        return data

    def size(self, cell: Cell) -> int:
        """The bytes of the file."""
        return len(cell)

    def column(self, cells: Sequence[Cell], paths: Sequence[str], field: pa.Field) -> pa.Array:
        """The files as a column."""
        import pyarrow as pa

        names = [os.path.splitext(path)[0] + self.extension for path in paths] if self.extension else paths
        return pa.StructArray.from_arrays([pa.array(cells, pa.binary()), pa.array(names, pa.string())], fields=list(field.type))

    def cells(self, column: pa.Array, field: pa.Field) -> Sequence[Any]:
        """The bytes of each file."""
        try:
            found: list[Any] = column.field("bytes").to_pylist()
        except (KeyError, AttributeError) as error:
            raise ValueError(f"{field.type} holds no files") from error
        return found

    def read(self, cell: Cell) -> Content:
        """The bytes."""
        return cell


SOURCE = EncodedFile("source", lossless=True, from_source=True)
"""The untouched bytes of the source file."""
