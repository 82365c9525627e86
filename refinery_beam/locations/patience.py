"""Tries again what a store refused for reasons that pass: a broken connection, a timeout, a server that is overloaded."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

WAITS = (0.3, 1.0)
"""Seconds before the second and the third try. The libraries below have tries of their own, a few seconds apart."""

STAYS = frozenset({errno.ENOENT, errno.EEXIST, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR})
"""What a store says of an object or of a right: asking again would not change it."""


def patient(ask: Callable[P, T]) -> Callable[P, T]:
    """Have a function that may as well be called twice tried three times before its OSError is raised: one that reads, or removes."""

    @wraps(ask)
    def asked(*args: P.args, **more: P.kwargs) -> T:
        for wait in WAITS:
            try:
                return ask(*args, **more)
            except OSError as error:
                if error.errno in STAYS:
                    raise
                time.sleep(wait)
        return ask(*args, **more)

    return asked
