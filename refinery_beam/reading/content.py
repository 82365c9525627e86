"""From stored cells to what readers serve: decoded, augmented for the epoch, through the deferred tail; one at a time or a whole batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from refinery_beam.plugins.base import ArrayType, BadRecord, Cell
from refinery_beam.reading.faults import damaged
from refinery_beam.reading.recorded import Chain, Recorded, declared_type, owned
from refinery_beam.record.byte_values import table_of
from refinery_beam.record.steps import LazyStep

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Allocate: TypeAlias = "Callable[[tuple[int, ...], np.dtype[Any]], Array]"
"""Memory for an array of a shape and dtype, which nobody reads before it is filled."""

BLOCK_BYTES = 128 << 10
"""The bytes that one call of NumPy works on: they stay in the processor's cache, and are many against the cost of a call."""


class Content:
    """The content of one split's rows. With ``raw`` the deferred tail is left out; with an ``epoch`` the lazy augmentations are drawn for
    it. Safe under threads.
    """

    def __init__(self, recorded: Recorded, split: str, *, raw: bool, epoch: int | None) -> None:
        self._recorded, self._split, self._raw, self._epoch = recorded, split, raw, epoch

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("_recorded", "_split", "_raw", "_epoch")}

    @cached_property
    def _type(self) -> ArrayType | None:
        return declared_type(self._recorded.manifest)

    @cached_property
    def _tail(self) -> Chain:
        return Chain() if self._raw else self._recorded.deferred(self._split)

    @cached_property
    def _lazy(self) -> tuple[LazyStep, ...]:
        return () if self._epoch is None else self._recorded.lazy(self._split)

    @cached_property
    def _lookup(self) -> Lookup | None:
        """What the tail makes of each byte value of each channel; None where the tail is no such table."""
        type, kind = self._type, self._recorded.kind
        steps = self._tail.steps
        if not steps or type is None or not type.fixed or type.dtype != "uint8" or not kind.byte_values:
            return None
        if not all(step.bound.op.spec.elementwise for step in steps):
            return None
        channels = int(type.shape[2] or 1) if len(type.shape) == 3 else 1
        return Lookup(table_of(kind, steps, channels, {}))

    @property
    def as_files(self) -> bool:
        """Whether what is served is just what the stored image files hold."""
        encoding = self._recorded.encoding
        is_image = (encoding.feature() or {}).get("_type") == "Image"
        return is_image and not encoding.from_source and not self._tail.steps and not self._lazy

    @property
    def one_shape(self) -> bool:
        """Whether what is served are arrays of one shape, as far as types say: those that are stored, and those of the tail."""
        return self._type is not None and self._type.fixed and all(step.out.fixed for step in self._tail.steps)

    @property
    def row_bytes(self) -> int | None:
        """The bytes of stored content, where it is of one size in every row."""
        type = self._type
        return self._recorded.encoding.estimate(type, 0) or None if type is not None and type.fixed else None

    def one(self, cell: Cell, *, record_id: str, location: str) -> Any:
        """The content of one row; `location` names its file in errors. The caller owns it."""
        recorded = self._recorded
        content = self.stored(cell, record_id=record_id, location=location)
        if self._epoch is not None:
            content = recorded.augment(content, self._lazy, record_id=record_id, epoch=self._epoch)
        if not self._tail.steps:
            return owned(content)
        if self._lookup is not None and not self._lazy:
            return self.bulk([content])[0]
        return recorded.kind.plain(recorded.run(content, self._tail, record=record_id))

    def stored(self, cell: Cell, *, record_id: str, location: str) -> Any:
        """The content of one row as it is stored."""
        recorded, encoding = self._recorded, self._recorded.encoding
        try:
            content = encoding.read(cell)
            if encoding.from_source:
                content = recorded.decode(content, self._split, location=location)
            return recorded.kind.settle(content, self._type) if self._type is not None else recorded.kind.plain(content)
        except (ValueError, BadRecord) as error:
            raise damaged(location, f"{recorded.kind.field} of {record_id}: {error}") from error

    @cached_property
    def in_bulk(self) -> bool:
        """Whether cells are arrays of one shape that become what is served by copying, and by a table: then `bulk` serves a batch."""
        plain = not self._lazy and (not self._tail.steps or self._lookup is not None)
        # Encodings of other packages may not say it.
        return plain and self._type is not None and self._type.fixed and getattr(self._recorded.encoding, "arrays", False)

    def bulk(self, cells: Sequence[Array], *, pool: ThreadPoolExecutor | None = None, allocate: Allocate | None = None) -> Array:
        """The content of a batch as one array (n, *shape), which the caller owns, in memory of `allocate` (numpy.empty). Only where
        `in_bulk`; the bytes are those of `one`. The threads of a `pool` share the work.
        """
        import numpy as np

        type, lookup = self._type, self._lookup
        assert type is not None
        shape = tuple(int(n or 0) for n in type.shape)
        dtype = np.dtype(type.dtype) if lookup is None else lookup.dtype
        values_each = math.prod(shape)
        found = (allocate or np.empty)((len(cells), *shape), dtype)
        flat = found.reshape(len(cells), values_each)
        each = max(1, BLOCK_BYTES // max(1, values_each * np.dtype(type.dtype).itemsize))

        def fill(first: int) -> None:
            part, into = cells[first : first + each], flat[first : first + each]
            if lookup is None:
                for k, cell in enumerate(part):
                    into[k] = cell.reshape(-1)
            else:
                values = part[0].reshape(-1) if each == 1 else np.concatenate([cell.reshape(-1) for cell in part])
                lookup.into(values, into.reshape(-1))

        for _ in (map if pool is None else pool.map)(fill, range(0, len(cells), each)):
            pass
        return found


class Lookup:
    """A table (256, channels) in place of the bytes of images.

    Two bytes are looked up at once, in a table of 65,536 pairs for each pair of channels that stand side by side: half the look-ups, and a
    table of three channels takes 1.5 MB in float32.

    >>> import numpy as np
    >>> lookup = Lookup(np.arange(256, dtype=np.float32)[:, None] / 2)
    >>> found = np.empty(3, np.float32)
    >>> lookup.into(np.array([0, 255, 7], np.uint8), found)
    >>> found.tolist()
    [0.0, 127.5, 3.5]
    """

    def __init__(self, table: Array) -> None:
        import numpy as np

        self.table, self.dtype = table, table.dtype
        channels = table.shape[1]
        sides = [(2 * k % channels, (2 * k + 1) % channels) for k in range(math.lcm(2, channels) // 2)]
        pairs = np.empty((len(sides), 256, 256, 2), table.dtype)
        for k, (low, high) in enumerate(sides):
            # As a little-endian number of 16 bits the first byte of a pair is the low one.
            pairs[k, :, :, 0], pairs[k, :, :, 1] = table[None, :, low], table[:, None, high]
        self._pairs = pairs.reshape(-1, 2).view(f"V{2 * table.dtype.itemsize}").reshape(-1)
        self._sides = len(sides)

    def into(self, values: Array, found: Array) -> None:
        """Put what stands for each of the uint8 `values` of whole images into `found`; both are flat and contiguous."""
        import numpy as np

        whole = len(values) // 2
        index = values[: 2 * whole].view("<u2").astype(np.intp)
        if self._sides > 1:
            index += _starts(self._sides, whole)
        np.take(self._pairs, index, out=found[: 2 * whole].view(self._pairs.dtype), mode="clip")
        if whole * 2 < len(values):
            found[-1] = self.table[values[-1], (len(values) - 1) % self.table.shape[1]]


@lru_cache(maxsize=8)
def _starts(sides: int, count: int) -> Array:
    """Where the table of each of `count` pairs of values begins, if `sides` tables follow each other in turn."""
    import numpy as np

    return np.resize(np.arange(sides, dtype=np.intp) * 65536, count)
