"""From stored cells to what readers serve: decoded, augmented for the epoch, through the deferred tail; one at a time or a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from refinery_beam.plugins.base import ArrayType, BadRecord, Cell
from refinery_beam.reading.faults import damaged
from refinery_beam.reading.recorded import Chain, Recorded, declared_type, owned
from refinery_beam.record.byte_values import table_of
from refinery_beam.record.steps import LazyStep

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


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
    def _table(self) -> Array | None:
        """What the tail makes of each byte value of each channel, (256, channels); None where the tail is no such table."""
        type, kind = self._type, self._recorded.kind
        steps = self._tail.steps
        if not steps or type is None or not type.fixed or type.dtype != "uint8" or not kind.byte_values:
            return None
        if not all(step.bound.op.spec.elementwise for step in steps):
            return None
        channels = int(type.shape[2] or 1) if len(type.shape) == 3 else 1
        table: Array = table_of(kind, steps, channels, {})
        return table

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
        plain = not self._lazy and (not self._tail.steps or self._table is not None)
        # Encodings of other packages may not say it.
        return plain and self._type is not None and self._type.fixed and getattr(self._recorded.encoding, "arrays", False)

    def bulk(self, cells: Sequence[Array]) -> Array:
        """The content of a batch as one array (n, *shape), which the caller owns. Only where `in_bulk`; the bytes are those of `one`."""
        import numpy as np

        type = self._type
        assert type is not None
        stacked = np.empty((len(cells), *(n for n in type.shape if n is not None)), np.dtype(type.dtype))
        for k, cell in enumerate(cells):
            stacked[k] = cell.reshape(stacked.shape[1:])
        return stacked if self._table is None else looked_up(stacked, self._table)


def looked_up(values: Array, table: Array) -> Array:
    """`values` (n, h, w) or (n, h, w, c), uint8, with a table (256, c) in place of each byte.

    >>> import numpy as np
    >>> looked_up(np.array([[[0, 255]]], np.uint8), np.arange(256, dtype=np.float32)[:, None] / 2).tolist()
    [[[0.0, 127.5]]]
    """
    import numpy as np

    found = np.empty(values.shape, table.dtype)
    if table.shape[1] == 1 or values.ndim == 3:
        np.take(np.ascontiguousarray(table[:, 0]), values, out=found, mode="clip")
        return found
    for channel in range(table.shape[1]):
        found[..., channel] = np.take(np.ascontiguousarray(table[:, channel]), values[..., channel], mode="clip")
    return found
