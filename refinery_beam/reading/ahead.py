"""Work that is done ahead of its time, by a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def one_ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map(work, items)` with the next result on its way while one is used. The first is made by the caller, so whoever takes no second one
    starts no thread.

    >>> list(one_ahead(lambda n: n * n, range(4)))
    [0, 1, 4, 9]
    """
    remaining = iter(items)
    for first in remaining:
        yield work(first)
        break
    with ThreadPoolExecutor(1, thread_name_prefix="refinery-ahead") as pool:
        coming = [pool.submit(work, item) for item in _take(remaining)]
        while coming:
            (current,) = coming
            result = current.result()
            coming = [pool.submit(work, item) for item in _take(remaining)]
            yield result


def _take(items: Iterator[T]) -> list[T]:
    """The next item, if there is one."""
    for item in items:
        return [item]
    return []
