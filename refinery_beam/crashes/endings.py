"""The words for how a process ended."""

from __future__ import annotations

import os
import signal

NO_END = "no end"
"""How a try ended that was stopped when its time was over."""

CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"})
"""Signals that a process causes itself. SIGKILL comes from outside: memory ran out, or somebody killed the process."""


NOT_KEPT = "an end that was not kept"
"""How a process ended whose parent was started to ignore SIGCHLD: the system then keeps no return codes."""


def wait_for_end(pid: int) -> str:
    """Wait until a child has ended; how it did, '' for exit code 0."""
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return NOT_KEPT
    return name_of_end(code) if code else ""


def name_of_end(code: int) -> str:
    """How a process ended, by its return code, as `subprocess` or a shell tells it.

    >>> name_of_end(-11), name_of_end(139), name_of_end(3)
    ('SIGSEGV', 'SIGSEGV', 'exit code 3')
    """
    try:
        return signal.Signals(-code if code < 0 else code - 128).name
    except ValueError:
        return f"exit code {code}"
