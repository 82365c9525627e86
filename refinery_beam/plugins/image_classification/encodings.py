"""How images lie in a column: raw tensors, image files that are made here, and the untouched source files.

* ``tensor``: ``fixed_size_binary``, the raw C-order bytes; the field's metadata names dtype and shape;
* ``png``, ``jpeg``, ``webp``, ``source``: ``struct<bytes: binary, path: string>``, an image file.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinery_beam.dtypes import item_bytes
from refinery_beam.plugins.common.encodings import ENCODING, EncodedFile
from refinery_beam.plugins.image_classification.codecs.encode import TAKES, EncodeError, TooLong, encode
from refinery_beam.plugins.kind import BadRecord, Encoding, Refusal
from refinery_beam.plugins.ops import ArrayType

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

DTYPE, SHAPE = b"refinery:dtype", b"refinery:shape"

CELL_LIMIT = (1 << 31) - 1
"""Bytes of a value of a fixed-size binary column."""


@dataclass(frozen=True)
class Tensor:
    """Images of one shape and dtype as their raw bytes, row by row, channels together."""

    name: str = "tensor"
    lossless: bool = True
    from_source: bool = False
    arrays: bool = True
    compression: str = "lz4"

    def refuse(self, type: ArrayType) -> Refusal | None:
        """Images of no fixed shape, and of more bytes than a value of a column may have."""
        if type.fixed and self.estimate(type, 0) > CELL_LIMIT:
            return Refusal(
                code="encoding-size",
                message=f"an image of {type} has {self.estimate(type, 0):,} bytes, a value of a tensor column at most {CELL_LIMIT:,}",
                rule="the size of a value is a 32-bit number in Arrow",
                remedy="resize to a smaller size",
            )
        if type.fixed:
            return None
        return Refusal(
            code="encoding-shape",
            message=f"encoding tensor needs one shape for all records, but the stored image is {type}",
            rule="a tensor column has a fixed number of bytes a row",
            remedy="add a resize, center_crop or pad of fixed size, declare the shape in Output.record_schema.image, or use encoding: png",
        )

    def arrow(self, name: str, type: ArrayType) -> pa.Field:
        """A fixed-size binary column that says dtype and shape."""
        import pyarrow as pa

        shape = json.dumps(list(type.shape), separators=(",", ":")).encode()
        metadata = {ENCODING: b"tensor", DTYPE: type.dtype.encode(), SHAPE: shape}
        return pa.field(name, pa.binary(self.estimate(type, 0)), nullable=False, metadata=metadata)

    def feature(self) -> dict[str, Any] | None:
        """None: the library has no word for it."""
        return None

    def estimate(self, type: ArrayType, source_bytes: int) -> int:
        """The bytes of one tensor."""
        return math.prod(n for n in type.shape if n is not None) * item_bytes(type.dtype)

    def write(self, content: Array, *, quality: int) -> bytes:
        """The values in C order."""
        return content.tobytes()

    def size(self, cell: bytes) -> int:
        """The bytes of the tensor."""
        return len(cell)

    def column(self, cells: Sequence[bytes], paths: Sequence[str], field: pa.Field) -> pa.Array:
        """One copy: joining is five times faster than letting pyarrow look at each value."""
        import pyarrow as pa

        return pa.FixedSizeBinaryArray.from_buffers(field.type, len(cells), [None, pa.py_buffer(b"".join(cells))])

    def cells(self, column: pa.Array, field: pa.Field) -> Array:
        """The whole column as one array (rows, *shape), a view of Arrow's memory."""
        import numpy as np

        facts = field.metadata or {}
        try:
            dtype, shape = np.dtype(facts[DTYPE].decode()), tuple(int(n) for n in json.loads(facts[SHAPE]))
            width = field.type.byte_width
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"it names no dtype and shape: {error}") from error
        if width != dtype.itemsize * math.prod(shape):
            raise ValueError(f"{field.type} does not hold {dtype}{list(shape)}")
        flat = np.frombuffer(column.buffers()[1], np.uint8, count=len(column) * width, offset=column.offset * width)
        tensors: Array = flat.view(dtype).reshape(len(column), *shape)
        return tensors

    def read(self, cell: Array) -> Array:
        """A copy that the caller owns."""
        return cell.copy()


@dataclass(frozen=True)
class ImageFile(EncodedFile):
    """8-bit images as files of a format. ``size_factor``: its size against the source's, about."""

    size_factor: int = 1

    def refuse(self, type: ArrayType) -> Refusal | None:
        """Values that are not 8-bit, and numbers of channels that the format does not hold."""
        allowed = tuple(n for n in TAKES[self.name] if n != 2)  # grey with alpha is met in mode `keep` only, where nothing is declared
        channels = 1 if len(type.shape) == 2 else type.shape[2]
        if type.dtype == "uint8" and channels in (None, *allowed):
            return None
        return Refusal(
            code="encoding-dtype",
            message=f"encoding {self.name} stores 8-bit images with {' or '.join(map(str, allowed))} channels, but the stored image "
            f"is {type}",
            rule="image codecs hold 8-bit pixels",
            remedy="declare dtype uint8 in Output.record_schema.image (normalize is then applied when reading), or use encoding: tensor",
        )

    def feature(self) -> dict[str, Any] | None:
        """The library's own images."""
        return {"_type": "Image"}

    def estimate(self, type: ArrayType, source_bytes: int) -> int:
        """From the size of a source file."""
        return source_bytes * self.size_factor

    def write(self, content: Array, *, quality: int) -> bytes:
        """The image as a file."""
        try:
            return encode(content, self.name, quality=quality)
        except EncodeError as error:
            reason = "wrong_size" if isinstance(error, TooLong) else "unsupported_mode"
            raise BadRecord(reason, str(error), stage="Output", op="encode") from error
        except (OSError, ValueError) as error:
            # What else the codec refuses: some JPEG libraries stop a little short of what the format can state.
            detail = f"{self.name} cannot hold {content.dtype}{list(content.shape)}: {error}"
            raise BadRecord("wrong_size", detail, stage="Output", op="encode") from error

    def read(self, cell: bytes) -> Array:
        """The pixels of an image that was made here: its own mode, no policy; uint8 (h, w) or (h, w, c)."""
        import numpy as np
        from PIL import Image

        try:
            with Image.open(io.BytesIO(cell)) as image:
                return np.array(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(f"it does not decode: {error}") from error


@dataclass(frozen=True)
class SourceImage(EncodedFile):
    """The untouched source files, shown as images by the `datasets` library."""

    def feature(self) -> dict[str, Any] | None:
        """The library's own images."""
        return {"_type": "Image"}


_ALL: tuple[Encoding, ...] = (
    Tensor(),
    # A PNG of a photograph is about six times its JPEG. Only the size of shards depends on it.
    ImageFile("png", extension=".png", size_factor=6),
    ImageFile("jpeg", extension=".jpg", lossless=False),
    ImageFile("webp", extension=".webp", lossless=False),
    SourceImage("source", from_source=True),
)

ENCODINGS: Mapping[str, Encoding] = {encoding.name: encoding for encoding in _ALL}
