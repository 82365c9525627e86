"""Ordered work with a few threads and a bounded window.

Pillow, hashlib, zlib and file reads release the GIL, so two threads nearly double the throughput of a worker without a second process, and
without any pixel crossing a process or stage boundary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WINDOW_PER_THREAD = 4
"""Results that may wait for each thread when their size is unknown: bounds memory to threads x 4 images."""

WINDOW_BYTES = 8 << 20
"""Results of known size that may wait, in bytes. As much as a row group, so that the threads have work while one is compressed."""


def window(threads: int, item_bytes: int | None) -> int:
    """How many items to read ahead: as many as fit into `WINDOW_BYTES`, at least two and at most 64 a thread.

    >>> window(2, 150_528), window(2, 12 << 20), window(2, None)
    (55, 4, 8)
    """
    if item_bytes is None:
        return threads * WINDOW_PER_THREAD
    return min(64 * threads, max(2 * threads, WINDOW_BYTES // max(1, item_bytes)))


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], *, pool: ThreadPoolExecutor | None, threads: int, item_bytes: int | None = None
) -> Iterator[R]:
    """`map(work, items)`, in order, at most `window` items ahead. No pool: the plain loop.

    An exception from `work` is raised when its item's turn comes; the loop waits for items that are submitted already.

    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(ordered_map(lambda n: n * n, range(5), pool=pool, threads=2))
    [0, 1, 4, 9, 16]
    """
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    ahead = window(threads, item_bytes)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
