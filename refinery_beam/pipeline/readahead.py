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
"""Results that may wait for each thread. Bounds memory to threads x 4 decoded images."""


def ordered_map(work: Callable[[T], R], items: Iterable[T], *, pool: ThreadPoolExecutor | None, threads: int) -> Iterator[R]:
    """`map(work, items)`, in order, at most ``threads * WINDOW_PER_THREAD`` items ahead. No pool: the plain loop.

    An exception from `work` is raised at its item's place; items already submitted are waited for, not lost in the background.

    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(ordered_map(lambda n: n * n, range(5), pool=pool, threads=2))
    [0, 1, 4, 9, 16]
    """
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    source = iter(items)
    try:
        for item in source:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= threads * WINDOW_PER_THREAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
