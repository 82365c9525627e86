"""How values lie in a Parquet shard, and how they come back: shared by `verify` and the readers.

An image column is one of two things, and its field metadata says which:

* ``tensor``: ``fixed_size_binary``, the raw C-order bytes; metadata names dtype and shape;
* ``png``, ``jpeg``, ``webp``, ``source``: ``struct<bytes: binary, path: string>``, an encoded image.

NumPy and Pillow are imported inside the functions: `verify` without ``deep`` needs neither.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from refinery_beam.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

# Encodings whose pixels, read back, are the pixels that went in.
LOSSLESS = frozenset({"tensor", "png"})


class ImageForm(NamedTuple):
    """The form of an image column. ``dtype`` is empty and ``shape`` is None where every cell says so itself."""

    encoding: str
    dtype: str
    shape: tuple[int, ...] | None


def image_form(field: pa.Field, *, place: str) -> ImageForm:
    """Read an image column's form from its Arrow field; StoreError ``shard-schema`` when the field is no image column of ours."""
    facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items() if key.startswith(b"refinery:")}
    encoding = facts.get("refinery:encoding", "")
    try:
        if encoding == "tensor":
            import numpy as np

            dtype, shape = np.dtype(facts["refinery:dtype"]), tuple(int(n) for n in json.loads(facts["refinery:shape"]))
            if field.type.byte_width != dtype.itemsize * math.prod(shape):
                raise ValueError(f"{field.type} does not hold {dtype}{list(shape)}")
            return ImageForm("tensor", dtype.name, shape)
        if encoding in ("png", "jpeg", "webp", "source"):
            field.type.field("bytes")
            return ImageForm(encoding, "", None)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _odd(field.name, place, str(error)) from error
    raise _odd(field.name, place, f"encoding {encoding!r}")


def decode_encoded(data: bytes, *, rank: int | None, place: str) -> Array:
    """The pixels of an image that *we* encoded (png, jpeg, webp): its own mode, no policy; uint8 (h, w) or (h, w, c).

    ``rank`` is the declared number of dimensions: a single channel is given an axis, or loses it. Raises StoreError ``damaged`` when the
    cell does not decode.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            array: Array = np.array(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise StoreError(f"an image stored in {place} does not decode: {error}", code="damaged", place=place) from error
    return with_rank(array, rank)


def with_rank(array: Array, rank: int | None) -> Array:
    """Give (h, w) its channel axis or take a single one away, as the declared rank wants it.

    >>> import numpy as np
    >>> with_rank(np.zeros((2, 3)), 3).shape, with_rank(np.zeros((2, 3, 1)), 2).shape, with_rank(np.zeros((2, 3, 3)), None).shape
    ((2, 3, 1), (2, 3), (2, 3, 3))
    """
    if rank == 3 and array.ndim == 2:
        return array[:, :, None]
    if rank == 2 and array.ndim == 3 and array.shape[2] == 1:
        return array[:, :, 0]
    return array


def declared_rank(schema: Mapping[str, Mapping[str, Any]], field: str | None) -> int | None:
    """How many dimensions the output schema gives a field, or None when it does not say."""
    shape = schema.get(field or "", {}).get("shape")
    return None if shape is None else len(shape)


def _odd(name: str, place: str, problem: str) -> StoreError:
    return StoreError(
        f"column {name!r} of {place} is not an image column: {problem}",
        code="shard-schema",
        place=place,
        value=problem,
        rule="image columns name their encoding, dtype and shape in their field metadata",
        remedy="run `refinery-beam verify`",
    )
