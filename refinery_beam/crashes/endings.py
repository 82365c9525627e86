"""The words for how a process ended."""

from __future__ import annotations

import signal

NO_END = "no end"
"""How a try ended that was stopped when its time was over."""

CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"})
"""Signals that a process causes itself. SIGKILL comes from outside: memory ran out, or somebody killed the process."""


def name_of_end(code: int) -> str:
    """How a process ended, by its return code, as `subprocess` or a shell tells it.

    >>> name_of_end(-11), name_of_end(139), name_of_end(3)
    ('SIGSEGV', 'SIGSEGV', 'exit code 3')
    """
    try:
        return signal.Signals(-code if code < 0 else code - 128).name
    except ValueError:
        return f"exit code {code}"
