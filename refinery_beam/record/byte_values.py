"""Which of the 256 levels occur in 8-bit images, how often, and what readers make of them.

A level is counted by split, number of channels and channel, because what a reader sees of it may depend on all three.
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
"""(split, channels) -> what becomes of every level: an array (256, channels), or None where levels are seen as they are."""


def levels_of(array: Any) -> bytes:
    """The levels that occur in each channel of a uint8 image: 256 bits a channel."""
    import numpy as np

    planes = array[:, :, None] if array.ndim == 2 else array
    bits = np.zeros((planes.shape[2], 256), np.uint8)
    for c in range(planes.shape[2]):
        bits[c] = np.bincount(planes[:, :, c].reshape(-1), minlength=256) > 0
    return np.packbits(bits, axis=1).tobytes()


def values_at(levels: bytes, table: Any) -> Any:
    """The distinct values of a record, from its levels and the (256, channels) table of what they become."""
    import numpy as np

    bits = np.unpackbits(np.frombuffer(levels, np.uint8).reshape(-1, 32), axis=1).astype(bool)
    return np.concatenate([table[bits[c], c if table.shape[1] > 1 else 0] for c in range(len(bits))])


@lru_cache(maxsize=8)
def ramp(channels: int) -> Any:
    """Every level once: (256, 1) for one channel, else (256, 1, c)."""
    import numpy as np

    one = np.arange(256, dtype=np.uint8).reshape(256, 1)
    return one if channels == 1 else np.repeat(one[:, :, None], channels, axis=2)


def table_of(kind: Kind, steps: Sequence[BoundStep], channels: int, fitted: Fitted) -> Any:
    """What some steps make of every level: an array (256, channels); None where there is no step."""
    return kind.plain(run(ramp(channels), steps, fitted)).reshape(256, -1) if steps else None


def level_counts(split: str, array: Any) -> Iterator[tuple[str, int]]:
    """(key, count) of every level that occurs in a uint8 image (h, w) or (h, w, c).

    >>> import numpy as np
    >>> list(level_counts("train", np.array([[7, 7], [0, 7]], np.uint8)))
    [('["train",1,0,0]', 1), ('["train",1,0,7]', 3)]
    """
    import numpy as np

    planes = array[:, :, None] if array.ndim == 2 else array
    for channel in range(planes.shape[2]):
        keys = _keys(split, planes.shape[2], channel)
        counts = np.bincount(planes[:, :, channel].reshape(-1), minlength=256)
        for level in np.flatnonzero(counts).tolist():
            yield keys[level], int(counts[level])


def seen_values(evidence: Mapping[str, tuple[int, str]], table_of: TableOf) -> Iterable[tuple[str, Any, int]]:
    """(split, value, count) of everything counted under the keys of `level_counts`, as a reader sees the values."""
    found: Counter[tuple[str, Any]] = Counter()
    for key, (count, _) in sorted(evidence.items()):
        split, channels, channel, level = json.loads(key)
        table = table_of(split, channels)
        value = level if table is None else table[level, channel if table.shape[1] > 1 else 0].item()
        found[split, value] += count
    return [(split, value, count) for (split, value), count in found.items()]


@lru_cache(maxsize=64)
def _keys(split: str, channels: int, channel: int) -> tuple[str, ...]:
    return tuple(canonical_bytes([split, channels, channel, level]).decode() for level in range(256))
