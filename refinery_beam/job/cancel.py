"""Stopping a job whose worker threads live in this process.

When a run is interrupted or fails, the engine's other threads go on with the elements that they have. Their files are about to be removed,
so they must end first: `cancel` asks them to stop, and waits. Worker processes need no such thing; the engine ends them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from refinery_beam.errors import EngineError

_changed = threading.Condition()
_busy: Counter[str] = Counter()
_cancelled: set[str] = set()


@contextmanager
def at_work(work: str) -> Iterator[None]:
    """Inside, a thread works for the job whose work folder is `work`. Raises EngineError ``cancelled`` if that job is over."""
    with _changed:
        if work in _cancelled:
            raise _stopped()
        _busy[work] += 1
    try:
        yield
    finally:
        with _changed:
            _busy[work] -= 1
            _changed.notify_all()


def check(work: str) -> None:
    """Raise EngineError ``cancelled`` if the job is over; called between records."""
    if work in _cancelled:
        raise _stopped()


def cancel(work: str, *, seconds: float = 10.0) -> bool:
    """End the job: no thread starts work for it any more. Waits until working threads have stopped; False if some still work then."""
    with _changed:
        _cancelled.add(work)
        return _changed.wait_for(lambda: _busy[work] <= 0, timeout=seconds)


def _stopped() -> EngineError:
    return EngineError("the job was stopped", code="cancelled")
