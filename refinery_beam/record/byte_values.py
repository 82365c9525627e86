"""Counts the 256 byte values of 8-bit images, and maps them to the values that readers compute in the deferred tail.

Counts are by split, number of channels and channel, because the deferred tail may depend on all three.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from refinery_beam.identity import canonical_bytes
from refinery_beam.plugins.base import Kind
from refinery_beam.record.steps import BoundStep, Fitted, run

TableOf: TypeAlias = Callable[[str, int], Any]
"""(split, channels) -> the reader's value for each byte value: an array (256, channels), or None where there is no deferred tail."""


def byte_values_of(array: Any) -> bytes:
    """The byte values that occur in each channel of a uint8 image: 256 bits a channel, packed."""
    import numpy as np

    planes = array[:, :, None] if array.ndim == 2 else array
    bits = np.zeros((planes.shape[2], 256), np.uint8)
    for c in range(planes.shape[2]):
        bits[c] = np.bincount(planes[:, :, c].reshape(-1), minlength=256) > 0
    return np.packbits(bits, axis=1).tobytes()


def values_at(byte_values: bytes, table: Any) -> Any:
    """The distinct values that a reader computes for a record, from its byte values and the (256, channels) table."""
    import numpy as np

    bits = np.unpackbits(np.frombuffer(byte_values, np.uint8).reshape(-1, 32), axis=1).astype(bool)
    return np.concatenate([table[bits[c], c if table.shape[1] > 1 else 0] for c in range(len(bits))])


@lru_cache(maxsize=8)
def ramp(channels: int) -> Any:
    """An image with each byte value once: (256, 1) for one channel, else (256, 1, c)."""
    import numpy as np

    one = np.arange(256, dtype=np.uint8).reshape(256, 1)
    return one if channels == 1 else np.repeat(one[:, :, None], channels, axis=2)


def table_of(kind: Kind, steps: Sequence[BoundStep], channels: int, fitted: Fitted) -> Any:
    """The result of some steps for each byte value: an array (256, channels); None where there is no step."""
    return kind.plain(run(ramp(channels), steps, fitted)).reshape(256, -1) if steps else None


def byte_value_counts(split: str, array: Any) -> Iterator[tuple[str, int]]:
    """(key, count) of every byte value that occurs in a uint8 image (h, w) or (h, w, c).

    >>> import numpy as np
    >>> list(byte_value_counts("train", np.array([[7, 7], [0, 7]], np.uint8)))
    [('["train",1,0,0]', 1), ('["train",1,0,7]', 3)]
    """
    import numpy as np

    planes = array[:, :, None] if array.ndim == 2 else array
    for channel in range(planes.shape[2]):
        keys = _keys(split, planes.shape[2], channel)
        counts = np.bincount(planes[:, :, channel].reshape(-1), minlength=256)
        for byte_value in np.flatnonzero(counts).tolist():
            yield keys[byte_value], int(counts[byte_value])


def reader_values(evidence: Mapping[str, tuple[int, str]], table_of: TableOf) -> Iterable[tuple[str, Any, int]]:
    """(split, reader's value, count) for all counts under the keys of `byte_value_counts`."""
    found: Counter[tuple[str, Any]] = Counter()
    for key, (count, _) in sorted(evidence.items()):
        split, channels, channel, byte_value = json.loads(key)
        table = table_of(split, channels)
        value = byte_value if table is None else table[byte_value, channel if table.shape[1] > 1 else 0].item()
        found[split, value] += count
    return [(split, value, count) for (split, value), count in found.items()]


@lru_cache(maxsize=64)
def _keys(split: str, channels: int, channel: int) -> tuple[str, ...]:
    return tuple(canonical_bytes([split, channels, channel, byte_value]).decode() for byte_value in range(256))
